import type { ClassName } from './things.js';

/** Things alike in kind and colour. */
export interface Group {
  readonly kind: ClassName;
  readonly colour: 'red' | 'yellow' | 'green' | 'blue' | 'purple' | 'pink' | 'white';
  readonly count: number;
}

/** Grounds that a word names, and the word. */
const groundWords = { grass: 'grass', sand: 'sand', water: 'water', planks: 'wood', stone: 'stone' } as const;
export type GroundName = keyof typeof groundWords;
export const groundNames = Object.keys(groundWords) as GroundName[];

const counts = ['a', 'two', 'three', 'four'] as const;
const one = ['apple', 'butterfly', 'cup', 'fish', 'flower', 'leaf', 'mushroom', 'starfish'] as const;
const several = ['apples', 'butterflies', 'cups', 'flowers', 'leaves', 'mushrooms'] as const;
const colourWords = ['red', 'yellow', 'green', 'blue', 'purple', 'pink', 'white'] as const;

/** Kinds of words whose accuracy is stated apart. */
export const wordClasses = {
  kind: [...one, ...several],
  colour: colourWords,
  count: counts,
  ground: Object.values(groundWords),
} as const satisfies Readonly<Record<string, readonly string[]>>;
export type WordClass = keyof typeof wordClasses;

export const begin = '<start>';
export const end = '<end>';
/** What the captioner can say, in the order of its scores. */
export const vocabulary: readonly string[] = [
  begin,
  end,
  'and',
  'on',
  ...counts,
  ...colourWords,
  ...Object.values(groundWords),
  ...one,
  ...several,
];

/** How the captioner is run, in Hugging Face's words. */
export const generation = {
  decoder_start_token_id: vocabulary.indexOf(begin),
  eos_token_id: vocabulary.indexOf(end),
  pad_token_id: vocabulary.indexOf(end),
  max_length: 15,
} as const;

/** Tokens of the longest sentence with its end: three groups of three words, two "and", a ground. */
export const longest = 3 * 3 + 2 + 2 + 1;

/** "two red apples and a blue cup on wood". */
export function wordsOf(groups: readonly Group[], ground: GroundName): string[] {
  const named = groups.map(({ kind, colour, count }) => [counts[count - 1], colour, nounOf(kind, count)]);
  return [...named.flatMap((words, i) => (i === 0 ? words : ['and', ...words])), 'on', groundWords[ground]];
}

/** The noun of so many things. */
export function nounOf(kind: ClassName, count: number): string {
  if (count === 1) return kind;
  return { ...plurals, fish: 'fish', starfish: 'starfish' }[kind];
}

const plurals = {
  apple: 'apples',
  butterfly: 'butterflies',
  cup: 'cups',
  flower: 'flowers',
  leaf: 'leaves',
  mushroom: 'mushrooms',
} as const;
