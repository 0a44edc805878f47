// Processor time of a training step of ResNet-8 (78k weights), batch 64 at 32 × 32, one thread, by what the loss is:
// cross entropy, with distillation, with the explanation loss at each stage. Then what steps would take if weights were constants, which
// ONNX Runtime packs for its blocked convolutions, and what it takes to open such a session. Alternating; medians, and medians
// of the ratios of pairs.
// Usage: npm run build && node bench/training.mjs [--rounds 20]
import { parseArgs } from 'node:util';
import { openSession } from '../dist/runtime/session.js';
import { trainingGraph } from '../dist/train/trainer.js';
import { buildStudent, crossEntropy, DataType, distillation, explanationLoss, Sgd, sumOfTerms, Trainer, weightsOf } from '../dist/train/index.js';
import { median, pairedRatio, processorTime, round } from './measure.mjs';

const { values } = parseArgs({ options: { rounds: { type: 'string', default: '20' } } });
const N = 64;
const tensor = (dims, of) => ({ type: 'float32', dims, data: Float32Array.from({ length: dims.reduce((a, b) => a * b, 1) }, (_, i) => of(i)) });
const noise = (i) => Math.sin(i * 12.9898) * Math.cos(i * 0.0781);
const base = {
  image: tensor([N, 3, 32, 32], noise),
  labels: tensor([N, 10], (i) => Number(i % 10 === Math.floor(i / 10) % 10)),
};
const stages = { 1: 32, 2: 16, 3: 8 };
const ce = (b) => ({ value: crossEntropy(b, 'scores', 'labels') });
const map = (b, stage) => ({
  value: explanationLoss(b, { scores: 'scores', labels: 'labels', layer: `stage${stage}.0/relu`, teacher: 'map' }),
  weight: 2,
});
const losses = {
  'cross entropy': { loss: (b) => sumOfTerms(b, { ce: ce(b) }), feeds: {} },
  'cross entropy + distillation': {
    loss: (b) => sumOfTerms(b, { ce: ce(b), kd: { value: distillation(b, 'scores', 'teacher', 4) } }),
    feeds: { teacher: tensor([N, 10], (i) => 5 * noise(i)) },
  },
  ...Object.fromEntries(
    [3, 2, 1].map((stage) => [
      `cross entropy + explanation, stage ${stage}`,
      {
        loss: (b) => sumOfTerms(b, { ce: ce(b), map: map(b, stage) }),
        feeds: { map: tensor([N, 1, stages[stage], stages[stage]], (i) => Math.abs(noise(i))) },
      },
    ]),
  ),
};
const open = [];
for (const [name, { loss, feeds }] of Object.entries(losses)) {
  const graph = buildStudent('resnet-8', { classes: 10, size: [32, 32], seed: 1 });
  const inputs = Object.entries({ labels: base.labels, ...feeds }).map(([input, { dims }]) => ({
    name: input,
    type: DataType.FLOAT,
    dims: ['N', ...dims.slice(1)],
  }));
  const all = { ...base, ...feeds };
  const trainer = await Trainer.open(graph, { weights: weightsOf(graph), inputs, loss, threads: 1 });
  const optimizer = new Sgd({ weightDecay: 5e-4 });
  open.push({
    name,
    times: [],
    run: async () => {
      const { gradients } = await trainer.step(all);
      optimizer.update(trainer.weights, gradients, 0.01);
    },
  });
  if (!/entropy$|stage 3$/.test(name)) continue;
  const constant = await withConstants(graph, inputs, loss);
  const session = await openSession(constant, { threads: 1 });
  open.push({ name: `${name}, weights constant`, times: [], run: () => session.run(all) });
  open.push({
    name: `${name}, opening that session`,
    times: [],
    run: async () => (await openSession(constant, { threads: 1 })).close(),
  });
}

/** The graph of a step with its weights and running statistics as constants. */
async function withConstants(network, inputs, loss) {
  const { graph } = await trainingGraph(network, weightsOf(network), inputs, loss);
  const isFed = ({ name }) => !network.constants.has(name);
  const fixed = graph.inputs.filter((input) => !isFed(input)).map(({ name }) => [name, network.constants.get(name)]);
  return { ...graph, inputs: graph.inputs.filter(isFed), constants: new Map([...graph.constants, ...fixed]) };
}

for (let i = 0; i < Number(values.rounds) + 3; i++)
  for (const { run, times } of open) {
    const start = processorTime();
    await run();
    if (i >= 3) times.push(processorTime() - start);
  }
for (const { name, times } of open)
  console.log(`${name.padEnd(60)} ${round(median(times), 3)} ms, ${pairedRatio(times, open[0].times)} of cross entropy`);
