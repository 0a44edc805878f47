import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { create, toBinary } from '@bufbuild/protobuf';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { Network } from '../../src/explain/network.js';
import { graphOf } from '../../src/graph/from-model.js';
import { modelOf, valueInfoProto } from '../../src/graph/to-model.js';
import { constantOf, floatsOf, halfToNumber, int64Constant, numbersOf } from '../../src/onnx/constant.js';
import { type ModelProto, ModelProtoSchema, TensorProtoSchema } from '../../src/onnx/onnx_pb.js';
import { readModel } from '../../src/onnx/read.js';
import { DataType } from '../../src/onnx/types.js';
import { externalTensor } from '../../src/onnx/write.js';
import { bytesFrom, classifier, graphFrom } from '../support/network.js';

let folder = '';
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'gradcampp-'));
});
afterAll(() => rm(folder, { recursive: true }));

async function file(name: string, bytes: Uint8Array | string): Promise<string> {
  const path = join(folder, name);
  await writeFile(path, bytes);
  return path;
}

const encode = (model: ModelProto) => toBinary(ModelProtoSchema, model);
const whole = () => modelOf(graphFrom(classifier()), () => true);

/** The classifier with its first weight in a file of its own. */
async function withExternalData(name: string, location: string, bytes: number | undefined): Promise<string> {
  const graph = graphFrom(classifier());
  const model = modelOf(graph, (key) => key !== 'w1');
  const constant = graph.constants.get('w1');
  if (!constant) throw new Error('w1');
  model.graph?.initializer.push(externalTensor('w1', constant, location));
  if (bytes !== undefined) await file(location, constant.bytes.subarray(0, bytes));
  return file(name, encode(model));
}

describe('files that are no models', () => {
  test.each([
    ['text.onnx', 'This is a text file.\nIt has two lines.'],
    ['empty.onnx', ''],
    ['json.onnx', '{"input": {"size": [32, 32]}}'],
  ])('%s', async (name, content) => {
    const path = await file(name, content);
    await expect(readModel(path)).rejects.toMatchObject({ code: 'INVALID_MODEL' });
    await expect(readModel(path)).rejects.toThrow(`"${path}" is not an ONNX model`);
  });

  test('half a model', async () => {
    const bytes = bytesFrom(classifier());
    const path = await file('half.onnx', bytes.subarray(0, bytes.length / 2));
    await expect(readModel(path).then(graphOf)).rejects.toThrow(
      /is not an ONNX model, or only part of one|damaged or incomplete/,
    );
  });

  test('no file, a folder, a web address', async () => {
    await expect(readModel(join(folder, 'none.onnx'))).rejects.toThrow('there is no such file');
    await expect(readModel(folder)).rejects.toThrow('it is a folder');
    await expect(readModel(new URL('https://example.org/model.onnx'))).rejects.toThrow(
      'received a https: URL',
    );
  });

  test('an operator set older than 7', async () => {
    const model = whole();
    model.opsetImport[0].version = 6n;
    await expect(Network.open(encode(model))).rejects.toThrow(
      'uses operator set 6; the oldest that is read is 7',
    );
  });
});

describe('external data', () => {
  test('is found beside the model', async () => {
    const path = await withExternalData('good.onnx', 'weights.bin', undefined);
    const constant = graphFrom(classifier()).constants.get('w1');
    await file('weights.bin', constant?.bytes ?? '');
    const graph = graphOf(await readModel(path));
    expect(graph.constants.get('w1')?.bytes).toEqual(new Uint8Array(constant?.bytes ?? []));
  });

  test('missing, too short, or outside the folder', async () => {
    await expect(readModel(await withExternalData('a.onnx', 'gone.bin', undefined))).rejects.toThrow(
      /External data ".*gone\.bin" of ".*a\.onnx" cannot be read: there is no such file/,
    );
    await expect(readModel(await withExternalData('b.onnx', 'short.bin', 100))).rejects.toThrow(
      'has 100 bytes; tensor "w1" needs bytes 0 to 432. The file is incomplete.',
    );
    await expect(readModel(await withExternalData('c.onnx', '../secret.bin', undefined))).rejects.toThrow(
      'outside its own folder',
    );
  });

  test('cannot be named by bytes', async () => {
    const graph = graphFrom(classifier());
    const model = modelOf(graph, (key) => key !== 'w1');
    model.graph?.initializer.push(externalTensor('w1', graph.constants.get('w1') as never, 'weights.bin'));
    await expect(readModel(encode(model))).rejects.toThrow("Pass the model's path instead.");
  });
});

describe('what exporters write', () => {
  test('initializers that are also inputs are constants (IR 3)', async () => {
    const model = whole();
    model.irVersion = 3n;
    for (const tensor of model.graph?.initializer ?? []) {
      const dims = tensor.dims.map(Number);
      model.graph?.input.push(valueInfoProto({ name: tensor.name, type: tensor.dataType, dims }));
    }
    const graph = graphOf(await readModel(encode(model)));
    expect(graph.inputs.map((input) => input.name)).toEqual(['image']);
    expect(graph.constants.has('w1')).toBe(true);
  });

  test('Constant nodes are constants in every spelling', async () => {
    const graph = graphFrom({
      inputs: { x: [2] },
      outputs: ['y'],
      nodes: [
        ['Constant', [], ['int'], { value_int: 3 }],
        ['Constant', [], ['ints'], { value_ints: [1, 2] }],
        ['Constant', [], ['float'], { value_float: { float: 0.5 } }],
        ['Constant', [], ['floats'], { value_floats: { float: [1.5, 2] } }],
        ['Constant', [], ['tensor'], { value: { kind: 'tensor', value: int64Constant([7]) } }],
        ['Identity', ['x'], ['y']],
      ],
    });
    const { constants, nodes } = graphOf(await readModel(encode(modelOf(graph, () => true))));
    expect(nodes).toHaveLength(1);
    const read = (name: string) => numbersOf(constants.get(name) as never);
    expect([read('int'), read('ints'), read('float'), read('floats'), read('tensor')]).toEqual([
      [3],
      [1, 2],
      [0.5],
      [1.5, 2],
      [7],
    ]);
  });

  test('weights in typed fields, and half precision', () => {
    const none = () => undefined;
    const typed = create(TensorProtoSchema, {
      name: 't',
      dims: [3n],
      dataType: DataType.FLOAT,
      floatData: [1, -2, 0.5],
    });
    expect(Array.from(floatsOf(constantOf(typed, none)))).toEqual([1, -2, 0.5]);
    const half = create(TensorProtoSchema, {
      name: 'h',
      dims: [4n],
      dataType: DataType.FLOAT16,
      int32Data: [0x3c00, 0xc000, 0x0001, 0x7bff],
    });
    expect(Array.from(floatsOf(constantOf(half, none)))).toEqual([1, -2, 2 ** -24, 65504]);
    const brain = create(TensorProtoSchema, {
      name: 'b',
      dims: [2n],
      dataType: DataType.BFLOAT16,
      int32Data: [0x3f80, 0xc049],
    });
    expect(Array.from(floatsOf(constantOf(brain, none)))).toEqual([1, -3.140625]);
    expect([0x7c00, 0xfc00].map(halfToNumber)).toEqual([Infinity, -Infinity]);
    expect(halfToNumber(0x7e00)).toBeNaN();
  });

  test('dims that do not fit the data are refused before anything is allocated', () => {
    const lie = create(TensorProtoSchema, {
      name: 'w',
      dims: [1_000_000n, 1_000_000n],
      dataType: DataType.FLOAT,
      rawData: new Uint8Array(16),
    });
    expect(() => constantOf(lie, () => undefined)).toThrow(
      'has 16 bytes of data; its dims [1000000, 1000000] of float need 4000000000000',
    );
  });
});

describe('models that cannot be explained', () => {
  const opset = 18;
  const loop = (op: string) =>
    bytesFrom({
      opset,
      inputs: { image: ['N', 3, 8, 8] },
      outputs: ['logits'],
      nodes: [
        ['Relu', ['image'], ['relu']],
        [op, ['relu'], ['bad']],
        ['GlobalAveragePool', ['bad'], ['pooled']],
        ['Flatten', ['pooled'], ['logits']],
      ],
    });

  test('an operator that ONNX does not have', async () => {
    await expect(Network.open(loop('Swizzle'))).rejects.toMatchObject({ code: 'UNSUPPORTED_MODEL' });
    await expect(Network.open(loop('Swizzle'))).rejects.toThrow('Swizzle');
  });
});
