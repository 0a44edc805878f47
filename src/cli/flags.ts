import { existsSync, realpathSync } from 'node:fs';
import { Option as Flag } from 'commander';
import { GradcamppError } from '../errors.js';
import type { OptionsOf, Stage } from '../options.js';

/** Flags for every option of a stage that has one, with its help and default. */
export function addFlags<C extends { addOption(flag: Flag): unknown }>(
  command: C,
  ...stages: readonly Stage[]
): C {
  for (const own of stages.flatMap((stage) => Object.values(stage))) {
    if (own.flag === undefined) continue;
    const { help, many, parse = number } = own;
    const isList = many && (many === 'repeat' ? 'repeatable' : 'repeatable or comma-separated');
    const otherwise = own.otherwise ?? (isShown(own.default) ? String(own.default) : undefined);
    const remarks = [isList, otherwise && `default: ${otherwise}`].filter(Boolean).join('; ');
    const flag = new Flag(own.flag, remarks ? `${help} (${remarks})` : help);
    if (flag.required || flag.optional)
      flag.argParser((typed: string, before: unknown) =>
        many ? [...((before as unknown[]) ?? []), ...listOf(typed, many).map(parse)] : parse(typed),
      );
    command.addOption(flag);
  }
  return command;
}

function listOf(typed: string, many: true | 'repeat'): string[] {
  return many === 'repeat' ? [typed] : commaSeparated(typed);
}

function isShown(value: unknown): boolean {
  return (
    (typeof value === 'string' && value !== '') ||
    typeof value === 'number' ||
    (Array.isArray(value) && value.length > 0)
  );
}

/** A stage's options out of what commander read; flags that were not given are left to the API's defaults. */
export function fromFlags<S extends Stage>(stage: S, flags: object): OptionsOf<S> {
  const options: Record<string, unknown> = {};
  for (const [name, own] of Object.entries(stage)) {
    if (own.flag === undefined) continue;
    const flag = new Flag(own.flag);
    const value = (flags as Record<string, unknown>)[flag.attributeName()];
    if (value === undefined || (flag.negate && value === true)) continue;
    options[name] = value;
  }
  return options as OptionsOf<S>;
}

/** For options that are repeated. */
export function collect(value: string, list: string[] = []): string[] {
  return [...list, value];
}

/** For options that take a list, and may be repeated too. */
export function commaSeparated(value: string, list: string[] = []): string[] {
  return [...list, ...value.split(',').map((item) => item.trim())];
}

/** A list of numbers. */
export function numbers(value: string, list: number[] = []): number[] {
  return [...list, ...commaSeparated(value).map((item) => number(item) as number)];
}

/** What is no number stays as it was typed, for the check that refuses it or takes it as a name. */
export function number(value: string): number {
  return value.trim() === '' || Number.isNaN(Number(value)) ? (value as never) : Number(value);
}

/** Flags that were not given are left to the API's defaults. */
export function given<T extends object>(options: T): Partial<T> {
  return Object.fromEntries(Object.entries(options).filter(([, value]) => value !== undefined)) as Partial<T>;
}

/** Where a model is written: never over the one that is read. */
export function outputFile(out: string, model: string): string {
  if (existsSync(out) && existsSync(model) && realpathSync(out) === realpathSync(model))
    throw new GradcamppError('OUTPUT', `"--out" must be another file than the model; received "${out}".`);
  return out;
}

/** `data [N, 3, 224, 224], seed [N, 1000]` */
export function showValues(
  values: readonly { readonly name: string; readonly dims?: readonly (number | string)[] | undefined }[],
): string {
  const dimsOf = (dims: readonly (number | string)[] = ['?']) => dims.map((dim) => (dim === '' ? '?' : dim));
  return values.map(({ name, dims }) => `${name} [${dimsOf(dims).join(', ')}]`).join(', ');
}
