import { execFileSync } from 'node:child_process';
import { mkdir, mkdtemp, rename, rm, symlink, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { create, toBinary } from '@bufbuild/protobuf';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { Network } from '../../src/explain/network.js';
import { graphOf } from '../../src/graph/from-model.js';
import { modelOf, valueInfoProto } from '../../src/graph/to-model.js';
import { constantOf, floatsOf, int64Constant, numbersOf } from '../../src/onnx/constant.js';
import {
  AttributeProto_AttributeType as AttributeType,
  AttributeProtoSchema,
  FunctionProtoSchema,
  GraphProtoSchema,
  type ModelProto,
  ModelProtoSchema,
  NodeProtoSchema,
  OperatorSetIdProtoSchema,
  TensorProtoSchema,
} from '../../src/onnx/onnx_pb.js';
import { readModel } from '../../src/onnx/read.js';
import { DataType } from '../../src/onnx/types.js';
import { halfToNumber } from '../../src/tensor.js';
import { externalTensor } from '../../src/onnx/write.js';
import { prepareGraph } from '../../src/runtime/prepare.js';
import { bytesFrom, classifier, graphFrom } from '../support/network.js';

const openNetwork = async (bytes: Uint8Array) => Network.open(await readModel(bytes));

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

  test('a URL of another machine', async () => {
    await expect(readModel(new URL('file://elsewhere/model.onnx'))).rejects.toMatchObject({
      code: 'INVALID_MODEL',
    });
  });

  test('a tensor without a type', async () => {
    const model = whole();
    if (model.graph) model.graph.initializer[0].dataType = DataType.UNDEFINED;
    await expect(readModel(encode(model)).then(graphOf)).rejects.toThrow(
      /Tensor "w1" has type unknown and dims/,
    );
  });

  test('more dims than any tensor has', async () => {
    const model = whole();
    if (model.graph) model.graph.initializer[0].dims = Array<bigint>(1000).fill(1n);
    await expect(readModel(encode(model)).then(graphOf)).rejects.toThrow(
      /Tensor "w1" has 1000 dims; at most 64 are read\./,
    );
    const other = whole();
    const info = { name: 'image', type: DataType.FLOAT, dims: Array<number>(65).fill(1) };
    if (other.graph) other.graph.input = [valueInfoProto(info)];
    await expect(readModel(encode(other)).then(graphOf)).rejects.toThrow('The value "image" has 65 dims');
  });

  test('graphs in nodes without end', async () => {
    const model = whole();
    let inner = create(GraphProtoSchema, { name: 'end' });
    for (let i = 0; i < 60; i++) {
      const attribute = create(AttributeProtoSchema, { name: 'body', type: AttributeType.GRAPH, g: inner });
      const node = create(NodeProtoSchema, { opType: 'Loop', output: [`o${i}`], attribute: [attribute] });
      inner = create(GraphProtoSchema, { name: `level${i}`, node: [node] });
    }
    model.graph?.node.push(...inner.node);
    await expect(readModel(encode(model)).then(graphOf)).rejects.toThrow(
      'holds graphs inside graphs, too many levels deep',
    );
  });

  test('a value that nothing makes', async () => {
    const model = whole();
    if (model.graph) model.graph.node[1].input = ['nowhere'];
    await expect(readModel(encode(model)).then(graphOf)).rejects.toThrow(
      'Relu "node_relu1" reads "nowhere", which is no input and no weight, and which no node makes.',
    );
    const other = whole();
    other.graph?.output.push(valueInfoProto({ name: 'gone', type: undefined, dims: undefined }));
    await expect(readModel(encode(other)).then(graphOf)).rejects.toThrow('it returns "gone", which');
  });

  test('an operator set older than 7', async () => {
    const model = whole();
    model.opsetImport[0].version = 6n;
    await expect(openNetwork(encode(model))).rejects.toThrow(
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

  test('behind a symbolic link is read where that stays in the folder', async () => {
    const path = await withExternalData('linked.onnx', 'real.bin', 432);
    await withExternalData('link.onnx', 'link.bin', undefined);
    await symlink('real.bin', join(folder, 'link.bin'));
    const [one, other] = await Promise.all(
      [path, join(folder, 'link.onnx')].map(async (name) => graphOf(await readModel(name))),
    );
    expect(other.constants.get('w1')?.bytes).toEqual(one.constants.get('w1')?.bytes);
  });

  test('behind a symbolic link that leads out of the folder is refused, whatever it is called', async () => {
    await mkdir(join(folder, 'inner'));
    await file('secret.bin', new Uint8Array(432));
    await symlink('../secret.bin', join(folder, 'inner', 'weights.bin'));
    await symlink('..', join(folder, 'inner', 'up'));
    for (const location of ['weights.bin', './weights.bin', 'up/secret.bin']) {
      const path = await withExternalData('inner/model.onnx', location, undefined);
      await expect(readModel(path)).rejects.toThrow(
        `keeps data in "${location}", outside its own folder; that is refused.`,
      );
    }
  });

  test('of a model that is itself a link is found where both really are, as caches keep them', async () => {
    await mkdir(join(folder, 'blobs'));
    await mkdir(join(folder, 'snapshot'));
    await rename(await withExternalData('cached.onnx', 'data.bin', 432), join(folder, 'blobs', 'aa'));
    await rename(join(folder, 'data.bin'), join(folder, 'blobs', 'bb'));
    await symlink('../blobs/aa', join(folder, 'snapshot', 'model.onnx'));
    await symlink('../blobs/bb', join(folder, 'snapshot', 'data.bin'));
    const graph = graphOf(await readModel(join(folder, 'snapshot', 'model.onnx')));
    expect(graph.constants.get('w1')?.dims).toEqual([4, 3, 3, 3]);
  });

  test('is read once, however it is spelled', async () => {
    const graph = graphFrom(classifier());
    const names = ['w1', 'w2', 'w3'];
    const model = modelOf(graph, (key) => !names.includes(key));
    const spellings = ['all.bin', './all.bin', 'x/../all.bin'];
    const bytes = names.map((name) => graph.constants.get(name)?.bytes as Uint8Array);
    names.forEach((name, i) =>
      model.graph?.initializer.push(externalTensor(name, graph.constants.get(name) as never, spellings[i])),
    );
    await file('all.bin', new Uint8Array(Math.max(...bytes.map((item) => item.byteLength))));
    const read = graphOf(await readModel(await file('spelled.onnx', encode(model))));
    const buffers = names.map((name) => read.constants.get(name)?.bytes.buffer);
    expect(new Set(buffers).size).toBe(1);
  });

  test.skipIf(process.platform === 'win32')('in a pipe is refused at once', async () => {
    execFileSync('mkfifo', [join(folder, 'pipe.bin')]);
    await expect(readModel(await withExternalData('pipe.onnx', 'pipe.bin', undefined))).rejects.toThrow(
      'it is a pipe, not a file',
    );
    await expect(readModel(join(folder, 'pipe.bin'))).rejects.toThrow('it is a pipe, not a file');
  });

  test('of a function of the model is read too', async () => {
    const path = await withExternalData('own.onnx', 'own.bin', 432);
    const model = (await readModel(path)).proto;
    const tensor = model.graph?.initializer.pop();
    const attribute = create(AttributeProtoSchema, { name: 'value', type: AttributeType.TENSOR, t: tensor });
    model.functions.push(
      create(FunctionProtoSchema, {
        name: 'weight',
        domain: 'own',
        output: ['out'],
        node: [create(NodeProtoSchema, { opType: 'Constant', output: ['out'], attribute: [attribute] })],
      }),
    );
    model.opsetImport.push(create(OperatorSetIdProtoSchema, { domain: 'own', version: 1n }));
    model.graph?.node.unshift(create(NodeProtoSchema, { opType: 'weight', domain: 'own', output: ['w1'] }));
    const graph = await prepareGraph(await readModel(await file('function.onnx', encode(model))));
    expect(graph.constants.get('w1')?.dims).toEqual([4, 3, 3, 3]);
  });

  test('cannot be named by bytes', async () => {
    const graph = graphFrom(classifier());
    const model = modelOf(graph, (key) => key !== 'w1');
    model.graph?.initializer.push(externalTensor('w1', graph.constants.get('w1') as never, 'weights.bin'));
    await expect(readModel(encode(model))).rejects.toThrow("Pass the model's path instead.");
  });
});

describe('what exporters write', () => {
  test('whole numbers beyond 2^53 come out as they went in', async () => {
    const big = [9_007_199_254_740_993n, -9_007_199_254_740_995n];
    const most = 2n ** 63n - 1n;
    const model = whole();
    const attributes = [
      { name: 'end', type: AttributeType.INT, i: most },
      { name: 'start', type: AttributeType.INT, i: 0n },
    ];
    model.graph?.node.push(
      create(NodeProtoSchema, {
        opType: 'Shape',
        input: ['image'],
        output: ['shape'],
        attribute: attributes.map((item) => create(AttributeProtoSchema, item)),
      }),
      create(NodeProtoSchema, {
        opType: 'Constant',
        output: ['bounds'],
        attribute: [
          create(AttributeProtoSchema, { name: 'value_ints', type: AttributeType.INTS, ints: big }),
        ],
      }),
      create(NodeProtoSchema, {
        opType: 'Custom',
        domain: 'own',
        input: ['bounds'],
        output: ['custom'],
        attribute: [create(AttributeProtoSchema, { name: 'seeds', type: AttributeType.INTS, ints: big })],
      }),
    );
    const written = modelOf(graphOf(await readModel(encode(model))), () => true).graph;
    const node = (opType: string) => written?.node.find((item) => item.opType === opType);
    expect(node('Shape')?.attribute.map(({ i }) => i)).toEqual([most, 0n]);
    expect(node('Custom')?.attribute[0].ints).toEqual(big);
    const { rawData = new Uint8Array() } = written?.initializer.find(({ name }) => name === 'bounds') ?? {};
    expect([...new BigInt64Array(rawData.slice().buffer)]).toEqual(big);
  });

  test('strings stay strings, and bytes that are no text stay bytes', async () => {
    const model = whole();
    const bytes = Uint8Array.of(0xff, 0xfe, 0x41);
    const words = ['yes', 'no'].map((word) => new TextEncoder().encode(word));
    model.graph?.initializer.push(
      create(TensorProtoSchema, { name: 'words', dims: [2n], dataType: DataType.STRING, stringData: words }),
    );
    model.graph?.node.push(
      create(NodeProtoSchema, {
        opType: 'Custom',
        domain: 'own',
        input: ['words'],
        output: ['custom'],
        attribute: [create(AttributeProtoSchema, { name: 'raw', type: AttributeType.STRING, s: bytes })],
      }),
    );
    const written = modelOf(graphOf(await readModel(encode(model))), () => true).graph;
    expect(written?.node.at(-1)?.attribute[0].s).toEqual(bytes);
    expect(written?.initializer.find(({ name }) => name === 'words')?.stringData).toEqual(words);
  });

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
    await expect(openNetwork(loop('Swizzle'))).rejects.toMatchObject({ code: 'UNSUPPORTED_MODEL' });
    await expect(openNetwork(loop('Swizzle'))).rejects.toThrow('Swizzle');
  });
});
