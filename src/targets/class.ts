import { didYouMean, invalid, onlyKeys } from '../check.js';
import { GradcamppError, show } from '../errors.js';
import { partsOf, typedClass } from './common/parts.js';
import { probabilitiesOf } from './common/probabilities.js';
import { type Facts, type Goal, isObject, linearGoal, type Row, type TargetKind } from './target.js';

/** A class of one of several outputs. */
export interface ClassTarget {
  /** Index or name. */
  readonly class: number | string;
  /** The output that holds its score; default: the model's scores. */
  readonly output?: string;
}

/**
 * A class by its index or name: S_c, the score before softmax or sigmoid. A name counts in any case; a number in a string
 * counts as an index.
 */
export const classTarget: TargetKind<number | string | ClassTarget> = {
  name: 'class',
  help: 'a class, by index or name',
  example: 'class:281',
  is: (spec): spec is number | string | ClassTarget =>
    typeof spec === 'number' ||
    typeof spec === 'string' ||
    (isObject(spec) && 'class' in spec && !('kind' in spec)),
  check: (spec) => {
    if (typeof spec !== 'object') return;
    onlyKeys('a target with "class"', spec, ['class', 'output']);
    checkClass(spec.class);
    checkOutput(spec.output);
  },
  isOfClasses: true,
  isConstant: () => true,
  isSingle: () => true,
  output: (spec) => (typeof spec === 'object' ? spec.output : undefined),
  find: (spec, row, facts) => [
    classGoal(
      classOf(typeof spec === 'object' ? spec.class : spec, row.data.length, facts.classes),
      row,
      facts,
    ),
  ],
  parse: (text) => {
    const { what, output } = partsOf(text, ['output']);
    return output === undefined ? what : { class: typedClass(what), output };
  },
};

/** S_c. */
export function classGoal(
  index: number,
  { data }: Row,
  { classes, link }: Pick<Facts, 'classes' | 'link'>,
): Goal {
  const goal = {
    name: className(index, classes),
    kind: 'class',
    class: index,
    place: index,
    key: String(index),
    probability: (row: Row) => probabilitiesOf(row.data, link)?.[index],
  };
  return {
    ...linearGoal(goal, () => {
      const weights = new Float32Array(data.length);
      weights[index] = 1;
      return weights;
    }),
    value: (row) => row.data[index],
  };
}

/** The index of a class among `count`. */
export function classOf(given: number | string, count: number, classes: Facts['classes']): number {
  return typeof given === 'number' ? classIndex(given, count) : indexOfName(given, classes, count);
}

/** What a class may be, whatever the network. */
export function checkClass(value: unknown): void {
  if (typeof value !== 'number' && (typeof value !== 'string' || value === ''))
    throw invalid('class', 'an index or a name', value, '', 'INVALID_TARGET');
}

export function checkOutput(value: unknown): void {
  if (value !== undefined && (typeof value !== 'string' || value === ''))
    throw invalid('targets.output', 'the name of an output', value, '', 'INVALID_TARGET');
}

/** An index, if there is such a class. */
export function classIndex(index: number, count: number): number {
  if (Number.isInteger(index) && index >= 0 && index < count) return index;
  throw new GradcamppError(
    'INVALID_TARGET',
    `"class" must be a whole number from 0 to ${count - 1}, since the model has ${count} classes; received ${index}.`,
  );
}

function indexOfName(name: string, classes: Facts['classes'], count: number): number {
  const wanted = name.trim().toLowerCase();
  const exact = indicesWhere(classes, (item) => item.name === name || item.wnid === name);
  const found =
    exact.length > 0 ? exact : indicesWhere(classes, (item) => item.name.toLowerCase() === wanted);
  if (found.length > 1)
    throw new GradcamppError(
      'INVALID_TARGET',
      `"class" must name one class; ${show(name)} is the name of the classes ${found.join(' and ')}. Give the index.`,
    );
  if (found.length === 1) return found[0];
  if (/^\d+$/.test(wanted)) return classIndex(Number(wanted), count);
  throw new GradcamppError(
    'INVALID_TARGET',
    classes
      ? `"class" must be an index or one of the ${classes.length} class names; received ${show(name)}. ${didYouMean(
          name,
          classes.map((item) => item.name),
        )}`.trim()
      : `"class" must be an index, since no class names are known; received ${show(name)}. Name them with "classes" in the model's JSON sidecar.`,
  );
}

function indicesWhere(
  classes: Facts['classes'],
  is: (item: NonNullable<Facts['classes']>[number]) => boolean,
): number[] {
  return (classes ?? []).flatMap((item, index) => (is(item) ? [index] : []));
}

export function className(index: number, classes: Facts['classes']): string {
  return classes?.[index]?.name ?? String(index);
}
