import { describe, expect, it } from 'vitest';
import { GradcamppError } from '../../../src/errors.js';
import { shuffleConstants, weightGroups } from '../../../src/evaluate/sanity/randomize.js';
import { sanityTable, summarizeSanity } from '../../../src/evaluate/sanity/sanity.js';
import { measureSanity, type SanitySettings, stagesOf } from '../../../src/evaluate/sanity/stages.js';
import type { Subject } from '../../../src/evaluate/subject.js';
import { floatsOf } from '../../../src/onnx/constant.js';
import { classifier, graphFrom } from '../../support/network.js';
import { fakeSubject, left, right, variants } from '../fake.js';

describe('weights', () => {
  const graph = graphFrom(classifier());

  it('are grouped from the scores down to the input', () => {
    expect(weightGroups(graph, 'logits')).toEqual([
      { name: 'Gemm "node_logits"', constants: ['w4', 'b4'] },
      { name: 'Gemm "node_hidden"', constants: ['w3', 'b3'] },
      { name: 'Conv "node_conv2"', constants: ['w2', 'b2'] },
      { name: 'Conv "node_conv1"', constants: ['w1', 'b1'] },
    ]);
  });

  it('take the scale and shift of a normalisation with the operator before it, and nothing behind the scores', () => {
    const vector = (n: number) => ({ type: 1, dims: [n], bytes: new Uint8Array(n * 4) }) as const;
    const network = graphFrom({
      inputs: { x: ['N', 3, 4, 4] },
      outputs: ['y', 'other'],
      nodes: [
        ['Conv', ['x', 'w'], ['c']],
        ['BatchNormalization', ['c', 'scale', 'shift', 'mean', 'variance'], ['n']],
        ['Mul', ['n', 'one'], ['y']],
        ['Conv', ['x', 'unused'], ['other']],
      ],
      constants: {
        w: { type: 1, dims: [2, 3, 1, 1], bytes: new Uint8Array(24) },
        scale: vector(2),
        shift: vector(2),
        mean: vector(2),
        variance: vector(2),
        one: { type: 1, dims: [], bytes: new Uint8Array(4) },
        unused: { type: 1, dims: [2, 3, 1, 1], bytes: new Uint8Array(24) },
      },
    });
    expect(weightGroups(network, 'y')).toEqual([
      { name: 'Conv "node_c"', constants: ['scale', 'shift', 'mean', 'variance', 'w'] },
    ]);
  });

  it('are shuffled: the same values in another order, by seed and name, the rest untouched', () => {
    const shuffled = shuffleConstants(graph, ['w2'], 1);
    const values = (name: string, of = shuffled) => [...floatsOf(of.constants.get(name)!)];
    expect(values('w2')).not.toEqual(values('w2', graph));
    expect([...values('w2')].sort()).toEqual([...values('w2', graph)].sort());
    expect(shuffled.constants.get('w1')).toBe(graph.constants.get('w1'));
    expect(values('w2', shuffleConstants(graph, ['w1', 'w2'], 1))).toEqual(values('w2'));
    expect(values('w2', shuffleConstants(graph, ['w2'], 2))).not.toEqual(values('w2'));
  });
});

describe('stages', () => {
  it('are evenly spaced from the topmost operator to the whole network', () => {
    const stages = stagesOf(['a', 'b', 'c', 'd', 'e'], 3);
    expect(stages.map(({ kind, operator }) => `${kind} ${operator}`)).toEqual([
      'cascading a',
      'cascading c',
      'cascading e',
      'independent a',
      'independent c',
      'independent e',
    ]);
    expect(stages.map((stage) => stage.groups)).toEqual([[0], [0, 1, 2], [0, 1, 2, 3, 4], [0], [2], [4]]);
    expect(stages.map((stage) => stage.depth)).toEqual([0.2, 0.6, 1, 0.2, 0.6, 1]);
    expect(stagesOf(['a', 'b'], 8).length).toBe(4);
    expect(stagesOf(['a'], 1).map((stage) => stage.groups)).toEqual([[0], [0]]);
  });
});

describe('model randomisation', () => {
  const pictures = Object.fromEntries(
    Array.from({ length: 5 }, (_, i) => [`p${i}`, left.map((value) => value * (0.6 + i / 20))]),
  );
  const settings: SanitySettings = { variants, stages: 2, seed: 1 };
  const opened: (readonly number[])[] = [];
  /** "perfect" follows the network, "worst" ignores it, "empty" says nothing; with the first weights gone the map turns over. */
  const subject: Subject = {
    ...fakeSubject({ pictures, maps: followNetwork }),
    randomization: {
      groups: ['top', 'middle', 'bottom'],
      open: async (groups) => {
        opened.push(groups);
        return fakeSubject({
          pictures,
          maps: (method, tensor, target) => followNetwork(method, tensor, 1 - target),
        });
      },
    },
  };

  it('finds the map that does not depend on the network', async () => {
    const { record } = await measureSanity(subject, { image: 'chunk-1', images: ['p0', 'p3'] }, settings);
    expect(opened).toEqual([[0], [0, 1, 2], [0], [2]]);
    const [first] = record.records;
    expect(first).toMatchObject({ image: 'p0', class: 0, leastLikely: 1 });
    const [perfect, worst, empty, control] = first.sensitivity;
    expect(perfect.rank).toBeCloseTo(-1, 12);
    expect(worst).toMatchObject({ rank: expect.closeTo(1, 12), ssim: expect.closeTo(1, 12) });
    expect(empty.rank).toBeNaN();
    expect(Math.abs(control.rank)).toBeLessThan(1);
    for (const stage of first.stages) {
      expect(stage[0].rank).toBeCloseTo(-1, 12);
      expect(stage[1].rank).toBeCloseTo(1, 12);
    }
    const stages = stagesOf(['top', 'middle', 'bottom'], 2);
    const report = summarizeSanity(record.records, stages, settings);
    const rank = report.summaries[0].metrics.find((metric) => metric.key === 'allRandomised.rank');
    expect(rank?.values[0]?.mean).toBeCloseTo(-1, 12);
    expect(rank?.values[1]?.mean).toBeCloseTo(1, 12);
    expect(rank?.values[2]).toMatchObject({ mean: NaN, count: 0 });
    expect(report.charts?.map((chart) => chart.key)).toEqual([
      'cascading.rank',
      'cascading.ssim',
      'independent.rank',
      'independent.ssim',
    ]);
    expect(sanityTable(record.records, ['left', 'right'], stages, settings)[0].values).toEqual(['p0', 'p3']);
  });

  it('goes on after a picture that cannot be read', async () => {
    const broken: Subject = {
      ...subject,
      prepare: async (image) => {
        if (image === 'p1') throw new GradcamppError('INVALID_IMAGE', 'p1 is no picture.');
        return subject.prepare(image);
      },
    };
    const { record } = await measureSanity(broken, { image: 'c', images: ['p0', 'p1', 'p2'] }, settings);
    expect(record.records.map(({ image }) => image)).toEqual(['p0', 'p2']);
    expect(record.failures).toEqual([{ image: 'p1', error: 'p1 is no picture.' }]);
  });

  it('needs weights', async () => {
    const job = { image: 'c', images: ['p0'] };
    await expect(measureSanity(fakeSubject({ pictures }), job, settings)).rejects.toThrow('no weights');
  });
});

function followNetwork(method: string, _tensor: Float32Array, target: number): readonly number[] {
  if (method === 'cam') return left.map(() => 0);
  return method === 'grad-cam' || target === 0 ? left : right;
}
