import { describe, expect, test } from 'vitest';
import { Explainer } from '../../src/batch/explainer.js';
import { modelFile } from '../../src/graph/model-file.js';
import { int64Constant } from '../../src/onnx/constant.js';
import { overlap } from '../../src/targets/common/boxes.js';
import { type DetectionTarget, detectionTarget } from '../../src/targets/detection.js';
import { parseTarget, type Target } from '../../src/targets/index.js';
import type { Facts, Goal, NetworkFacts, Output, Row, Tools } from '../../src/targets/target.js';
import {
  bytesFrom,
  classifier,
  graphFrom,
  type ShortGraph,
  type ShortNode,
  values,
  weights,
} from '../support/network.js';
import { facts, holdsAgainstOracle, networkFacts, randomRow, seedIsDerivative } from './support.js';

holdsAgainstOracle(() => ({
  name: 'yolo',
  layer: '/t/c/c.1/Relu_output_0',
  targets: [[{ kind: 'detection' }], [{ kind: 'detection' }]],
}));

type Dims = readonly (number | string)[];
const names = (count: number) => Array.from({ length: count }, (_, i) => ({ name: `class ${i}` }));
const output = (name: string, dims: Dims, own: Partial<Output> = {}): Output => ({
  name,
  value: name,
  dims,
  link: 'softmax',
  isStepped: false,
  ...own,
});
const network = (outputs: readonly Output[], own: Partial<NetworkFacts> = {}) =>
  networkFacts([], { output: outputs[0], outputs, ...own });

/** What the target is once the network is known. */
function ready(spec: DetectionTarget, known: NetworkFacts): { spec: DetectionTarget; note?: string } {
  return detectionTarget.prepare?.(spec, known, {} as Tools) as { spec: DetectionTarget; note?: string };
}

function goalsIn(
  row: Row,
  known: NetworkFacts,
  spec: Partial<DetectionTarget> = {},
  own: Partial<Facts> = {},
): Goal[] {
  detectionTarget.check({ kind: 'detection', ...spec });
  const planned = ready({ kind: 'detection', ...spec }, known).spec;
  return detectionTarget.find(planned, row, facts({ size: [32, 32], classes: known.classes, ...own }));
}

/** Random probabilities, and boxes of centre and size in pixels of a 32 × 32 input. */
function candidates(seed: number, count: number, channels: number): number[][] {
  const { data } = randomRow(seed, [count, channels], 1);
  return Array.from({ length: count }, (_, i) =>
    Array.from(data.subarray(i * channels, (i + 1) * channels), (value, k) =>
      k < 4 ? 4 + 12 * (value + 1) * (k < 2 ? 1 : 0.4) : (value + 1) / 2,
    ),
  );
}
const byCandidate = (list: readonly number[][]): Row => ({
  dims: [list.length, list[0].length],
  data: Float32Array.from(list.flat()),
});
const byChannel = (list: readonly number[][]): Row => ({
  dims: [list[0].length, list.length],
  data: Float32Array.from(list[0].flatMap((_, k) => list.map((item) => item[k]))),
});
const centred = ([x, y, width, height]: readonly number[]) => ({
  x: x - width / 2,
  y: y - height / 2,
  width,
  height,
});

describe('YOLO', () => {
  const list = candidates(1, 84, 4 + 3); // strides 4, 8 and 16 of 32 × 32

  test('YOLOv8: [N, 4 + classes, candidates]', () => {
    const row = byChannel(list);
    const [goal] = goalsIn(row, network([output('output0', ['N', 7, 84])]));
    const scores = list.map((item) => Math.max(...item.slice(4)));
    const best = scores.indexOf(Math.max(...scores));
    expect(goal).toMatchObject({ kind: 'detection', class: list[best].slice(4).indexOf(scores[best]) });
    expect(goal.value(row)).toBeCloseTo(scores[best], 6);
    expect(goal.probability?.(row)).toBe(goal.value(row));
    expect(goal.box?.x).toBeCloseTo(centred(list[best]).x, 4);
    expect(goal.box?.height).toBeCloseTo(list[best][3], 4);
  });

  test('the same with candidates first, where the number of names says so', () => {
    const first = byCandidate(list);
    const known = network([output('output0', ['N', 84, 7])], { classes: names(3) });
    const [a] = goalsIn(first, known);
    const [b] = goalsIn(byChannel(list), network([output('output0', ['N', 7, 84])], { classes: names(3) }));
    expect([a.name, a.value(first), a.box]).toEqual([b.name, b.value(byChannel(list)), b.box]);
  });

  test('YOLOv5: [N, candidates, 5 + classes], objectness times class', () => {
    const five = candidates(2, 63, 5 + 2); // three a cell of strides 8, 16 and 32
    const row = byCandidate(five);
    const [goal] = goalsIn(row, network([output('output', ['N', 63, 7])]));
    const scores = five.flatMap((item) => item.slice(5).map((value) => item[4] * value));
    expect(goal.value(row)).toBeCloseTo(Math.max(...scores), 6);
    const seed = Array.from(goal.seed(row));
    const i = Math.floor(scores.indexOf(Math.max(...scores)) / 2);
    expect(seed[i * 7 + 4]).toBeCloseTo(five[i][5 + (goal.class as number)], 6);
    expect(seed.filter((slope) => slope !== 0)).toHaveLength(2);
  });

  test('scores without their sigmoid get it', () => {
    const logits = list.map((item) => item.map((value, k) => (k < 4 ? value : 8 * value - 4)));
    const row = byChannel(logits);
    const [goal] = goalsIn(row, network([output('output0', ['N', 7, 84])]));
    const most = Math.max(...logits.flatMap((item) => item.slice(4)));
    expect(goal.value(row)).toBeCloseTo(most, 5);
    expect(goal.probability?.(row)).toBeCloseTo(1 / (1 + Math.exp(-most)), 6);
    const five = byCandidate(logits);
    const [product] = goalsIn(five, network([output('o', ['N', 84, 7])]), { layout: 'yolov5' });
    expect(product.value(five)).toBe(product.probability?.(five));
    expect(product.value(five)).toBeLessThan(1);
  });

  test('numbers behind the classes are none: masks, key points, angles', () => {
    const more = list.map((item) => [...item, ...Array.from({ length: 32 }, () => 9)]);
    const segmenter = [output('output0', ['N', 39, 84]), output('output1', ['N', 32, 8, 8])];
    const metadata = (entries: Record<string, string>) => ({ metadata: new Map(Object.entries(entries)) });
    const [plain] = goalsIn(byChannel(list), network([output('output0', ['N', 7, 84])]));
    const row = byChannel(more);
    for (const known of [
      network(segmenter),
      network(segmenter.toReversed()),
      network(segmenter, metadata({ task: 'segment' })),
      network(segmenter.slice(0, 1), metadata({ task: 'pose', kpt_shape: '[16, 2]' })),
    ]) {
      const [goal] = goalsIn(row, known);
      expect([goal.class, goal.value(row)]).toEqual([plain.class, plain.value(byChannel(list))]);
    }
    const angle = byChannel(list.map((item) => [...item, 9]));
    const [turned] = goalsIn(angle, network([output('o', ['N', 8, 84])], metadata({ task: 'obb' })));
    expect(turned.class).toBe(plain.class);
  });

  test('YOLOX: boxes in units of the grid, with negative sizes', () => {
    const raw = candidates(3, 21, 5 + 2).map(([, , , , ...rest], i) => [
      0.25,
      0.5,
      i % 2 ? -1 : 0.5,
      0,
      ...rest,
    ]);
    const row = byCandidate(raw);
    const [goal] = goalsIn(row, network([output('output', ['N', 21, 7])]), { index: 17 }); // 16 of stride 8, then 16
    expect(goal.box).toEqual({
      x: (0.25 + 1) * 16 - (16 * Math.exp(-1)) / 2,
      y: (0.5 + 0) * 16 - 8,
      width: 16 * Math.exp(-1),
      height: 16,
    });
  });

  test('YOLOv10: corners, score and class of those that are left, found again by class and box', () => {
    const left = Array.from({ length: 30 }, (_, i) => [i, i, i + 8, i + 6, 0.9 - i / 40, i % 3]);
    const row = byCandidate(left);
    const known = network([output('output0', ['N', 30, 6])]);
    const [goal] = goalsIn(row, known, { class: 1 });
    expect(goal).toMatchObject({ class: 1, box: { x: 1, y: 1, width: 8, height: 6 } });
    expect(goal.value(row)).toBeCloseTo(0.875, 6);
    const changed = byCandidate([...left.slice(2), left[0], [1.5, 1, 9, 7, 0.3, 1]]);
    expect(goal.value(changed)).toBeCloseTo(0.3, 6);
    expect(goal.seed(changed).indexOf(1)).toBe(29 * 6 + 4);
    expect(goal.value(byCandidate(left.slice(5)))).toBe(0); // it is gone
  });
});

describe('scores and boxes in outputs of their own', () => {
  const count = 12;
  const corners = candidates(4, count, 4).map((item) => {
    const { x, y, width, height } = centred(item);
    return [x, y, x + width, y + height];
  });
  const read = (boxes: readonly number[][], name = 'boxes') => ({
    output: (asked: string) => {
      expect(asked).toBe(name);
      return byCandidate(boxes);
    },
  });
  const scoresOf = (seed: number, channels: number, spread = 3) => randomRow(seed, [count, channels], spread);
  const softmax = (row: Row, channels: number): Row => ({
    ...row,
    data: row.data.map((value, i) => {
      const first = i - (i % channels);
      const sum = row.data.slice(first, first + channels).reduce((s, other) => s + Math.exp(other), 0);
      return Math.exp(value) / sum;
    }),
  });
  const outputs = (channels: number, own: Partial<Output> = {}) => [
    output('scores', ['N', count, channels], own),
    output('boxes', ['N', count, 4]),
  ];

  test('RetinaNet: a sigmoid for every class, no background', () => {
    const row = scoresOf(5, 3);
    const known = network(outputs(3, { link: 'sigmoid', isStepped: true }));
    const [goal] = goalsIn(row, known, {}, read(corners));
    const most = Math.max(...row.data);
    expect(goal.value(row)).toBe(most);
    expect(goal.probability?.(row)).toBeCloseTo(1 / (1 + Math.exp(-most)), 6);
    expect(goal.class).toBe(row.data.indexOf(most) % 3);
    const i = Math.floor(row.data.indexOf(most) / 3);
    expect(goal.box?.x).toBeCloseTo(corners[i][0], 4);
    expect(goal.box?.width).toBeCloseTo(corners[i][2] - corners[i][0], 4);
  });

  test('SSD: probabilities that sum to 1, the first of them the background', () => {
    const raw = scoresOf(6, 4);
    for (let i = 0; i < count; i++) raw.data[i * 4] += 4;
    const row = softmax(raw, 4);
    const inside = row.data.map((value, i) => (i % 4 === 0 ? 0 : value));
    const most = inside.indexOf(Math.max(...inside));
    const [goal] = goalsIn(row, network(outputs(4)), {}, read(corners));
    expect(goal.value(row)).toBe(row.data[most]);
    expect(goal.class).toBe(most % 4); // 0 is the background
    const three = network(outputs(4), { classes: names(3) });
    expect(goalsIn(row, three, {}, read(corners))[0]).toMatchObject({
      class: (most % 4) - 1,
      name: `class ${(most % 4) - 1}`,
    });
    expect(() => goalsIn(row, network(outputs(4)), { class: 0 }, read(corners))).toThrow(
      '"class" must be a class of objects; 0 is the background; received 0.',
    );
    const logits = goalsIn(raw, network(outputs(4)), {}, read(corners))[0]; // the same from the picture alone
    expect(logits.class).toBe(most % 4);
    expect(logits.probability?.(raw)).toBeCloseTo(row.data[most], 5);
  });

  test('DETR: a softmax whose last class is no object, boxes of centre and size in 0…1', () => {
    const row = scoresOf(7, 4);
    const boxes = candidates(8, count, 4).map((item) => item.map((value) => value / 32));
    const known = network([output('logits', ['N', count, 4]), output('pred_boxes', ['N', count, 4])]);
    const [goal] = goalsIn(row, known, {}, read(boxes, 'pred_boxes'));
    const shares = softmax(row, 4).data.map((value, i) => (i % 4 === 3 ? 0 : value));
    const most = shares.indexOf(Math.max(...shares));
    expect(goal.class).toBe(most % 4);
    expect(goal.value(row)).toBe(row.data[most]);
    expect(goal.probability?.(row)).toBeCloseTo(shares[most], 6);
    expect(goal.box?.width).toBeCloseTo(32 * boxes[Math.floor(most / 4)][2], 4);
    const sigmoid = network(known.outputs, { classes: names(4) }); // as many names as scores: RT-DETR
    const [other] = goalsIn(row, sigmoid, {}, read(boxes, 'pred_boxes'));
    expect(other.value(row)).toBe(Math.max(...row.data));
    const low = { ...row, data: row.data.map((value) => value - 4) }; // no names, and none says "no object"
    const [focal] = goalsIn(low, known, {}, read(boxes, 'pred_boxes'));
    expect(focal.value(low)).toBe(Math.max(...low.data));
    expect(focal.probability?.(low)).toBeCloseTo(1 / (1 + Math.exp(-Math.max(...low.data))), 6);
  });

  test('classes first, one class, and boxes that cannot be decoded', () => {
    const row = scoresOf(9, 3, 1);
    const turned: Row = {
      dims: [3, count],
      data: row.data.map((_, i) => row.data[(i % count) * 3 + Math.floor(i / count)]),
    };
    const [a] = goalsIn(row, network(outputs(3)), {}, read(corners));
    const known = network([output('scores', ['N', 3, count]), output('boxes', ['N', count, 4])]);
    const [b] = goalsIn(turned, known, {}, read(corners));
    expect([a.class, a.value(row), a.box]).toEqual([b.class, b.value(turned), b.box]);
    const one = scoresOf(10, 1);
    const faces = [output('classificators', ['N', count, 1]), output('regressors', ['N', count, 16])];
    const [goal] = goalsIn(
      one,
      network(faces),
      {},
      {
        output: () => randomRow(11, [count, 16]),
      },
    );
    expect(goal).toMatchObject({ name: 'object', class: 0 });
    expect(goal.box).toBeUndefined();
    expect(goal.value(one)).toBe(Math.max(...one.data));
    const unnamed = network([output('1154', ['N', count, 3]), output('936', ['N', count, 4])]);
    const offsets = { output: () => randomRow(11, [count, 4]) };
    expect(goalsIn(row, unnamed, {}, offsets)[0].box).toBeUndefined();
    expect(goalsIn(row, unnamed, {}, read(corners, '936'))[0].box).toEqual(a.box);
  });
});

describe('which object', () => {
  /** Three objects: two candidates of the first, one of each other. */
  const list = [
    [10, 10, 8, 8, 0.9, 0.1],
    [11, 10, 8, 8, 0.2, 0.8],
    [22, 22, 6, 6, 0.1, 0.7],
    [26, 8, 5, 5, 0.6, 0.1],
    ...Array.from({ length: 60 }, () => [5, 28, 2, 2, 0.01, 0.01]),
  ];
  const row = byChannel(list);
  const known = network([output('output0', ['N', 6, 64])]);
  const scores = (spec: Partial<DetectionTarget>) =>
    goalsIn(row, known, spec).map((goal) => Number(goal.value(row).toFixed(3)));

  test('the n best are different objects', () => {
    expect(scores({ top: 3 })).toEqual([0.9, 0.7, 0.6]);
    expect(scores({ top: 2, class: 1 })).toEqual([0.8, 0.7]);
  });

  test('the one at a box, of its best class or a given one', () => {
    const at = { x: 7, y: 6, width: 8, height: 8 };
    expect(scores({ at })).toEqual([0.8]); // of the second candidate
    expect(scores({ at, class: 0 })).toEqual([0.2]);
    expect(() => scores({ at: { x: 0, y: 0, width: 1, height: 1 } })).toThrow(
      '"targets.at" must be a box in pixels of the input that overlaps one of the candidates; received [0, 0, 1, 1].',
    );
  });

  test('a given one', () => {
    expect(scores({ index: 3 })).toEqual([0.6]);
    expect(() => scores({ index: 64 })).toThrow('"targets.index" must be a whole number from 0 to 63');
  });

  test('it stays chosen in changed pictures', () => {
    const [goal] = goalsIn(row, known);
    const changed = byChannel(list.map((item, i) => (i === 0 ? [1, 1, 1, 1, 0.05, 0.9] : item)));
    expect(goal.value(changed)).toBeCloseTo(0.05, 6);
  });

  test('mistakes are sentences', () => {
    expect(() => scores({ class: 2 })).toThrow('from 0 to 1');
    expect(() => scores({ top: 2, index: 1 })).toThrow('"targets" must be one of "top", "at" and "index"');
    expect(() => scores({ layout: 'yolo' as never })).toThrow(
      '"targets.layout" must be one of yolov5, yolov8',
    );
    expect(() => scores({ at: { x: 1, y: 1, width: 0, height: 2 } })).toThrow(
      '"targets.at" must be {x, y, width, height}',
    );
    expect(() => ready({ kind: 'detection' }, network([output('logits', ['N', 1000])]))).toThrow(
      'one that fits the outputs, "logits" [N, 1000]; received "detection". Detections are',
    );
  });
});

describe('seeds are derivatives', () => {
  const shares = (row: Row): Row => ({
    ...row,
    data: row.data.map((value) => 0.05 + 0.9 / (1 + Math.exp(-value))),
  });
  const boxes = { output: () => randomRow(12, [20, 4]) };
  const cases: [string, NetworkFacts, readonly number[], boolean, Partial<DetectionTarget>][] = [
    ['YOLOv8', network([output('o', ['N', 7, 84])]), [7, 84], false, {}],
    ['YOLOv5, probabilities', network([output('o', ['N', 84, 7])]), [84, 7], true, {}],
    ['YOLOv5, logits', network([output('o', ['N', 84, 7])]), [84, 7], false, {}],
    [
      'scores and boxes',
      network([output('scores', ['N', 20, 3]), output('boxes', ['N', 20, 4])]),
      [20, 3],
      false,
      {},
    ],
  ];
  test.each(cases)('%s', (_, known, dims, isShare, spec) => {
    const find = (row: Row) => goalsIn(row, known, { top: 3, ...spec }, boxes);
    if (!isShare) return seedIsDerivative(find, dims, 3);
    const own = find(shares(randomRow(1, dims)));
    seedIsDerivative(() => own, dims, 0.5);
  });
});

describe('which outputs it fits', () => {
  const fitting = (outputs: readonly Output[], own: Partial<NetworkFacts> = {}) =>
    detectionTarget.fits?.(network(outputs, own));

  test('those of detectors, and no others', () => {
    const own = { size: [640, 640] };
    expect(fitting([output('output0', ['N', 84, 8400])], own)?.note).toBe(
      'The output "output0" [N, 84, 8400] is taken as detections: box and classes of each candidate, as YOLOv8. Explained is the best one; choose with --target detection:CLASS, :top=N or :at=X,Y,WIDTH,HEIGHT. Another layout: --target detection:layout=yolov5|end2end.',
    );
    expect(fitting([output('output', ['N', 25200, 85])], own)?.note).toContain('as YOLOv5');
    expect(fitting([output('output0', ['N', 300, 6])], own)?.note).toContain('as YOLOv10');
    expect(fitting([output('output0', ['N', 84, ''])], { size: ['h', 'w'] })?.note).toContain('as YOLOv8');
    expect(fitting([output('state', ['', '', 64])], { size: ['samples'] })).toBeUndefined();
    const detr = [output('logits', ['N', 100, 92]), output('pred_boxes', ['N', 100, 4])];
    expect(fitting(detr)?.spec).toEqual({ kind: 'detection' });
    expect(fitting(detr.toReversed())?.spec).toEqual({ kind: 'detection', output: 'logits' });
    expect(fitting(detr.toReversed(), { isChosen: true })).toBeUndefined();
    const scales = (...dims: Dims[]) => fitting(dims.map((own, i) => output(`Identity_${i}:0`, own)));
    expect(scales(['N', 512, 16], ['N', 512, 1], ['N', 384, 16], ['N', 384, 1])?.spec).toEqual({
      kind: 'detection',
      output: 'Identity_1:0',
    });
    expect(scales(['N', 896, 16], ['N', 896, 1])?.note).toContain('results have none');
    const faces = [12800, 3200].flatMap((count): Dims[] => [1, 4, 10].map((width) => ['N', count, width]));
    expect(scales(...faces)?.note).toContain('boxes in "Identity_1:0", "Identity_4:0"');
    expect(scales(['N', 65, 768], ['N', 65, 384], ['N', 17, 768], ['N', 17, 384])).toBeUndefined();
    for (const dims of [
      ['N', 1000],
      ['N', 40, 97],
      ['N', 197, 768],
      ['N', 21, 64, 64],
      ['N', 1, 8],
    ])
      expect(fitting([output('output', dims)], { size: [48, 320] })).toBeUndefined();
    expect(fitting([output('logits', ['N', 5]), output('features', ['N', 16, 8, 8])])).toBeUndefined();
  });

  test('names, best ones and boxes as they are typed', () => {
    expect(parseTarget('detection')).toEqual({ kind: 'detection' });
    expect(parseTarget('detection:traffic light:top=2')).toEqual({
      kind: 'detection',
      class: 'traffic light',
      top: 2,
    });
    expect(parseTarget('detection:at=1,2,30,40.5:layout=detr')).toEqual({
      kind: 'detection',
      at: { x: 1, y: 2, width: 30, height: 40.5 },
      layout: 'detr',
    });
    expect(() => parseTarget('detection:at=1,2,3')).toThrow(
      '"target" must be at=X,Y,WIDTH,HEIGHT; received "1,2,3".',
    );
  });
});

describe('networks', () => {
  const base = classifier();
  const image = { type: 'float32', dims: [3, 8, 8], data: values(2, [3, 8, 8]) } as const;
  /** relu2 [N, 6, 4, 4] → [N, 16, channels] of 16 candidates, or of as many as another value has positions. */
  const head = (
    name: string,
    seed: number,
    channels: number,
    { from = 'relu2', count = 16 } = {},
  ): { nodes: ShortNode[]; constants: ShortGraph['constants'] } => ({
    nodes: [
      ['Conv', [from, `${name}_w`], [`${name}_conv`], {}],
      ['Reshape', [`${name}_conv`, `${name}_dims`], [`${name}_flat`]],
      ['Transpose', [`${name}_flat`], [name], { perm: [0, 2, 1] }],
    ],
    constants: {
      [`${name}_w`]: weights(seed, [channels, 6, 1, 1], 3),
      [`${name}_dims`]: int64Constant([0, channels, count]),
    },
  });
  const graph = (
    heads: readonly ReturnType<typeof head>[],
    outputs: string[],
    more: readonly ShortNode[] = [],
    constants: ShortGraph['constants'] = {},
  ): ShortGraph => ({
    inputs: { image: ['N', 3, 8, 8] },
    outputs,
    nodes: [...base.nodes.slice(0, 4), ...heads.flatMap(({ nodes }) => nodes), ...more],
    constants: Object.assign({}, base.constants, ...heads.map((item) => item.constants), constants),
  });
  const boxes = {
    nodes: [...head('raw', 21, 4).nodes, ['Sigmoid', ['raw'], ['pred_boxes']] as ShortNode],
    constants: head('raw', 21, 4).constants,
  };

  test('DETR: what the queries say, and boxes', async () => {
    const bytes = bytesFrom(graph([head('logits', 20, 4), boxes], ['pred_boxes', 'logits']));
    await using explainer = await Explainer.open(bytes, { backend: 'reference' });
    expect(explainer.notes.join()).toContain('as DETR');
    expect(explainer.notes.join()).not.toContain('could be the class scores');
    const [{ targets, scores, scoreDims }] = await explainer.explain(image, {
      targets: { kind: 'detection', top: 2 },
    });
    expect(scoreDims).toEqual([16, 4]);
    const [first, second] = targets.map(({ target }) => target);
    const place = scores.indexOf(first.score);
    expect(place % 4).toBe(first.class);
    expect(first).toMatchObject({ kind: 'detection', output: undefined });
    expect(first.box?.width).toBeGreaterThan(0);
    expect(first.box && second.box && overlap(first.box, second.box)).toBeLessThanOrEqual(0.5);
    const [byClass] = await explainer.explain(image, { targets: 2 });
    expect(byClass.targets[0].target).toMatchObject({ kind: 'detection', class: 2 });
    expect(targets[0].map.dims).toEqual([8, 8]);
  });

  describe('BlazeFace: two scales, each with scores and with boxes and key points', () => {
    const halved = { from: 'halved', count: 4 };
    const scales = ['a', 'b', 'c', 'd'];
    const heads = [head('a', 23, 1), head('b', 24, 1, halved), head('c', 25, 16), head('d', 26, 16, halved)];
    const halve: ShortNode = ['MaxPool', ['relu2'], ['halved'], { kernel_shape: [2, 2], strides: [2, 2] }];
    const short = graph(heads, scales);
    const bytes = bytesFrom({
      ...short,
      nodes: [...short.nodes.slice(0, 4), halve, ...short.nodes.slice(4)],
    });

    test('the best candidate of all scales, from a layer that all come from', async () => {
      await using explainer = await Explainer.open(bytes, { backend: 'reference' });
      expect(explainer.notes.join('\n')).toMatch(
        /^The outputs "a" \[N, 16, 1\], "b" \[N, 4, 1\] are taken as detections: .* boxes in "c", "d", as SSD and RetinaNet\. Boxes are relative to anchors that the model does not tell: results have none\./m,
      );
      expect(explainer.notes.join('\n')).not.toContain('could be the class scores');
      expect(explainer.layers).toEqual(['relu2']);
      const [{ targets, scores }] = await explainer.explain(image);
      expect(scores).toHaveLength(16 + 4);
      const most = Math.max(...scores);
      expect(targets[0].target).toMatchObject({ class: 0, name: 'object', score: most, box: undefined });
      expect(targets[0].target.probability).toBeCloseTo(1 / (1 + Math.exp(-most)), 6);
      const of = async (target: Target) =>
        (await explainer.explain(image, { targets: target }))[0].targets[0];
      const candidate = await of({ kind: 'detection', index: 17 });
      const value = await of({ kind: 'expression', of: 'b[0,1,0]' });
      expect(candidate.target.score).toBe(value.target.score);
      expect(candidate.raw?.data).toEqual(value.raw?.data);
    });

    test('of one scale where its output is named', async () => {
      await using explainer = await Explainer.open(bytes, { backend: 'reference', output: 'b' });
      const [{ scores }] = await explainer.explain(image);
      expect(scores).toHaveLength(4);
    });
  });

  test('YOLO with one sigmoid over boxes and scores: scores before it, boxes behind it', async () => {
    const all: ShortNode[] = [['Sigmoid', ['rows'], ['output']]];
    const bytes = bytesFrom(graph([head('rows', 22, 8)], ['output'], all));
    await using explainer = await Explainer.open(bytes, { backend: 'reference' });
    const spec = { kind: 'detection', layout: 'yolov5', index: 5 } as const;
    const [{ targets, scores, scoreDims }] = await explainer.explain(image, { targets: spec });
    expect(scoreDims).toEqual([16, 8]);
    const [x, y, w, h, o, ...rest] = Array.from(
      scores.subarray(40, 48),
      (value) => 1 / (1 + Math.exp(-value)),
    );
    const { box, score, probability } = targets[0].target;
    expect(score).toBeCloseTo(o * Math.max(...rest), 5);
    expect(probability).toBeCloseTo(score, 6);
    const expected = [x - w / 2, y - h / 2, w, h].map((value) => 8 * value);
    for (const [i, value] of [box?.x, box?.y, box?.width, box?.height].entries())
      expect(value).toBeCloseTo(expected[i], 4);
  });

  test('behind NonMaxSuppression: by the candidate before it', async () => {
    const suppression: ShortNode[] = [
      ['Sigmoid', ['logits'], ['shares']],
      ['Transpose', ['shares'], ['scores'], { perm: [0, 2, 1] }],
      ['NonMaxSuppression', ['pred_boxes', 'scores', 'most', 'iou', 'least'], ['selected']],
    ];
    const constants = {
      most: int64Constant([5]),
      iou: weights(1, [1], 0),
      least: weights(2, [1], 0),
    };
    const file = modelFile(
      graphFrom(graph([head('logits', 20, 3), boxes], ['selected'], suppression, constants)),
    ).toBytes();
    await using explainer = await Explainer.open(file, { backend: 'reference' });
    expect(explainer.notes.join()).toContain('the candidates before NonMaxSuppression');
    const [{ targets, scores, scoreDims }] = await explainer.explain(image, {
      method: ['grad-cam++', 'grad-cam'],
    });
    expect(scoreDims).toEqual([3, 16]);
    const most = Math.max(...scores);
    expect(targets[0].target).toMatchObject({
      kind: 'detection',
      score: most,
      class: Math.floor(scores.indexOf(most) / 16),
    });
    expect(targets[0].map.empty).toBe(false);
  });

  test('what is asked of a detector is refused of a classifier', async () => {
    await using explainer = await Explainer.open(bytesFrom(classifier()), { backend: 'reference' });
    await expect(explainer.explain(image, { targets: { kind: 'detection' } })).rejects.toThrow(
      '"targets.kind" must be one that fits the outputs, "logits" [N, 5]; received "detection".',
    );
  });
});
