// Reads damaged models one after the other, finds what can be explained and differentiates it, in a process of its own, and
// says of each what became of it.
// Usage: node read-mutants.mjs DIST FIRST LAST MODEL...   (mutant i damages model i modulo their number with seed i)
import { readFileSync } from 'node:fs';
import { pathToFileURL } from 'node:url';
import { fromBinary, toBinary } from '@bufbuild/protobuf';
import { mutateModel } from './mutate.mjs';

const [dist, first, last, ...models] = process.argv.slice(2);
const load = (path) => import(pathToFileURL(`${dist}/${path}`).href);
const { GradcamppError } = await load('errors.js');
const { gradientObstacle } = await load('autodiff/obstacle.js');
const { appendGradient } = await load('autodiff/walk.js');
const { valueInfo } = await load('graph/graph.js');
const { candidateLayers } = await load('graph/layers.js');
const { classNamesOf } = await load('graph/metadata.js');
const { findScores } = await load('graph/scores.js');
const { ModelProtoSchema } = await load('onnx/onnx_pb.js');
const { readModel } = await load('onnx/read.js');
const { prepareGraph } = await load('runtime/prepare.js');
const { openSession } = await load('runtime/session.js');

const isFloat = (type) => type === 1 || type === 11;
const originals = models.map((path) => readFileSync(path));
const say = (line) => process.stdout.write(`${JSON.stringify(line)}\n`);

const codec = { decode: (bytes) => fromBinary(ModelProtoSchema, bytes), encode: (proto) => toBinary(ModelProtoSchema, proto) };

async function read(bytes, inference) {
  const graph = await prepareGraph(await readModel(bytes), [], { inference });
  classNamesOf(graph);
  const wrt = graph.inputs.flatMap(({ name, type }) => (isFloat(type) ? [name] : []));
  const output = graph.outputs.find(({ name }) => isFloat(valueInfo(graph, name).type))?.name;
  if (output) appendGradient(graph, { of: [{ output, seed: 'seed of the gradient' }], wrt });
  const scores = findScores(graph);
  for (const image of wrt.slice(0, 1))
    for (const layer of candidateLayers({ graph, image, scores: scores.info.name }).slice(0, 2))
      gradientObstacle(graph, layer.name, scores.info.name);
  await (await openSession(graph, { threads: 1 })).close();
}

for (let i = Number(first); i < Number(last); i++) {
  const { kind, bytes } = mutateModel(originals[i % originals.length], i, codec);
  say({ i, kind, began: true });
  const start = performance.now();
  let outcome = 'read';
  let message = '';
  try {
    await read(bytes, i % 2 === 0);
  } catch (error) {
    outcome = error instanceof GradcamppError ? 'refused' : 'foreign';
    message = outcome === 'foreign' ? String(error?.stack ?? error) : error.message;
  }
  say({ i, outcome, message, milliseconds: performance.now() - start, mebibytes: process.memoryUsage().rss / 2 ** 20 });
}
