import { invalid, onlyKeys } from '../check.js';
import { GradcamppError } from '../errors.js';
import { sizeOf } from '../tensor.js';
import { classGoal } from './class.js';
import { type Goal, isObject, isOfScores, linearGoal, type Row, type TargetKind } from './target.js';

/** Positions of any value of the model. */
export interface PositionTarget {
  /** An output, or any other value that depends on the picture. */
  readonly output: string;
  /** Which of its values, counted row by row without the batch axis; may be left out where there is one. */
  readonly select?: number | readonly number[];
  /** As results call it; default: the position. */
  readonly name?: string;
}

/** One value of an output, or several, each explained apart. */
export const positionTarget: TargetKind<PositionTarget> = {
  name: 'output',
  help: 'values of any output, by position',
  example: 'output:boxes:3',
  is: (spec): spec is PositionTarget =>
    isObject(spec) && 'output' in spec && !('class' in spec) && !('top' in spec) && !('kind' in spec),
  check: (spec) => {
    onlyKeys('a target with "output"', spec, ['output', 'select', 'name']);
    for (const [key, value] of Object.entries({ output: spec.output, name: spec.name }))
      if (value !== undefined && typeof value !== 'string')
        throw invalid(`targets.${key}`, 'a string', value, '', 'INVALID_TARGET');
  },
  output: ({ output }) => output,
  isConstant: () => true,
  isSingle: ({ select }) => typeof select !== 'object' || select.length === 1,
  find: ({ output, select, name }, row, facts) =>
    selected(select, row.data.length).map((index) => {
      const goal = isOfScores(row.dims) ? classGoal(index, row, facts) : valueGoal(index, output, row);
      return { ...goal, kind: 'output', name: name ?? goal.name };
    }),
  parse: (text) => {
    const at = text.lastIndexOf(':');
    const positions = text.slice(at + 1);
    if (at < 0 || !/^\d+(,\d+)*$/.test(positions)) return { output: text };
    return { output: text.slice(0, at), select: positions.split(',').map(Number) };
  },
};

/** One of the values of an output that holds no scores of classes. */
function valueGoal(index: number, output: string, { data, dims }: Row): Goal {
  const places = dims.map((dim, axis) => Math.floor(index / sizeOf(dims.slice(axis + 1))) % dim);
  const goal = { name: `${output}[${places.join(', ')}]`, kind: 'output', key: String(index) };
  return {
    ...linearGoal(goal, () => {
      const weights = new Float32Array(data.length);
      weights[index] = 1;
      return weights;
    }),
    value: (row) => row.data[index],
  };
}

function selected(select: PositionTarget['select'], count: number): readonly number[] {
  if (select === undefined) {
    if (count === 1) return [0];
    throw new GradcamppError(
      'INVALID_TARGET',
      `"targets.select" must say which of the output's ${count} values to explain; received nothing.`,
    );
  }
  const list = Array.isArray(select) ? (select as readonly number[]) : [select as number];
  if (list.length === 0 || list.some((index) => typeof index !== 'number'))
    throw invalid('targets.select', 'a number or a list of numbers', select, '', 'INVALID_TARGET');
  for (const index of list)
    if (!Number.isInteger(index) || index < 0 || index >= count)
      throw invalid(
        'targets.select',
        `whole numbers from 0 to ${count - 1}, as the output has ${count} values`,
        index,
        '',
        'INVALID_TARGET',
      );
  return list;
}
