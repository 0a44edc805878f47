import { create } from '@bufbuild/protobuf';
import { describe, expect, test } from 'vitest';
import { functionsOf, graphOf } from '../../src/graph/from-model.js';
import { inlineFunctions } from '../../src/graph/inline.js';
import { encode, modelOf } from '../../src/graph/to-model.js';
import {
  AttributeProto_AttributeType as Kind,
  AttributeProtoSchema,
  FunctionProtoSchema,
  GraphProtoSchema,
  type ModelProto,
  NodeProtoSchema,
  OperatorSetIdProtoSchema,
  ValueInfoProtoSchema,
} from '../../src/onnx/onnx_pb.js';
import { readModel } from '../../src/onnx/read.js';
import { prepareGraph } from '../../src/runtime/prepare.js';
import { graphFrom } from '../support/network.js';
import { outputsOf } from './equal.js';
import * as ort from 'onnxruntime-node';

const own = 'test.functions';
const sets = (opset: number) => [
  create(OperatorSetIdProtoSchema, { domain: '', version: BigInt(opset) }),
  create(OperatorSetIdProtoSchema, { domain: own, version: 1n }),
];
const node = (opType: string, input: string[], output: string[], attribute: object[] = [], domain = '') =>
  create(NodeProtoSchema, {
    opType,
    input,
    output,
    domain,
    attribute: attribute.map((item) => create(AttributeProtoSchema, item)),
  });
const number = (name: string, f: number) => ({ name, f, type: Kind.FLOAT });
const reference = (name: string, refAttrName: string, type = Kind.FLOAT) => ({ name, refAttrName, type });

/** scaled(x, [shift]) = leaky(x; slope) + shift, where `slope` has a default; twice(x) calls it twice. */
function model(extra: readonly ReturnType<typeof node>[] = []): ModelProto {
  const graph = graphFrom({ inputs: { x: [2, 3] }, outputs: ['y'], nodes: [['Neg', ['t'], ['y']]] });
  const proto = modelOf(graph, () => true);
  const call = node('twice', ['x'], ['t'], [number('slope', 0.25)], own);
  proto.graph?.node.unshift(call, ...extra);
  proto.opsetImport = sets(18);
  const leaky = node('LeakyRelu', ['x'], ['warm'], [reference('alpha', 'slope')]);
  const constant = node('Constant', [], ['half'], [reference('value_float', 'offset')]);
  const scaled = create(FunctionProtoSchema, {
    name: 'scaled',
    domain: own,
    input: ['x', 'shift'],
    output: ['out'],
    attribute: ['slope'],
    attributeProto: [create(AttributeProtoSchema, number('offset', 0.5))],
    opsetImport: sets(18),
    node: [leaky, constant, node('Add', ['warm', 'half'], ['out'])],
  });
  const twice = create(FunctionProtoSchema, {
    name: 'twice',
    domain: own,
    input: ['x'],
    output: ['out'],
    attribute: ['slope'],
    opsetImport: sets(18),
    node: [
      node('scaled', ['x', ''], ['warm'], [reference('slope', 'slope'), number('offset', -0.75)], own),
      node('scaled', ['warm'], ['second'], [number('slope', 2)], own),
      node('Add', ['second', 'x'], ['out']),
    ],
  });
  proto.functions = [twice, scaled];
  return proto;
}

const x = { type: 'float32' as const, dims: [2, 3], data: Float32Array.of(-2, -1, -0.5, 0.5, 1, 2) };

describe("a model's own functions", () => {
  test('are written out: nested calls, attributes by reference and by default, absent inputs', async () => {
    const bytes = encode(model());
    const session = await ort.InferenceSession.create(bytes);
    const expected = await session.run({ x: new ort.Tensor('float32', x.data, x.dims) });
    const ready = await prepareGraph(await readModel(bytes));
    expect(ready.nodes.map((item) => item.opType)).toEqual([
      'LeakyRelu',
      'Add',
      'LeakyRelu',
      'Add',
      'Add',
      'Neg',
    ]);
    expect(ready.domains.has(own)).toBe(false);
    const actual = await outputsOf(ready, { x });
    expect(actual.y.data).toEqual(expected.y.data);
  });

  test('of an older operator set are read as that set means them', async () => {
    const proto = model();
    proto.functions[1].node[0] = node('Clip', ['x'], ['warm'], [number('min', -0.5)]);
    proto.functions[1].opsetImport = sets(10);
    const ready = await prepareGraph(await readModel(encode(proto)));
    const actual = await outputsOf(ready, { x });
    const scaled = (value: number, offset: number) => Math.max(value, -0.5) + offset;
    expect([...(actual.y.data as Float32Array)]).toEqual(
      [...x.data].map((value) => -(scaled(scaled(value, -0.75), 0.5) + value)),
    );
  });

  test('that call themselves are refused', async () => {
    const proto = model();
    proto.functions[1].node.push(node('twice', ['out'], ['again'], [], own));
    await expect(readModel(encode(proto)).then(prepareGraph)).rejects.toThrow(
      /test\.functions\.(twice|scaled) ".*" calls itself, so the model has no end\./,
    );
  });

  test('that call themselves in a branch are refused', async () => {
    const proto = model();
    const branch = (name: string) => ({
      name,
      type: Kind.GRAPH,
      g: create(GraphProtoSchema, {
        name,
        node: [node('twice', ['x'], [`deep_${name}`], [], own)],
        output: [create(ValueInfoProtoSchema, { name: `deep_${name}` })],
      }),
    });
    proto.functions[0].node.push(
      node('IsNaN', ['x'], ['odd']),
      node('If', ['odd'], ['again'], [branch('then_branch'), branch('else_branch')]),
    );
    await expect(readModel(encode(proto)).then(prepareGraph)).rejects.toThrow(
      /test\.functions\.twice ".*" calls itself, so the model has no end\./,
    );
  });

  test('with branches inside, called twice and beside values of equal names', async () => {
    const proto = model([node('Abs', ['x'], ['deep'])]);
    const branch = (name: string, op: string) => ({
      name,
      type: Kind.GRAPH,
      g: create(GraphProtoSchema, {
        name,
        node: [node(op, ['out'], ['deep']), node('scaled', ['deep'], [`end_${name}`], [], own)],
        output: [create(ValueInfoProtoSchema, { name: `end_${name}` })],
      }),
    });
    const [twice] = proto.functions;
    twice.node.push(
      node('ReduceSum', ['x'], ['sum'], [{ name: 'keepdims', i: 0n, type: Kind.INT }]),
      node('Greater', ['sum', 'sum'], ['is']),
      node('If', ['is'], ['chosen'], [branch('then_branch', 'Neg'), branch('else_branch', 'Abs')]),
    );
    twice.output = ['chosen'];
    proto.graph?.node.splice(-1, 0, node('twice', ['t'], ['u'], [], own));
    if (proto.graph) proto.graph.node[proto.graph.node.length - 1].input = ['u'];
    const bytes = encode(proto);
    const session = await ort.InferenceSession.create(bytes);
    const expected = await session.run({ x: new ort.Tensor('float32', x.data, x.dims) });
    const actual = await outputsOf(await prepareGraph(await readModel(bytes)), { x });
    expect(actual.y.data).toEqual(expected.y.data);
  });

  test('that multiply without bound are refused', async () => {
    const proto = model();
    const levels = Array.from({ length: 20 }, (_, i) =>
      create(FunctionProtoSchema, {
        name: i === 0 ? 'twice' : `level${i}`,
        domain: own,
        input: ['x'],
        output: ['out'],
        opsetImport: sets(18),
        node: [
          node(`level${i + 1}`, ['x'], ['half'], [], own),
          node(`level${i + 1}`, ['half'], ['out'], [], own),
        ],
      }),
    );
    proto.functions = levels;
    await expect(readModel(encode(proto)).then(prepareGraph)).rejects.toThrow(
      "The model's functions call each other until there are more than 250000 nodes; that is refused.",
    );
  });

  test('names of what is written out are new', async () => {
    const proto = model([node('Abs', ['x'], ['warm'])]);
    const read = await readModel(encode(proto));
    const written = inlineFunctions(graphOf(read), functionsOf(read));
    const outputs = written.nodes.flatMap((item) => item.outputs);
    expect(new Set(outputs).size).toBe(outputs.length);
    expect(outputs).toContain('warm');
  });
});
