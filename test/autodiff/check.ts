import { afterAll, describe, expect, test } from 'vitest';
import { newestOpset, table } from '../../src/autodiff/table.js';
import { appendGradient } from '../../src/autodiff/walk.js';
import { type Graph, type Node, subgraph, type ValueInfo, valueInfo } from '../../src/graph/graph.js';
import { encode, modelOf } from '../../src/graph/to-model.js';
import { readModel } from '../../src/onnx/read.js';
import { DataType } from '../../src/onnx/types.js';
import { prepareGraph, simplify } from '../../src/runtime/prepare.js';
import { openSession, type Session } from '../../src/runtime/session.js';
import { sizeOf, type Tensor } from '../../src/tensor.js';
import { randomNumbers } from '../map/random.js';
import { type Built, buildCase, type Case, hash, realTensor, type Variant } from './case.js';
import { schema } from './schema.js';

/** Elements of a tensor that are differenced; beyond that, evenly chosen ones. */
const mostElements = 80;

/**
 * Steps and bounds. The fourth-order formula errs by h⁴·f⁽⁵⁾/30 and by about 1.5·ε·|f|/h.
 * double: h = 2⁻⁹ gives 5e-13·f⁽⁵⁾ and 2e-13·|f|: far below the bound of 1e-6 even for steep functions.
 * float: h = 2⁻⁶ gives 2e-9·f⁽⁵⁾ and 6e-6·|f|: far below 1e-3, and 2h stays within the gaps between the spread values.
 * Operators that are linear in what is differenced may take any step.
 */
const settings = {
  double: { type: DataType.DOUBLE, step: 2 ** -9, bound: 1e-6, same: 1e-9 },
  float: { type: DataType.FLOAT, step: 2 ** -6, bound: 1e-3, same: 2e-5 },
} as const;

/** Largest relative error seen in a family, by kind of check. */
const worst = new Map<string, { error: number; where: string }>();

/**
 * A test for each case: the prepared graph computes what the original does; the gradient equals central differences
 * of the original, with the adjoint identity over all elements; the gradient of the gradient equals differences of
 * the gradient; symbolic dims, other operator sets and float32 give the same gradient.
 */
export function describeCases(family: string, cases: readonly Case[]): void {
  describe(family, () => {
    for (const item of cases) test(`${item.op}: ${item.name}`, () => check(item));
    afterAll(() => {
      if (!process.env.AUTODIFF_ERRORS) return;
      for (const [kind, { error, where }] of worst)
        console.log(`${family}: ${kind} ${error.toExponential(1)} (${where})`);
    });
  });
}

async function check(item: Case): Promise<void> {
  const row = table[item.op];
  const [opset, ...otherOpsets] = new Set(item.opsets ?? [Math.max(18, row.since), newestOpset]);
  const setting = settings[item.type ?? 'double'];
  const built = buildCase(item, opset, setting.type);
  const { gradients, outputs } = await checkFirst(item, built, setting);
  const order = item.order ?? (item.byHand || row.outcome === 'stop' ? 1 : 2);
  if (order > 1) await checkHigher(item, order, built, setting, gradients);
  const same = async (what: string, other: Built, bound: number, type: DataType) => {
    const again = await gradientOf(item, other, outputs, type);
    for (const [name, expected] of Object.entries(gradients))
      record(item, what, errorOf(again[name].data, expected.data), bound);
  };
  for (const variant of item.dynamic ?? (['batch', 'space', 'all'] satisfies Variant[]))
    if (hasDims(item, variant))
      await same(
        `${variant} dims`,
        buildCase(item, opset, setting.type, variant),
        setting.same,
        setting.type,
      );
  // In float32: most operators have lost their double kernels in the newer sets.
  for (const other of setting.type === DataType.DOUBLE ? [opset, ...otherOpsets] : otherOpsets)
    await same(`opset ${other}, float32`, buildCase(item, other, DataType.FLOAT), 1e-4, DataType.FLOAT);
}

type Setting = (typeof settings)[keyof typeof settings];

const seedOf = (name: string, order = 1): string => `seed${order}/${name}`;
const gradientName = (name: string, order = 1): string => `gradient${order}/${name}`;

/** First order: values against the original, gradients against its differences or what is known by hand. */
async function checkFirst(
  item: Case,
  built: Built,
  setting: Setting,
): Promise<{ gradients: Record<string, Tensor>; outputs: readonly string[] }> {
  const original = await openSession(
    promoted(built.original, built.wrt),
    {
      threads: 1,
    },
    { level: 'disabled' },
  );
  const expected = await original.run(built.feeds);
  const outputs = Object.keys(expected).filter((name) => isReal(expected[name]));
  const seeded = (item.seeded ?? outputs.map((_, i) => i)).map((i) => outputs[i]);
  expect(seeded.length).toBeGreaterThan(0);
  const gradients = await gradientOf(item, built, seeded, setting.type, expected);
  if (item.byHand)
    item.byHand.forEach((values, i) => {
      record(item, 'by hand', errorOf(gradients[built.wrt[i]].data, values), setting.same);
    });
  else
    await compareWithDifferences(
      item,
      1,
      setting,
      original,
      built.feeds,
      built.wrt,
      seedsFor(item, seeded, expected, setting.type),
      gradients,
    );
  await original.close();
  return { gradients, outputs: seeded };
}

/** Seeds of an order: random for differences, ones where the answer is known by hand. */
function seedsFor(
  item: Case,
  names: readonly string[],
  like: Readonly<Record<string, Tensor>>,
  type: DataType,
  order = 1,
): Record<string, Tensor> {
  const random = randomNumbers(hash(`${order} ${item.op} ${item.name}`));
  const seeds: Record<string, Tensor> = {};
  for (const name of names) {
    const { dims } = like[name];
    const values = Array.from({ length: sizeOf(dims) }, () =>
      item.byHand ? 1 : Math.round((random() < 0.5 ? -1 : 1) * (0.5 + random()) * 4096) / 4096,
    );
    seeds[name] = realTensor(values, dims, type);
  }
  return seeds;
}

/** The gradient through the graph as real models are prepared; its values are compared with the original's. */
async function gradientOf(
  item: Case,
  built: Built,
  outputs: readonly string[],
  type: DataType,
  expected?: Readonly<Record<string, Tensor>>,
): Promise<Record<string, Tensor>> {
  const source = built.graph;
  const graph = await prepareGraph(await readModel(encode(modelOf(source, () => true))));
  const extended = withGradient(graph, outputs, built.wrt);
  const session = await openSession(
    { ...extended, outputs: [...extended.outputs, ...outputs.map(unknown)] },
    { threads: 1 },
  );
  const feeds: Record<string, Tensor> = {};
  for (const { name } of graph.inputs) feeds[name] = built.feeds[name];
  const values = expected ?? (await forward(built));
  for (const [name, tensor] of Object.entries(seedsFor(item, outputs, values, type)))
    feeds[seedOf(name)] = tensor;
  const made = await session.run(feeds);
  await session.close();
  if (expected)
    for (const name of outputs)
      record(
        item,
        'values',
        errorOf(made[name].data, expected[name].data),
        type === DataType.DOUBLE ? 1e-9 : 2e-5,
      );
  return Object.fromEntries(
    built.wrt.map((name) => {
      const gradient = made[gradientName(name)];
      expect(gradient.dims, `dims of the gradient of ${name}`).toEqual(built.feeds[name].dims);
      return [name, gradient];
    }),
  );
}

/** The graph that computes the gradients of `outputs`, under names of their own. */
function withGradient(
  graph: Graph,
  outputs: readonly string[],
  wrt: readonly string[],
  order = 1,
  keepPaths = false,
): Graph {
  const of = outputs.map((output) => ({ output, seed: seedOf(output, order) }));
  const { graph: extended, gradients } = appendGradient(graph, { of, wrt, keepPaths });
  // Closed under differentiation: what a rule writes has a rule itself.
  const open = extended.nodes.filter(({ opType, domain }) => domain !== '' || !isClosed(opType));
  expect(open.filter((node) => !graph.nodes.includes(node)).map(({ opType }) => opType)).toEqual([]);
  const seeds = of.map(({ output, seed }) => ({ ...valueInfo(graph, output), name: seed }));
  const plain = { opType: 'Identity', domain: '', attributes: new Map() };
  const named = wrt.map((name): Node => {
    const output = gradientName(name, order);
    return { ...plain, name: output, inputs: [gradients.get(name) as string], outputs: [output] };
  });
  const nodes = [...extended.nodes, ...named];
  const results = named.map(({ name }) => unknown(name));
  return {
    ...subgraph({ ...extended, nodes }, [...graph.inputs, ...seeds], [...results, ...outputs.map(unknown)]),
    outputs: results,
  };
}

async function forward(built: Built): Promise<Record<string, Tensor>> {
  const session = await openSession(
    promoted(built.original, built.wrt),
    { threads: 1 },
    {
      level: 'disabled',
    },
  );
  const values = await session.run(built.feeds);
  await session.close();
  return values;
}

/** Gradients of gradients, with respect to the inputs and to the seeds before. */
async function checkHigher(
  item: Case,
  orders: number,
  built: Built,
  setting: Setting,
  first: Readonly<Record<string, Tensor>>,
): Promise<void> {
  const { type } = setting;
  const source = promoted(built.graph, built.wrt);
  let graph = await prepareGraph(await readModel(encode(modelOf(source, () => true))));
  let feeds = built.feeds;
  let wrt = built.wrt;
  const values = await forward(built);
  let outputs = (
    item.seeded ?? Object.keys(values).flatMap((name, i) => (isReal(values[name]) ? [i] : []))
  ).map((i) => Object.keys(values)[i]);
  let like = values;
  for (let order = 1; order <= orders; order++) {
    const next = await simplify(withGradient(graph, outputs, wrt, order, true));
    const seeds = seedsFor(item, outputs, like, type, order);
    const nextFeeds = { ...feeds };
    for (const name of outputs) nextFeeds[seedOf(name, order)] = seeds[name];
    const session = await openSession(next, { threads: 1 });
    const made = await session.run(nextFeeds);
    await session.close();
    const byName = Object.fromEntries(wrt.map((name) => [name, made[gradientName(name, order)]]));
    if (order === 1)
      for (const name of wrt)
        record(item, 'paths kept', errorOf(byName[name].data, first[name].data), setting.same);
    else {
      const before = await openSession(graph, { threads: 1 });
      await compareWithDifferences(item, order, setting, before, feeds, wrt, seeds, byName);
      await before.close();
    }
    outputs = wrt.map((name) => gradientName(name, order));
    if (order === 1) wrt = [...wrt, ...Object.keys(nextFeeds).filter((name) => !(name in feeds))];
    graph = next;
    feeds = nextFeeds;
    like = made;
  }
}

/** Gradients against central differences, element by element, and along one random direction through all of them. */
async function compareWithDifferences(
  item: Case,
  order: number,
  setting: Setting,
  session: Session,
  feeds: Readonly<Record<string, Tensor>>,
  wrt: readonly string[],
  seeds: Readonly<Record<string, Tensor>>,
  gradients: Readonly<Record<string, Tensor>>,
): Promise<void> {
  const step = item.step ?? setting.step;
  const value = async (changed: Readonly<Record<string, Tensor>>): Promise<number> => {
    const results = await session.run({ ...feeds, ...changed });
    let sum = 0;
    for (const [name, seed] of Object.entries(seeds)) sum += dot(seed.data, results[name].data);
    return sum;
  };
  const along = async (move: (steps: number) => Record<string, Tensor>): Promise<number> => {
    const [far, near, less, least] = [2, 1, -1, -2].map((steps) => value(move(steps * step)));
    return (8 * ((await near) - (await less)) - ((await far) - (await least))) / (12 * step);
  };
  const kind = `order ${order}`;
  for (const name of wrt) {
    const { data, dims } = feeds[name];
    const x = numbers(data);
    const places = chosen(x.length);
    const differences: number[] = [];
    for (const place of places)
      differences.push(
        await along((h) => ({ [name]: realTensor(x.with(place, x[place] + h), dims, setting.type) })),
      );
    const gradient = numbers(gradients[name].data);
    const error = errorOf(
      places.map((place) => gradient[place]),
      differences,
    );
    record(item, `${kind} ${name}`, error, setting.bound, kind);
  }
  const random = randomNumbers(hash(`along ${item.op} ${item.name}`));
  const directions = wrt.map((name) =>
    Array.from({ length: feeds[name].data.length }, () => Math.round(random() * 256 - 128) / 256),
  );
  const moved = await along((h) =>
    Object.fromEntries(
      wrt.map((name, i) => [
        name,
        realTensor(
          numbers(feeds[name].data).map((x, j) => x + h * directions[i][j]),
          feeds[name].dims,
          setting.type,
        ),
      ]),
    ),
  );
  const products = wrt.map((name, i) => dot(gradients[name].data, directions[i]));
  const scale = wrt.map((name, i) =>
    dot(numbers(gradients[name].data).map(Math.abs), directions[i].map(Math.abs)),
  );
  const total = (list: number[]) => list.reduce((sum, part) => sum + part, 0);
  const error = Math.abs(total(products) - moved) / Math.max(total(scale), Number.MIN_VALUE);
  record(item, 'adjoint identity', total(scale) === 0 ? Math.abs(moved) : error, setting.bound);
}

/** Has a row, or takes no float. A Scan is written for recurrences of an unknown length alone, which end there. */
function isClosed(opType: string): boolean {
  if (opType === 'Scan') return true;
  const row = table[opType];
  return row ? row.outcome !== 'none' : schema.operators[opType]?.floatInputs.length === 0;
}

function chosen(length: number): number[] {
  const count = Math.min(length, mostElements);
  return Array.from({ length: count }, (_, i) => Math.floor((i * length) / count));
}

/** Largest difference, relative to the largest value; infinite where one is not a number. */
export function errorOf(actual: ArrayLike<number | bigint>, expected: ArrayLike<number | bigint>): number {
  if (actual.length !== expected.length) return Number.POSITIVE_INFINITY;
  let largest = 0;
  let error = 0;
  for (let i = 0; i < actual.length; i++) {
    const [a, b] = [Number(actual[i]), Number(expected[i])];
    if (!Number.isFinite(a) || !Number.isFinite(b)) return Number.POSITIVE_INFINITY;
    largest = Math.max(largest, Math.abs(a), Math.abs(b));
    error = Math.max(error, Math.abs(a - b));
  }
  return error === 0 ? 0 : error / largest;
}

function record(item: Case, what: string, error: number, bound: number, kind = what): void {
  const where = `${item.op}: ${item.name}`;
  const key = `${kind} (${item.type ?? 'double'})`;
  if (!((worst.get(key)?.error ?? -1) >= error)) worst.set(key, { error, where });
  expect(error, `${where}: ${what}`).toBeLessThanOrEqual(bound);
}

function dot(a: ArrayLike<number | bigint>, b: ArrayLike<number | bigint>): number {
  let sum = 0;
  for (let i = 0; i < a.length; i++) sum += Number(a[i]) * Number(b[i]);
  return sum;
}

const numbers = (data: Tensor['data']): number[] => Array.from(data as Float64Array, Number);
const isReal = ({ type }: Tensor): boolean => type === 'float32' || type === 'float64';
const unknown = (name: string): ValueInfo => ({ name, type: undefined, dims: undefined });

/** Whether a variant changes any input of the case. */
function hasDims(item: Case, variant: Variant): boolean {
  const fed = item.inputs.filter((input) => input && !input.constant && !input.fixed);
  const least = { batch: 1, space: 3, all: 1, unknown: 1 }[variant];
  return fed.some((input) => (input?.dims.length ?? 0) >= least);
}

/** The graph with the constants that are differentiated as inputs. */
function promoted(graph: Graph, wrt: readonly string[]): Graph {
  const constants = new Map(graph.constants);
  const inputs = [...graph.inputs];
  for (const name of wrt) {
    const constant = constants.get(name);
    if (!constant) continue;
    inputs.push({ name, type: constant.type, dims: constant.dims });
    constants.delete(name);
  }
  return { ...graph, inputs, constants };
}
