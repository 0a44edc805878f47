import { didYouMean } from '../check.js';
import { GradcamppError, show } from '../errors.js';
import { probabilitiesOf } from './probabilities.js';
import { type Facts, type Goal, linearGoal, type Row, type TargetKind } from './target.js';

/**
 * A class by its index or name: S_c, the score before softmax or sigmoid. A name counts in any case; a number in a string
 * counts as an index.
 */
export const classTarget: TargetKind<number | string> = {
  name: 'class',
  help: 'a class, by index or name',
  example: 'class:281',
  is: (spec) => typeof spec === 'number' || typeof spec === 'string',
  check: () => undefined,
  isSingle: () => true,
  find: (spec, row, facts) => [
    classGoal(
      typeof spec === 'number'
        ? classIndex(spec, row.data.length)
        : indexOfName(spec, facts.classes, row.data.length),
      row,
      facts,
    ),
  ],
  parse: (text) => text,
};

/** S_c. */
export function classGoal(
  index: number,
  { data }: Row,
  { classes, link }: Pick<Facts, 'classes' | 'link'>,
): Goal {
  const goal = {
    name: className(index, classes),
    class: index,
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
