import * as fc from 'fast-check';
import { expect, test } from 'vitest';
import { appendGradient } from '../../src/autodiff/walk.js';
import { subgraph, type ValueInfo, valueInfo } from '../../src/graph/graph.js';
import { modelFile } from '../../src/graph/model-file.js';
import { readModel } from '../../src/onnx/read.js';
import { prepareGraph } from '../../src/runtime/prepare.js';
import { openSession, type Session } from '../../src/runtime/session.js';
import { sizeOf, type Tensor } from '../../src/tensor.js';
import { randomNumbers } from '../map/random.js';
import { graphOfProgram, type Program, type RandomGraph } from './graphs.js';

/** Random graphs; `npm run fuzz` makes 2,000 of a new seed. */
const count = Number(process.env.FUZZ_GRAPHS ?? 100);
const seed = Number(process.env.FUZZ_SEED ?? 1);

/**
 * Steps and bounds of the differences along a random direction, fourth order. In double the error is about h⁴ and
 * 10⁻¹⁶·|f|/h. In float32 rounding dominates: 10⁻⁷·√(depth)·|f|/h, some 10⁻⁴ of gradients that are about as large as f.
 */
const settings = { double: { step: 2 ** -10, bound: 1e-6 }, single: { step: 2 ** -7, bound: 1e-2 } };

/** Directions that are tried: a kink within the steps makes differences at h and h/2 disagree, and says nothing. */
const mostDirections = 30;
const mostMisses = 4;

const program: fc.Arbitrary<Program> = fc.record({
  inputs: fc.array(
    fc.oneof(
      fc.array(fc.integer({ min: 1, max: 5 }), { minLength: 1, maxLength: 3 }),
      fc.tuple(...[1, 2, 3, 4].map(() => fc.integer({ min: 1, max: 4 }))),
    ),
    { minLength: 1, maxLength: 3 },
  ),
  steps: fc.array(
    fc.record({
      operator: fc.nat(10_000),
      picks: fc.array(fc.nat(10_000), { minLength: 12, maxLength: 12 }),
    }),
    { minLength: 2, maxLength: 30 },
  ),
  symbolic: fc.boolean(),
  seed: fc.nat(2 ** 30),
});

type Outcome = 'checked' | 'kinks' | 'not finite';

async function check(item: Program, isSingle: boolean): Promise<Outcome> {
  const random = randomNumbers(item.seed);
  const made = graphOfProgram(item, isSingle, random);
  const original = await openSession(made.graph, { threads: 1 }, { level: 'disabled' });
  try {
    const values = await original.run(made.feeds);
    const finite = made.outputs.every((name) =>
      Array.from(values[name].data, Number).every((x) => Math.abs(x) < 1e6),
    );
    if (!finite) return 'not finite';
    const seeds = new Map(made.outputs.map((name) => [name, like(values[name], random)]));
    const gradients = await gradientsOf(made, seeds);
    return await compare(
      made,
      original,
      seeds,
      gradients,
      isSingle ? settings.single : settings.double,
      random,
    );
  } finally {
    await original.close();
  }
}

/** Random numbers in the dims of a tensor. */
function like({ type, dims }: Tensor, random: () => number): Tensor {
  const numbers = Array.from({ length: sizeOf(dims) }, () => random() * 2 - 1);
  return type === 'float32'
    ? { type: 'float32', dims, data: Float32Array.from(numbers) }
    : { type: 'float64', dims, data: Float64Array.from(numbers) };
}

async function gradientsOf(
  { graph, feeds, outputs }: RandomGraph,
  seeds: ReadonlyMap<string, Tensor>,
): Promise<Record<string, Tensor>> {
  const ready = await prepareGraph(await readModel(modelFile(graph).toBytes()));
  const of = outputs.map((output) => ({ output, seed: `seed/${output}` }));
  const wrt = graph.inputs.map(({ name }) => name);
  const { graph: extended, gradients } = appendGradient(ready, { of, wrt });
  const infos = of.map(({ output, seed: name }): ValueInfo => ({ ...valueInfo(ready, output), name }));
  const names = [...new Set(gradients.values())];
  const wanted = names.map((name): ValueInfo => ({ name, type: undefined, dims: undefined }));
  const session = await openSession(subgraph(extended, [...ready.inputs, ...infos], wanted), { threads: 1 });
  const seedFeeds = Object.fromEntries([...seeds].map(([name, tensor]) => [`seed/${name}`, tensor]));
  const results = await session.run({ ...feeds, ...seedFeeds });
  await session.close();
  return Object.fromEntries(wrt.map((name) => [name, results[gradients.get(name) as string]]));
}

async function compare(
  { graph, feeds }: RandomGraph,
  session: Session,
  seeds: ReadonlyMap<string, Tensor>,
  gradients: Readonly<Record<string, Tensor>>,
  { step, bound }: { step: number; bound: number },
  random: () => number,
): Promise<Outcome> {
  const names = graph.inputs.map(({ name }) => name);
  const dot = (a: Tensor, b: Tensor) => {
    let sum = 0;
    for (let i = 0; i < a.data.length; i++) sum += Number(a.data[i]) * Number(b.data[i]);
    return sum;
  };
  for (const name of names) expect(gradients[name].dims, name).toEqual(feeds[name].dims);
  const operators = graph.nodes.map(({ opType }) => opType).join(' ');
  const misses: string[] = [];
  for (let attempt = 0; attempt < mostDirections; attempt++) {
    const directions = Object.fromEntries(names.map((name) => [name, like(feeds[name], random)]));
    const value = async (h: number) => {
      const moved = Object.entries(feeds).map(([name, { type, dims, data }]) => {
        const shifted = Array.from(
          { length: data.length },
          (_, i) => Number(data[i]) + h * Number(directions[name].data[i]),
        );
        const tensor = type === 'float32' ? Float32Array.from(shifted) : Float64Array.from(shifted);
        return [name, { type, dims, data: tensor } as Tensor];
      });
      const results = await session.run(Object.fromEntries(moved));
      let sum = 0;
      for (const [name, tensor] of seeds) sum += dot(results[name], tensor);
      return sum;
    };
    const difference = async (h: number) => {
      const [a, b, c, d] = [await value(2 * h), await value(h), await value(-h), await value(-2 * h)];
      return (8 * (b - c) - (a - d)) / (12 * h);
    };
    const [coarse, fine] = [await difference(step), await difference(step / 2)];
    const size = names.reduce((sum, name) => sum + magnitude(gradients[name], directions[name]), 0);
    const limit = bound * Math.max(size, Math.abs(fine), 1e-3);
    if (Math.abs(coarse - fine) > limit / 10 || (await bends(value, step, limit / 5))) continue;
    const product = names.reduce((sum, name) => sum + dot(gradients[name], directions[name]), 0);
    if (Math.abs(product - fine) <= limit) return 'checked';
    misses.push(`${product} against ${fine}`);
    // A kink at the right distance fools the tests above now and then; a wrong gradient misses in every direction.
    expect(misses.length, `${misses.join(', ')}: ${operators}`).toBeLessThan(mostMisses);
  }
  return 'kinks';
}

/**
 * Whether there is a kink where the differences are centred, which both steps see alike. Second differences over h are
 * the jump of the slope plus h times the second derivative; two steps tell them apart.
 */
async function bends(value: (h: number) => Promise<number>, h: number, limit: number): Promise<boolean> {
  const middle = await value(0);
  const second = async (step: number) => ((await value(step)) - 2 * middle + (await value(-step))) / step;
  return Math.abs(2 * (await second(h / 2)) - (await second(h))) > limit;
}

function magnitude(a: Tensor, b: Tensor): number {
  let sum = 0;
  for (let i = 0; i < a.data.length; i++) sum += Math.abs(Number(a.data[i]) * Number(b.data[i]));
  return sum;
}

test.each([
  ['double', false, 0.7],
  ['single', true, 0.3],
] as const)(
  'random graphs in %s precision: gradients against differences',
  async (_, isSingle, part) => {
    const outcomes: Outcome[] = [];
    await fc.assert(
      fc.asyncProperty(program, async (item) => {
        outcomes.push(await check(item, isSingle));
      }),
      { numRuns: Math.ceil(count * part), seed },
    );
    const checked = outcomes.filter((outcome) => outcome === 'checked').length;
    // What could not be compared (kinks everywhere, values that ran away) must stay the exception.
    expect(checked / outcomes.length).toBeGreaterThan(0.9);
  },
  30 * 60_000,
);
