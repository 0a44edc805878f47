import { describe, expect, test } from 'vitest';
import { Explainer } from '../../src/batch/explainer.js';
import { exportExplained } from '../../src/export/self-explaining.js';
import { floatConstant, int64Constant } from '../../src/onnx/constant.js';
import { openSession } from '../../src/runtime/session.js';
import type { Tensor } from '../../src/tensor.js';
import {
  bytesFrom,
  classifier,
  type ShortGraph,
  type ShortNode,
  values,
  weights,
} from '../support/network.js';

const options = { backend: 'reference', threads: 1 } as const;

function picture(height: number, width: number): Tensor<'float32'> {
  const dims = [2, 3, height, width];
  return { type: 'float32', dims, data: values(31, dims) };
}

function furthest(a: ArrayLike<number>, b: ArrayLike<number>): number {
  expect(a.length).toBe(b.length);
  return Math.max(...Array.from(a, (value, i) => Math.abs(value - b[i])));
}

describe('height and width that only the picture tells', () => {
  const fixed = classifier({ head: 'pool' });
  const open = { ...fixed, inputs: { image: ['N', 3, 'H', 'W'] } };

  test('equal to the model of fixed size', async () => {
    await using one = await Explainer.open(bytesFrom(fixed), options);
    await using other = await Explainer.open(bytesFrom(open), options);
    expect(other.layers).toEqual(['relu2']);
    const [expected, actual] = await Promise.all(
      [one, other].map((explainer) => explainer.explain(picture(8, 8), { targets: [0, 3], batchSize: 2 })),
    );
    expected.forEach(({ targets }, n) =>
      targets.forEach(({ map, raw }, t) => {
        expect(map.empty).toBe(false);
        expect(furthest(actual[n].targets[t].map.data, map.data)).toBeLessThan(1e-6);
        expect(furthest(actual[n].targets[t].raw?.data ?? [], raw?.data ?? [])).toBeLessThan(1e-6);
      }),
    );
  });

  test.each(['grad-cam++', 'grad-cam', 'xgrad-cam', 'layer-cam'] as const)(
    'an exported model of %s explains pictures of several sizes',
    async (method) => {
      const file = await exportExplained(bytesFrom(open), { method, targets: 1 });
      const session = await openSession(file.graph);
      await using explainer = await Explainer.open(bytesFrom(open), options);
      for (const [height, width] of [
        [8, 8],
        [12, 20],
      ]) {
        const image = picture(height, width);
        const { explanation_maps: maps } = await session.run({ image });
        const explanations = await explainer.explain(image, { targets: 1, method, batchSize: 2 });
        expect(maps.dims).toEqual([2, 1, height, width]);
        const expected = explanations.flatMap(({ targets }) => Array.from(targets[0].map.data));
        expect(furthest(maps.data as Float32Array, expected)).toBeLessThan(1e-5);
      }
      await session.close();
    },
  );

  test('channels are known behind a channel shuffle', async () => {
    const shuffled = (height: number | string, width: number | string): ShortGraph => ({
      ...fixed,
      inputs: { image: ['N', 3, height, width] },
      nodes: [
        ...fixed.nodes.slice(0, 2),
        ['Shape', ['relu1'], ['shape']],
        ['Gather', ['shape', 'first'], ['batch']],
        ['Gather', ['shape', 'last'], ['size']],
        ['Concat', ['batch', 'pairs', 'size'], ['split'], { axis: 0 }],
        ['Concat', ['batch', 'whole', 'size'], ['joined'], { axis: 0 }],
        ['Reshape', ['relu1', 'split'], ['paired']],
        ['Transpose', ['paired'], ['swapped'], { perm: [0, 2, 1, 3, 4] }],
        ['Reshape', ['swapped', 'joined'], ['shuffled']],
        ['Conv', ['shuffled', 'w2', 'b2'], ['conv2'], { pads: [1, 1, 1, 1], strides: [2, 2] }],
        ...fixed.nodes.slice(3),
      ],
      constants: {
        ...fixed.constants,
        first: int64Constant([0], [1]),
        last: int64Constant([2, 3], [2]),
        pairs: int64Constant([2, 2], [2]),
        whole: int64Constant([4], [1]),
      },
    });
    const [expected, actual] = await Promise.all(
      [shuffled(8, 8), shuffled('H', 'W')].map(async (graph) => {
        await using explainer = await Explainer.open(bytesFrom(graph), { ...options, layer: 'shuffled' });
        const [{ targets }] = await explainer.explain(picture(8, 8), { targets: 2, batchSize: 2 });
        return targets[0].map.data;
      }),
    );
    expect(Math.max(...expected)).toBe(1);
    expect(furthest(actual, expected)).toBeLessThan(1e-6);
  });
});

/** The layer that is chosen for two convolutions with `activation` behind the second, then `head`. */
async function chosen(activation: readonly ShortNode[], constants: ShortGraph['constants'] = {}) {
  const base = classifier({ head: 'pool' });
  const nodes = [...base.nodes.slice(0, 3), ...activation, ...base.nodes.slice(4)];
  const graph = { ...base, nodes, constants: { ...base.constants, ...constants } };
  await using explainer = await Explainer.open(bytesFrom(graph), options);
  return { layers: explainer.layers, notes: explainer.notes.filter((note) => note.includes('activation')) };
}

const one = floatConstant([1], []);
const half = floatConstant([0.5], []);
const some = floatConstant([1.7], []);

describe('the automatic layer', () => {
  test('GELU by Erf, scaled: what the convolution after it reads', async () => {
    const gelu: ShortNode[] = [
      ['Div', ['conv2', 'root'], ['scaled']],
      ['Erf', ['scaled'], ['erf']],
      ['Add', ['erf', 'one'], ['shifted']],
      ['Mul', ['conv2', 'shifted'], ['product']],
      ['Mul', ['product', 'half'], ['gelu']],
      ['Mul', ['gelu', 'some'], ['relu2']],
    ];
    const constants = { root: floatConstant([Math.SQRT2], []), one, half, some };
    expect(await chosen(gelu, constants)).toEqual({ layers: ['relu2'], notes: [] });
  });

  test('GELU by Tanh', async () => {
    const gelu: ShortNode[] = [
      ['Mul', ['conv2', 'conv2'], ['square']],
      ['Mul', ['square', 'conv2'], ['cube']],
      ['Mul', ['cube', 'some'], ['third']],
      ['Add', ['conv2', 'third'], ['sum']],
      ['Tanh', ['sum'], ['tanh']],
      ['Add', ['tanh', 'one'], ['shifted']],
      ['Mul', ['conv2', 'half'], ['halved']],
      ['Mul', ['halved', 'shifted'], ['relu2']],
    ];
    expect(await chosen(gelu, { one, half, some })).toEqual({ layers: ['relu2'], notes: [] });
  });

  test('Mish by Softplus and Tanh', async () => {
    const mish: ShortNode[] = [
      ['Softplus', ['conv2'], ['softplus']],
      ['Tanh', ['softplus'], ['tanh']],
      ['Mul', ['conv2', 'tanh'], ['relu2']],
    ];
    expect(await chosen(mish)).toEqual({ layers: ['relu2'], notes: [] });
  });

  test('an activation of channels-last values, laid out as a picture again', async () => {
    const last: ShortNode[] = [
      ['Transpose', ['conv2'], ['last'], { perm: [0, 2, 3, 1] }],
      ['MatMul', ['last', 'mix'], ['mixed']],
      ['Elu', ['mixed'], ['bent']],
      ['Transpose', ['bent'], ['relu2'], { perm: [0, 3, 1, 2] }],
    ];
    expect(await chosen(last, { mix: weights(12, [6, 6]) })).toEqual({ layers: ['relu2'], notes: [] });
  });

  test('a square is no gate', async () => {
    const square: ShortNode[] = [
      ['Mul', ['conv2', 'some'], ['scaled']],
      ['Mul', ['conv2', 'scaled'], ['relu2']],
    ];
    const { layers, notes } = await chosen(square, { some });
    expect(layers).toEqual(['relu1']);
    expect(notes).toEqual([]);
  });

  test('before attention over positions, and not its softmax of the same rank', async () => {
    const base = classifier({ head: 'pool' });
    const graph: ShortGraph = {
      ...base,
      nodes: [
        ...base.nodes.slice(0, 4),
        ['Reshape', ['relu2', 'tokens'], ['keys']],
        ['Transpose', ['keys'], ['queries'], { perm: [0, 1, 3, 2] }],
        ['MatMul', ['queries', 'keys'], ['products']],
        ['Softmax', ['products'], ['attention'], { axis: -1 }],
        ['MatMul', ['attention', 'queries'], ['mixed']],
        ['ReduceMean', ['mixed', 'positions'], ['mean'], { keepdims: 0 }],
        ['Flatten', ['mean'], ['flat']],
        ...base.nodes.slice(6),
      ],
      constants: {
        ...base.constants,
        tokens: int64Constant([0, 2, 3, 16], [4]),
        positions: int64Constant([2], [1]),
      },
    };
    await using explainer = await Explainer.open(bytesFrom(graph), options);
    expect(explainer.layers).toEqual(['relu2']);
    expect(() => explainer.network.layer('attention', explainer.scores)).toThrow(
      'it is attention between tokens, not a picture',
    );
  });

  test('a shape that is read elsewhere is no way around a layer', async () => {
    const base = classifier({ head: 'pool' });
    const graph: ShortGraph = {
      ...base,
      inputs: { image: ['N', 3, 'H', 'W'] },
      nodes: [
        ...base.nodes.slice(0, 4),
        ['Shape', ['conv1'], ['shape']],
        ['Cast', ['shape'], ['sizes'], { to: 1 }],
        ['ReduceMax', ['sizes'], ['largest'], { keepdims: 0 }],
        ['Mul', ['relu2', 'largest'], ['enlarged']],
        ['GlobalAveragePool', ['enlarged'], ['pooled']],
        ...base.nodes.slice(5),
      ],
    };
    await using explainer = await Explainer.open(bytesFrom(graph), options);
    const layer = explainer.network.layer('relu2', explainer.scores);
    expect([layer.isCut, layer.isActivation]).toEqual([true, true]);
  });
});
