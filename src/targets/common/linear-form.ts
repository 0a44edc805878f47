import { invalid } from '../../check.js';
import type { GradcamppError } from '../../errors.js';

/** Which indices of an axis are meant: one, or those from `from` to before `to`; negative ones count from the end. */
export type Index = number | { readonly from?: number; readonly to?: number };

/** Positions of an output: none are given where it has one value. */
export interface Selection {
  readonly output: string;
  readonly indices: readonly Index[] | undefined;
  /** How several positions become one number; undefined: there may be one alone. */
  readonly by: 'sum' | 'mean' | undefined;
}

/** Σ weight · selection + constant. */
export interface LinearForm {
  readonly constant: number;
  readonly terms: readonly { readonly weight: number; readonly of: Selection }[];
}

/** `0.5 * logits[0, 3] - mean(boxes[2, :])` as numbers and positions. Names with other signs than letters stand in quotes. */
export function parseLinearForm(text: string): LinearForm {
  const tokens = tokensOf(text);
  let at = 0;
  const peek = () => tokens[at];
  const next = () => tokens[at++];
  const fault = (expected: string): GradcamppError =>
    invalid(
      'targets.of',
      `an expression as "logits[0,3] - 0.5*logits[0,4]", with ${expected} ${peek() === undefined ? 'at its end' : `at "${peek()?.text}"`}`,
      text,
      '',
      'INVALID_TARGET',
    );
  const take = (sign: string) => {
    if (peek()?.text !== sign || peek()?.kind !== 'sign') throw fault(`"${sign}"`);
    at++;
  };
  const isSign = (...signs: string[]) => peek()?.kind === 'sign' && signs.includes(peek()?.text as string);

  const sum = (): LinearForm => {
    let form = product();
    while (isSign('+', '-')) {
      const sign = next().text === '+' ? 1 : -1;
      form = added(form, product(), sign);
    }
    return form;
  };
  const product = (): LinearForm => {
    let form = signed();
    while (isSign('*', '/')) {
      const isTimes = next().text === '*';
      const other = signed();
      const isNumber = other.terms.length === 0;
      if (!isNumber && !(isTimes && form.terms.length === 0))
        throw fault('no product or quotient of outputs, which is not linear,');
      if (!isTimes && other.constant === 0) throw fault('no division by 0');
      form = isNumber
        ? scaled(form, isTimes ? other.constant : 1 / other.constant)
        : scaled(other, form.constant);
    }
    return form;
  };
  const signed = (): LinearForm => {
    if (!isSign('+', '-')) return factor();
    return next().text === '-' ? scaled(signed(), -1) : signed();
  };
  const factor = (): LinearForm => {
    const token = peek();
    if (token?.kind === 'number') return { constant: Number(next().text), terms: [] };
    if (isSign('(')) {
      at++;
      const form = sum();
      take(')');
      return form;
    }
    if (token?.kind !== 'name') throw fault('a number or the name of an output');
    const isFunction =
      !token.isQuoted && (token.text === 'sum' || token.text === 'mean') && tokens[at + 1]?.text === '(';
    const by = isFunction ? (next().text as 'sum' | 'mean') : undefined;
    if (by) take('(');
    const of = { ...selection(), by };
    if (by) take(')');
    return { constant: 0, terms: [{ weight: 1, of }] };
  };
  const selection = (): Omit<Selection, 'by'> => {
    if (peek()?.kind !== 'name') throw fault('the name of an output');
    const output = next().text;
    if (!isSign('[')) return { output, indices: undefined };
    const indices: Index[] = [];
    do {
      at++;
      indices.push(index());
    } while (isSign(','));
    take(']');
    return { output, indices };
  };
  const index = (): Index => {
    const from = isSign(':') ? undefined : whole();
    if (!isSign(':')) return from as number;
    at++;
    const to = isSign(',', ']') ? undefined : whole();
    return { ...(from === undefined ? {} : { from }), ...(to === undefined ? {} : { to }) };
  };
  const whole = (): number => {
    const sign = isSign('-') ? -1 : 1;
    if (sign < 0) at++;
    const token = peek();
    if (token?.kind !== 'number' || !/^\d+$/.test(token.text)) throw fault('a whole number');
    return sign * Number(next().text);
  };

  const form = sum();
  if (peek() !== undefined) throw fault('an operator');
  if (form.terms.length === 0) throw fault('at least one output');
  if (![form.constant, ...form.terms.map(({ weight }) => weight)].every(Number.isFinite))
    throw fault('finite numbers');
  return form;
}

function added(a: LinearForm, b: LinearForm, sign: number): LinearForm {
  const own = scaled(b, sign);
  return { constant: a.constant + own.constant, terms: [...a.terms, ...own.terms] };
}

function scaled({ constant, terms }: LinearForm, factor: number): LinearForm {
  return {
    constant: constant * factor,
    terms: terms.map(({ weight, of }) => ({ weight: weight * factor, of })),
  };
}

interface Token {
  readonly kind: 'number' | 'name' | 'sign';
  readonly text: string;
  readonly isQuoted?: boolean;
}

function tokensOf(text: string): Token[] {
  const pattern =
    /\s*(?:(\d+\.?\d*(?:e[+-]?\d+)?|\.\d+(?:e[+-]?\d+)?)|"([^"]+)"|([\p{L}_][\p{L}\p{N}_.]*)|([-+*/()[\],:]))/uy;
  const found: Token[] = [];
  const end = text.trimEnd().length;
  while (pattern.lastIndex < end) {
    const at = pattern.lastIndex;
    const match = pattern.exec(text);
    if (!match)
      throw invalid(
        'targets.of',
        'an expression of numbers, names of outputs (in double quotes where they hold other signs), brackets and + - * /',
        text.slice(at),
        '',
        'INVALID_TARGET',
      );
    const [, number, quoted, name, sign] = match;
    if (number !== undefined) found.push({ kind: 'number', text: number });
    else if (quoted !== undefined) found.push({ kind: 'name', text: quoted, isQuoted: true });
    else if (name !== undefined) found.push({ kind: 'name', text: name });
    else found.push({ kind: 'sign', text: sign });
  }
  return found;
}

/** The places that indices select among dims, counted row by row. Fewer indices than dims leave the last axes whole. */
export function placesIn(dims: readonly number[], indices: readonly Index[]): number[] {
  let places = [0];
  for (const [axis, dim] of dims.entries()) {
    const own = indicesOf(indices[axis] ?? {}, dim);
    places = places.flatMap((place) => own.map((index) => place * dim + index));
  }
  return places;
}

function indicesOf(index: Index, dim: number): number[] {
  const at = (value: number) => (value < 0 ? value + dim : value);
  if (typeof index === 'number') {
    if (at(index) >= 0 && at(index) < dim) return [at(index)];
    throw invalid(
      'targets.of',
      `an expression with indices from 0 to ${dim - 1} on an axis of ${dim}`,
      index,
      '',
      'INVALID_TARGET',
    );
  }
  const [from, to] = [Math.max(at(index.from ?? 0), 0), Math.min(at(index.to ?? dim), dim)];
  if (from < to) return Array.from({ length: to - from }, (_, i) => from + i);
  throw invalid(
    'targets.of',
    `an expression with a range within 0:${dim} on an axis of ${dim}`,
    `${from}:${to}`,
    '',
    'INVALID_TARGET',
  );
}
