import { describe, expect, test } from 'vitest';
import { Explainer } from '../../src/batch/explainer.js';
import { exportable } from '../../src/export/export-options.js';
import { exportExplained } from '../../src/export/self-explaining.js';
import type { Method } from '../../src/explain/explain-options.js';
import { floatConstant, int64Constant } from '../../src/onnx/constant.js';
import { openSession } from '../../src/runtime/session.js';
import { exportableTargets, parseTarget, type Target, targetKinds } from '../../src/targets/index.js';
import { sizeOf, type Tensor } from '../../src/tensor.js';
import {
  bytesFrom,
  classifier,
  type ShortGraph,
  type ShortNode,
  values,
  weights,
} from '../support/network.js';

interface Compared {
  readonly method?: Method;
  readonly sidecar?: object;
}

/**
 * Exports a model with targets as they are typed, and holds its maps and classes against those of `explain`; targets that a picture
 * does not have are −1 and 0.
 *
 * @returns the largest value of the maps: 1 unless all are empty
 */
async function compare(graph: ShortGraph, typed: readonly string[], own: Compared = {}): Promise<number> {
  const { method = 'grad-cam', sidecar: preprocess } = own;
  const bytes = bytesFrom(graph);
  const image: Tensor<'float32'> = { type: 'float32', dims: [3, 3, 32, 32], data: values(5, [3, 3, 32, 32]) };
  const targets = typed.map(parseTarget) as Target[];
  const file = await exportExplained(bytes, { method, preprocess, layer: 'relu2', targets });
  const session = await openSession(file.graph);
  const { explanation_maps: maps, explained_classes: classes } = await session.run({ image });
  await session.close();
  await using explainer = await Explainer.open(bytes, { backend: 'reference', preprocess, layer: 'relu2' });
  const explained = await explainer.explain(image, { targets, method, batchSize: 3 });
  const [, T] = maps.dims;
  const size = sizeOf(maps.dims.slice(2));
  explained.forEach((picture, n) => {
    for (let t = 0; t < T; t++) {
      const map = Array.from(maps.data as Float32Array).slice((n * T + t) * size, (n * T + t + 1) * size);
      const expected = picture.targets[t];
      const index = Number((classes.data as BigInt64Array)[n * T + t]);
      if (!expected) {
        expect(Math.max(...map)).toBe(0);
        continue;
      }
      expect(index).toBe(expected.target.class ?? -1);
      const furthest = Math.max(...map.map((value, i) => Math.abs(value - expected.map.data[i])));
      expect(furthest).toBeLessThan(1e-4);
    }
  });
  return Math.max(...(maps.data as Float32Array));
}

/** relu2 [N, 6, 8, 8] of pictures [N, 3, 32, 32]. */
const trunk: readonly ShortNode[] = [
  ['Conv', ['image', 'w1', 'b1'], ['conv1'], { pads: [1, 1, 1, 1], strides: [2, 2] }],
  ['Relu', ['conv1'], ['relu1']],
  ['Conv', ['relu1', 'w2', 'b2'], ['conv2'], { pads: [1, 1, 1, 1], strides: [2, 2] }],
  ['Relu', ['conv2'], ['relu2']],
];
const trunkConstants = {
  w1: weights(1, [4, 3, 3, 3]),
  b1: weights(2, [4], 0.3),
  w2: weights(3, [6, 4, 3, 3]),
  b2: weights(4, [6], 0.3),
};
const network = (
  outputs: readonly string[],
  nodes: readonly ShortNode[],
  constants: ShortGraph['constants'],
): ShortGraph => ({
  inputs: { image: ['N', 3, 32, 32] },
  outputs,
  nodes: [...trunk, ...nodes],
  constants: { ...trunkConstants, ...constants },
});

/** Scores of so many classes for every position, [N, classes, 8, 8]. */
const segmenter = (classes: number, more: readonly ShortNode[] = [], output = 'scores') =>
  network([output], [['Conv', ['relu2', 'ws', 'bs'], ['scores']], ...more], {
    ws: weights(8, [classes, 6, 1, 1], 2),
    bs: classes === 1 ? floatConstant([0.5], [1]) : weights(9, [classes], 0.5),
  });

describe('segmentations', () => {
  test.each(['segmentation', 'segmentation:1', 'segmentation:top=3', 'class:1', 'top:2'])(
    '%s',
    async (typed) => {
      expect(await compare(segmenter(4), [typed])).toBe(1);
    },
  );

  const refusing = ['cam', 'attention-rollout']; // a network without a linear head, and without attention
  test.each(exportable.filter((name) => !refusing.includes(name)) as Method[])('by %s', async (method) => {
    expect(await compare(segmenter(4), ['segmentation:1'], { method })).toBeGreaterThanOrEqual(0);
  });

  test('with the channels last', async () => {
    const last = segmenter(4, [['Transpose', ['scores'], ['last'], { perm: [0, 2, 3, 1] }]], 'last');
    expect(await compare(last, ['segmentation', 'segmentation:3'])).toBe(1);
  });

  test('of one channel', async () => {
    const one = segmenter(1, [['Sigmoid', ['scores'], ['share']]], 'share');
    expect(await compare(one, ['segmentation'])).toBe(1);
  });

  test('in a mask', async () => {
    const mask = { data: new Uint8Array(64).fill(1, 0, 20), dims: [8, 8] };
    const bytes = bytesFrom(segmenter(4));
    const targets = [
      { kind: 'segmentation', mask },
      { kind: 'segmentation', class: 1, mask },
    ] as const;
    const image: Tensor<'float32'> = {
      type: 'float32',
      dims: [1, 3, 32, 32],
      data: values(5, [1, 3, 32, 32]),
    };
    const file = await exportExplained(bytes, { targets, layer: 'relu2' });
    const session = await openSession(file.graph);
    const { explanation_maps: maps } = await session.run({ image });
    await session.close();
    await using explainer = await Explainer.open(bytes, { backend: 'reference', layer: 'relu2' });
    const [{ targets: expected }] = await explainer.explain(image, { targets });
    expected.forEach(({ map }, t) => {
      const own = (maps.data as Float32Array).subarray(t * 1024, (t + 1) * 1024);
      map.data.forEach((value, i) => expect(Math.abs(value - own[i])).toBeLessThan(1e-4));
    });
  });
});

/** Boxes [N, 4, 8, 8] in pixels, an objectness, and scores of three classes; as they are, or probabilities. */
const parts = (areShares: boolean): ShortNode[] => [
  ['Conv', ['relu2', 'wb', 'bb'], ['conv_b']],
  ['Sigmoid', ['conv_b'], ['share_b']],
  ['Mul', ['share_b', 'pixels'], ['boxes']],
  ['Conv', ['relu2', 'wo', 'bo'], ['conv_o']],
  ['Conv', ['relu2', 'wc', 'bc'], ['conv_c']],
  ...(areShares
    ? ([
        ['Sigmoid', ['conv_o'], ['object']],
        ['Sigmoid', ['conv_c'], ['classes']],
      ] as ShortNode[])
    : ([
        ['Identity', ['conv_o'], ['object']],
        ['Identity', ['conv_c'], ['classes']],
      ] as ShortNode[])),
];
const detectorConstants = {
  wb: weights(10, [4, 6, 1, 1], 2),
  bb: weights(11, [4], 0.5),
  wo: weights(12, [1, 6, 1, 1], 3),
  bo: weights(13, [1], 0.5),
  wc: weights(14, [3, 6, 1, 1], 3),
  bc: weights(15, [3], 0.5),
  pixels: floatConstant([32], []),
  channels8: int64Constant([0, 8, -1]),
  channels7: int64Constant([0, 7, -1]),
  channels4: int64Constant([0, 4, -1]),
  channels3: int64Constant([0, 3, -1]),
};
const swapped: Record<string, number[]> = { perm: [0, 2, 1] };

const detectors: Record<string, ShortGraph> = {
  yolov8: network(
    ['output0'],
    [
      ...parts(true),
      ['Concat', ['boxes', 'classes'], ['all'], { axis: 1 }],
      ['Reshape', ['all', 'channels7'], ['output0']],
    ],
    detectorConstants,
  ),
  yolov5: network(
    ['output0'],
    [
      ...parts(true),
      ['Concat', ['boxes', 'object', 'classes'], ['all'], { axis: 1 }],
      ['Reshape', ['all', 'channels8'], ['flat']],
      ['Transpose', ['flat'], ['output0'], swapped],
    ],
    detectorConstants,
  ),
  'yolov5 without a sigmoid': network(
    ['output0'],
    [
      ...parts(false),
      ['Concat', ['boxes', 'object', 'classes'], ['all'], { axis: 1 }],
      ['Reshape', ['all', 'channels8'], ['flat']],
      ['Transpose', ['flat'], ['output0'], swapped],
    ],
    detectorConstants,
  ),
  ssd: network(
    ['scores', 'boxes_out'],
    [
      ...parts(false),
      ['Reshape', ['classes', 'channels3'], ['flat_c']],
      ['Transpose', ['flat_c'], ['turned'], swapped],
      ['Softmax', ['turned'], ['scores'], { axis: -1 }],
      ['Reshape', ['boxes', 'channels4'], ['flat_b']],
      ['Transpose', ['flat_b'], ['boxes_out'], swapped],
    ],
    { ...detectorConstants, bc: floatConstant([4, 0, 0], [3]) }, // a background, as most candidates have it
  ),
  detr: network(
    ['logits', 'pred_boxes'],
    [
      ...parts(false),
      ['Reshape', ['classes', 'channels3'], ['flat_c']],
      ['Transpose', ['flat_c'], ['logits'], swapped],
      ['Reshape', ['share_b', 'channels4'], ['flat_b']],
      ['Transpose', ['flat_b'], ['pred_boxes'], swapped],
    ],
    detectorConstants,
  ),
  end2end: network(
    ['output0'],
    [
      ...parts(true),
      ['Reshape', ['classes', 'channels3'], ['flat_c']],
      ['Reshape', ['boxes', 'channels4'], ['flat_b']],
      ['ReduceMax', ['flat_c', 'one'], ['most'], { keepdims: 1 }],
      ['ArgMax', ['flat_c'], ['label'], { axis: 1, keepdims: 1 }],
      ['Cast', ['label'], ['label_f'], { to: 1 }],
      ['TopK', ['most', 'thirty'], ['best', 'at'], { axis: 2 }],
      ['GatherElements', ['label_f', 'at'], ['label_at'], { axis: 2 }],
      ['Tile', ['at', 'four'], ['at4']],
      ['GatherElements', ['flat_b', 'at4'], ['box_at'], { axis: 2 }],
      ['Concat', ['box_at', 'best', 'label_at'], ['found'], { axis: 1 }],
      ['Transpose', ['found'], ['output0'], swapped],
    ],
    {
      ...detectorConstants,
      one: int64Constant([1]),
      thirty: int64Constant([30]),
      four: int64Constant([1, 4, 1]),
    },
  ),
};

describe('detections', () => {
  test.each(Object.keys(detectors))('%s: the best, of a class, several, at a box, by index', async (name) => {
    const graph = detectors[name];
    const best = ['detection', 'detection:1', 'detection:top=4', 'detection:1:top=3', 'top:2'];
    const given = ['detection:at=4,4,20,20', 'detection:1:at=4,4,20,20', 'detection:index=7'];
    let empty = 0;
    for (const typed of [...best, ...given]) if ((await compare(graph, [typed])) === 0) empty++;
    expect(empty).toBeLessThan(4); // few of the candidates that are left have class 1
    for (const method of ['layer-cam', 'shapley-cam', 'eigen-grad-cam', 'saliency'] as const)
      expect(await compare(graph, ['detection'], { method })).toBeGreaterThanOrEqual(0);
  });
});

describe('other targets', () => {
  const own = { ...classifier(), inputs: { image: ['N', 3, 32, 32] } } as ShortGraph;
  const scores = network(
    ['logits'],
    [
      ['GlobalAveragePool', ['relu2'], ['pooled']],
      ['Flatten', ['pooled'], ['flat']],
      ['Gemm', ['flat', 'w3', 'b3'], ['logits'], { transB: 1 }],
    ],
    { w3: weights(5, [5, 6]), b3: weights(6, [5], 0.3) },
  );
  const one = (tail: readonly ShortNode[], output: string) =>
    network(
      [output],
      [
        ['GlobalAveragePool', ['relu2'], ['pooled']],
        ['Flatten', ['pooled'], ['flat']],
        ['Gemm', ['flat', 'w3'], ['value'], { transB: 1 }],
        ...tail,
      ],
      { w3: weights(5, [1, 6]) },
    );

  test('of scores: classes, the best, rivals, positions, expressions', async () => {
    expect(own.outputs).toHaveLength(1);
    expect(await compare(scores, ['class:3', 'top:2', 'contrast:1:rivals=0,2', 'output:logits:4'])).toBe(1);
    expect(await compare(scores, ['expression:logits[0,3] - 0.5*logits[0,4]'])).toBe(1);
  });

  test('of one score', async () => {
    expect(await compare(one([], 'value'), ['regression', 'regression:negative'])).toBe(1);
    expect(await compare(one([['Sigmoid', ['value'], ['share']]], 'share'), ['binary'])).toBe(1);
    expect(await compare(one([['Sigmoid', ['value'], ['share']]], 'share'), ['binary:negative'])).toBe(1);
  });

  test('what cannot be exported is refused, and what can is named', async () => {
    expect(targetKinds.filter((name) => !exportableTargets.includes(name))).toEqual([
      'reading',
      'caption',
      'embedding',
    ]);
    const refused = (targets: Target) => exportExplained(bytesFrom(scores), { targets, layer: 'relu2' });
    await expect(refused({ kind: 'embedding', to: [1, 2, 3, 4, 5] })).rejects.toThrow(
      `The target "embedding" cannot be exported, since no graph holds how it is found in a picture; use one of ${exportableTargets.join(', ')}.`,
    );
    await expect(refused({ kind: 'contrast', class: 1 })).rejects.toThrow(
      `since asked for in this way it depends on the values of each picture; name class and rivals (contrast:CLASS:rivals=A,B), or use one of ${exportableTargets.filter((name) => name !== 'contrast').join(', ')}.`,
    );
    await expect(refused({ top: 9 })).rejects.toThrow('from 1 to 5');
    expect(exportable).toContain('layer-cam');
  });
});
