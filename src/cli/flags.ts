import { existsSync, realpathSync } from 'node:fs';
import { GradcamppError } from '../errors.js';

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
  return [...list, ...commaSeparated(value).map(number)];
}

/** What is no number stays as it was typed, for the message that refuses it. */
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
