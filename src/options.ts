import { invalid, oneOf, onlyKeys } from './check.js';
import { GradcamppError } from './errors.js';

/**
 * One option: what it may be, what it is when it is left out, and what it is called on the command line. A stage (opening a
 * model, explaining, writing, …) lists its options once, as an object of these; the API's type, its checks and defaults, the
 * flags and their help all come from that list.
 */
export interface Option<T, D extends T | undefined = T | undefined> {
  /** The value as it is used, or a GradcamppError that names the option. */
  readonly check: (value: unknown, name: string) => T;
  /** Where the option is left out; undefined: it stays undefined. */
  readonly default: D;
  /** One line for `--help`. The default is added to it. */
  readonly help: string;
  /** What the help says of the default, where the value itself says too little, as "found in the model". */
  readonly otherwise?: string;
  /** How commander spells it, as `--top <n>`; absent: the option is not on the command line. */
  readonly flag?: string;
  /** A flag that is repeated, or takes a comma-separated list too (true); 'repeat' where its values may hold commas. */
  readonly many?: boolean | 'repeat';
  /** From what was typed to what the API takes; default: numbers become numbers, all else stays text. */
  readonly parse?: (text: string) => unknown;
}

/** What `readOptions` and the command line need of a stage. */
export type Stage = Readonly<Record<string, Option<unknown>>>;

/** A stage's options as they are given. */
export type OptionsOf<S extends Stage> = { readonly [K in keyof S]?: ReturnType<S[K]['check']> };

/** A stage's options with their defaults: undefined only where there is none. */
export type SettingsOf<S extends Stage> = {
  readonly [K in keyof S]: S[K] extends Option<infer T, infer D>
    ? undefined extends D
      ? T | undefined
      : T
    : never;
};

type Words = Pick<Option<unknown>, 'help' | 'otherwise' | 'flag' | 'many' | 'parse'>;
type Rest<T> = Words & { readonly default?: T };
/** Whether a default is given decides whether the setting can be undefined. */
type Made<T, R extends Rest<T>> = Option<T, R extends { readonly default: T } ? T : undefined>;

/** An option with a check of its own. */
export function option<T, const R extends Rest<T>>(
  check: (value: unknown, name: string) => T,
  rest: R,
): Made<T, R> {
  return { ...rest, check, default: rest.default as never } as unknown as Made<T, R>;
}

/** One of some names. */
export function choice<const T extends string, const R extends Rest<T>>(
  choices: readonly T[],
  rest: R,
): Made<T, R> {
  return option((value, name) => oneOf(name, value, choices), rest) as unknown as Made<T, R>;
}

/** A whole number. */
export function count<const R extends Rest<number> & { from?: number; to?: number }>(
  rest: R,
): Made<number, R> {
  const { from = 0, to = Number.MAX_SAFE_INTEGER } = rest;
  const range = to === Number.MAX_SAFE_INTEGER ? `of at least ${from}` : `from ${from} to ${to}`;
  return option((value, name) => {
    if (Number.isSafeInteger(value) && (value as number) >= from && (value as number) <= to)
      return value as number;
    throw invalid(name, `a whole number ${range}`, value);
  }, rest) as unknown as Made<number, R>;
}

/** A number: `from` and `to` may be reached, `above` and `below` not. */
export function number<
  const R extends Rest<number> & { from?: number; to?: number; above?: number; below?: number },
>(rest: R): Made<number, R> {
  const { from, to, above, below } = rest;
  const isIn = (value: number) =>
    (from === undefined || value >= from) &&
    (to === undefined || value <= to) &&
    (above === undefined || value > above) &&
    (below === undefined || value < below);
  const limits = [
    from !== undefined && `from ${from}`,
    above !== undefined && `above ${above}`,
    to !== undefined && `to ${to}`,
    below !== undefined &&
      (from === undefined && above === undefined ? `below ${below}` : `to below ${below}`),
  ].filter(Boolean);
  return option((value, name) => {
    if (typeof value === 'number' && Number.isFinite(value) && isIn(value)) return value;
    throw invalid(name, ['a number', ...limits].join(' '), value);
  }, rest) as unknown as Made<number, R>;
}

/** True or false. A flag spelled `--no-…` gives false. */
export function yesOrNo<const R extends Rest<boolean>>(rest: R): Made<boolean, R> {
  return option((value, name) => {
    if (typeof value === 'boolean') return value;
    throw invalid(name, 'true or false', value);
  }, rest) as unknown as Made<boolean, R>;
}

/** For names and paths, of which some look like numbers. */
export const asTyped = (typed: string): string => typed;

/** A name, a path, or the like: text that is not empty. */
export function text<const R extends Rest<string> & { expected?: string }>(rest: R): Made<string, R> {
  return option(
    (value, name) => {
      if (typeof value === 'string' && value !== '') return value;
      throw invalid(name, rest.expected ?? 'a name', value);
    },
    { parse: asTyped, ...rest },
  ) as unknown as Made<string, R>;
}

/** A list of some names, as often and in the order that was asked for. */
export function choices<const T extends string, const R extends Rest<readonly T[]>>(
  all: readonly T[],
  rest: R,
): Made<readonly T[], R> {
  return option((value, name): readonly T[] => {
    if (!Array.isArray(value)) throw invalid(name, `a list of ${all.join(', ')}`, value);
    return value.map((item) => oneOf(name, item, all));
  }, rest) as unknown as Made<readonly T[], R>;
}

/** A list of names, at least one unless the default is none. */
export function names<const R extends Rest<readonly string[]>>(rest: R): Made<readonly string[], R> {
  return option(
    (value, name): readonly string[] => {
      const isList = Array.isArray(value) && value.every((item) => typeof item === 'string' && item !== '');
      if (isList && value.length > 0) return value;
      throw invalid(name, 'a list of names, at least one', value);
    },
    { parse: asTyped, ...rest, many: true },
  ) as unknown as Made<readonly string[], R>;
}

/** A list of numbers, at least one; `from` and `to` may be reached. */
export function numbers<const R extends Rest<readonly number[]> & { from: number; to: number }>(
  rest: R,
): Made<readonly number[], R> {
  const one = number({ help: '', from: rest.from, to: rest.to });
  return option(
    (value, name): readonly number[] => {
      if (!Array.isArray(value) || value.length === 0) throw invalid(name, 'a list of numbers', value);
      return value.map((item) => one.check(item, name));
    },
    { ...rest, many: true },
  ) as unknown as Made<readonly number[], R>;
}

/**
 * A stage's settings: every option checked, defaults filled in, unknown names refused. `stage` is what messages call it.
 *
 * @throws GradcamppError INVALID_OPTION, or the code of the option's own check
 */
export function readOptions<S extends Stage>(stage: string, schema: S, given: OptionsOf<S>): SettingsOf<S> {
  onlyKeys(stage, given, Object.keys(schema));
  const settings: Record<string, unknown> = {};
  for (const [name, own] of Object.entries(schema)) {
    const value = (given as Record<string, unknown>)[name];
    settings[name] = value === undefined ? own.default : own.check(value, name);
  }
  return Object.freeze(settings) as SettingsOf<S>;
}

/** Options that exclude each other. */
export function onlyOneOf(given: object, names: readonly string[], advice = 'give one'): void {
  const present = names.filter((name) => (given as Record<string, unknown>)[name] !== undefined);
  if (present.length > 1)
    throw new GradcamppError(
      'INVALID_OPTION',
      `${present.map((name) => `"${name}"`).join(' and ')} exclude each other: ${advice}.`,
    );
}
