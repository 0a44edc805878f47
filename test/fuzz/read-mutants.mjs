// Reads damaged models one after the other and differentiates what can be read, in a process of its own, and says of
// each what became of it.
// Usage: node read-mutants.mjs DIST FIRST LAST MODEL...   (mutant i damages model i modulo their number with seed i)
import { readFileSync } from 'node:fs';
import { pathToFileURL } from 'node:url';
import { mutate } from './mutate.mjs';

const [dist, first, last, ...models] = process.argv.slice(2);
const load = (path) => import(pathToFileURL(`${dist}/${path}`).href);
const { GradcamppError } = await load('errors.js');
const { appendGradient } = await load('autodiff/walk.js');
const { valueInfo } = await load('graph/graph.js');
const { readModel } = await load('onnx/read.js');
const { prepareGraph } = await load('runtime/prepare.js');

const isFloat = (type) => type === 1 || type === 11;
const originals = models.map((path) => readFileSync(path));
const say = (line) => process.stdout.write(`${JSON.stringify(line)}\n`);
for (let i = Number(first); i < Number(last); i++) {
  const { kind, bytes } = mutate(originals[i % originals.length], i);
  say({ i, kind, began: true });
  const start = performance.now();
  let outcome = 'read';
  let message = '';
  try {
    const graph = await prepareGraph(await readModel(bytes));
    const output = graph.outputs.find(({ name }) => isFloat(valueInfo(graph, name).type))?.name;
    const wrt = graph.inputs.flatMap(({ name, type }) => (isFloat(type) ? [name] : []));
    if (output) appendGradient(graph, { of: [{ output, seed: 'seed of the gradient' }], wrt });
  } catch (error) {
    outcome = error instanceof GradcamppError ? 'refused' : 'foreign';
    message = outcome === 'foreign' ? String(error?.stack ?? error) : error.code;
  }
  say({ i, outcome, message, milliseconds: performance.now() - start, mebibytes: process.memoryUsage().rss / 2 ** 20 });
}
