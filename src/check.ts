import { type ErrorCode, GradcamppError, show } from './errors.js';

/** `"name" must be <expected>; received <value>. <advice>` */
export function invalid(
  name: string,
  expected: string,
  received: unknown,
  advice = '',
  code: ErrorCode = 'INVALID_OPTION',
): GradcamppError {
  return new GradcamppError(
    code,
    `"${name}" must be ${expected}; received ${show(received)}.${advice ? ` ${advice}` : ''}`,
  );
}

/** `"name" is missing: give <expected> (--flag).` */
export function missing(name: string, expected: string, flag?: string): GradcamppError {
  const typed = flag ? ` (${flag.split(' ')[0]})` : '';
  return new GradcamppError('INVALID_OPTION', `"${name}"${typed} is missing: give ${expected}.`);
}

/** The value if it is one of the choices. */
export function oneOf<T extends string>(name: string, value: unknown, choices: readonly T[]): T {
  if (typeof value === 'string' && (choices as readonly string[]).includes(value)) return value as T;
  throw invalid(name, `one of ${choices.join(', ')}`, value, didYouMean(String(value), choices));
}

/** The value if it is a whole number in the range. */
export function wholeNumber(
  name: string,
  value: unknown,
  minimum = 0,
  maximum = Number.MAX_SAFE_INTEGER,
): number {
  if (Number.isSafeInteger(value) && (value as number) >= minimum && (value as number) <= maximum)
    return value as number;
  const range =
    maximum === Number.MAX_SAFE_INTEGER ? `of at least ${minimum}` : `from ${minimum} to ${maximum}`;
  throw invalid(name, `a whole number ${range}`, value);
}

/** The value if it is a finite number in the range. */
export function numberIn(name: string, value: unknown, minimum: number, maximum: number): number {
  if (typeof value === 'number' && value >= minimum && value <= maximum) return value;
  throw invalid(name, `a number from ${minimum} to ${maximum}`, value);
}

/** The value if it is a name, a path or the like: a string that is not empty. */
export function text(name: string, value: unknown, expected = 'a name'): string {
  if (typeof value === 'string' && value !== '') return value;
  throw invalid(name, expected, value);
}

/** Refuses what is no object, and keys that nobody reads: a misspelt option must not be ignored. */
export function onlyKeys(name: string, options: object, known: readonly string[]): void {
  if (options === null || typeof options !== 'object' || Array.isArray(options))
    throw new GradcamppError(
      'INVALID_OPTION',
      `The options of ${name} must be an object; received ${show(options)}.`,
    );
  for (const key of Object.keys(options)) {
    if (!known.includes(key))
      throw new GradcamppError(
        'INVALID_OPTION',
        `"${key}" is not an option of ${name}. ${didYouMean(key, known) || `Known: ${known.join(', ')}.`}`,
      );
  }
}

/** Up to `count` names nearest to `name` by edit distance, then by a shared part; best first. */
export function closest(name: string, names: Iterable<string>, count = 3): string[] {
  const wanted = name.toLowerCase();
  const scored: { name: string; distance: number }[] = [];
  for (const candidate of names) {
    const text = candidate.toLowerCase();
    const contains = text.includes(wanted) || (text.length > 2 && wanted.includes(text));
    const edits = editDistance(wanted, text) / Math.max(wanted.length, text.length, 1);
    const distance = contains ? Math.min(edits, 0.35) : edits;
    if (contains || distance <= 0.5) scored.push({ name: candidate, distance });
  }
  scored.sort((a, b) => a.distance - b.distance);
  return scored.slice(0, count).map((item) => item.name);
}

/** `Closest: "a", "b".`, or nothing where no name is near. */
export function didYouMean(name: string, names: Iterable<string>): string {
  const near = closest(name, names);
  return near.length > 0 ? `Closest: ${near.map((item) => JSON.stringify(item)).join(', ')}.` : '';
}

/** Insertions, deletions, replacements, and swaps of neighbours. */
function editDistance(a: string, b: string): number {
  let before: number[] = [];
  let previous = Array.from({ length: b.length + 1 }, (_, j) => j);
  for (let i = 1; i <= a.length; i++) {
    const current = [i];
    for (let j = 1; j <= b.length; j++) {
      const replace = previous[j - 1] + (a[i - 1] === b[j - 1] ? 0 : 1);
      current.push(Math.min(replace, previous[j] + 1, current[j - 1] + 1));
      if (i > 1 && j > 1 && a[i - 1] === b[j - 2] && a[i - 2] === b[j - 1])
        current[j] = Math.min(current[j], before[j - 2] + 1);
    }
    [before, previous] = [previous, current];
  }
  return previous[b.length];
}
