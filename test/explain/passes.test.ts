import { expect, test } from 'vitest';
import { CaptionNetwork } from '../../src/caption/caption-network.js';
import { readParts } from '../../src/caption/read-parts.js';
import { NetworkExplainer } from '../../src/explain/network-explainer.js';
import { openDifferentiator } from '../../src/explain/passes.js';
import { openSession } from '../../src/runtime/session.js';
import { encoder, mergedDecoder, stepDecoder, wholeDecoder } from '../caption/captioner.js';
import { furthest } from '../targets/support.js';
import { bytesFrom, classifier, type ShortGraph, type ShortNode, values } from '../support/network.js';

/** Gradients of four seeds, one by one and all in one call, and how often a session ran for each. */
async function compared({ network, scores, explained, feeds: own }: NetworkExplainer, feeds = own) {
  let runs = 0;
  const { graph, image, fixedBatch } = network;
  const open: typeof openSession = async (...args) => {
    const session = await openSession(...args);
    return { ...session, run: (given) => (runs++, session.run(given)) };
  };
  const source = { graph, image, fixedBatch, open: (part: typeof graph) => open(part, { threads: 1 }) };
  const passes = await openDifferentiator(source, explained, scores, {});
  const [, ...rest] = (image.dims ?? []) as number[];
  const dims = [fixedBatch ?? 1, ...rest];
  const picture = { type: 'float32', dims, data: values(5, dims) } as const;
  const forward = await passes.forward({ ...feeds.of(0, 1, 1, dims[0]), [image.name]: picture });
  const length = forward.scores.data.length;
  const seeds = [0, 1, 2, 3].map((i) => values(20 + i, [length]));
  runs = 0;
  const alone: Float32Array[][] = [];
  for (const seed of seeds) alone.push(await passes.backward(forward, seed));
  const counts = [runs];
  runs = 0;
  const together = await passes.backwardEach(forward, seeds);
  counts.push(runs);
  const again = await passes.backward(forward, seeds[3]); // nothing of the forward pass is given away
  expect(furthest(again[0], alone[3][0])).toBe(0);
  const far = Math.max(...alone.flatMap((own, i) => own.map((part, l) => furthest(together[i][l], part))));
  return { counts, far };
}

test.each(Object.entries({ step: stepDecoder(), whole: wholeDecoder(), merged: mergedDecoder() }))(
  'seeds of one picture go through a %s decoder in one backward pass',
  async (_, decoder) => {
    const parts = await readParts({ encoder: encoder(), decoder, begin: 0, backend: 'reference' });
    const network = await CaptionNetwork.open(parts, 3);
    const { counts, far } = await compared(network.explainer, await network.feeds([0, 2, 3]));
    expect(counts).toEqual([4, 1]);
    expect(far).toBeLessThan(1e-5);
    await network.explainer.close();
  },
);

/** An overlapping maximum pooling, whose gradient reads places within the batch. */
function overlapping(): ShortGraph {
  const { nodes, ...rest } = classifier();
  const pool: ShortNode = ['MaxPool', ['relu1'], ['most'], { kernel_shape: [3, 3], pads: [1, 1, 1, 1] }];
  const behind = nodes.map(([type, inputs, ...own]): ShortNode => {
    return [type, inputs.map((name) => (name === 'relu1' ? 'most' : name)), ...own];
  });
  return { ...rest, nodes: [...behind.slice(0, 2), pool, ...behind.slice(2)] };
}

test.each<[string, ShortGraph, string, number]>([
  ['in one pass', classifier(), 'relu1', 1],
  ['one by one where N is fixed', classifier({ batch: 2 }), 'relu1', 4],
  ['in one pass where a gradient is the same at every place', classifier({ head: 'pool' }), 'relu2', 1],
  ['one by one where places within the batch are read', overlapping(), 'relu1', 4],
])('seeds of a classifier go %s', async (_, graph, layer, passes) => {
  await using explainer = await NetworkExplainer.open(bytesFrom(graph), { backend: 'reference', layer });
  const { counts, far } = await compared(explainer);
  expect(counts).toEqual([4, passes]);
  expect(far).toBeLessThan(1e-5);
});
