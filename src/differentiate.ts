import { appended, Builder } from './graph/builder.js';
import { appendGradient } from './autodiff/walk.js';
import { didYouMean, invalid, oneOf, onlyKeys, text } from './check.js';
import { GradcamppError } from './errors.js';
import {
  ancestors,
  type Dim,
  type Graph,
  namesOf,
  type Node,
  subgraph,
  type ValueInfo,
  valueInfo,
} from './graph/graph.js';
import { trainingNote } from './graph/inference.js';
import { type ModelFile, modelFile } from './graph/model-file.js';
import type { Constant } from './onnx/constant.js';
import { readModel } from './onnx/read.js';
import { DataType, isFloat } from './onnx/types.js';
import { inferValues } from './runtime/infer.js';
import { prepareGraph } from './runtime/prepare.js';

export { GradcamppError } from './errors.js';

export interface DifferentiateOptions {
  /** The float value that is differentiated; default: the model's first float output. */
  readonly of?: string;
  /** Inputs, weights or activations whose gradients are wanted. */
  readonly wrt: string | readonly string[];
  /**
   * What the new input `seed` holds: 'gradient' (default), the upstream gradient with the dims of `of`; or 'class',
   * int64 class indices [N], for an `of` of dims [N, classes].
   */
  readonly seed?: 'gradient' | 'class';
  /** Keep every path from the weights into the gradients, so that these can be differentiated by weights again. */
  readonly again?: boolean;
}

/** A model that also returns gradients, in standard ONNX operators. */
export interface DifferentiatedModel extends ModelFile {
  /** The output that holds each wanted gradient: `grad(<name>)`. */
  readonly gradients: Readonly<Record<string, string>>;
  /** What the user should know: gradients that are zero, since `of` does not depend on the value, or straight-through. */
  readonly notes: readonly string[];
}

/**
 * Vector–Jacobian products of a model as a model: inputs are the model's plus `seed`, outputs the model's plus
 * `grad(<name>)` for each name in `wrt`.
 *
 * @param model a path, file URL, bytes, or what an earlier call returned (gradients of gradients)
 * @throws GradcamppError INVALID_MODEL, INVALID_OPTION, UNSUPPORTED_MODEL
 * @example
 * const gradient = await differentiate('model.onnx', { of: 'logits', wrt: ['input', 'conv1.weight'] });
 * await gradient.save('model.grad.onnx');
 */
export async function differentiate(
  model: string | URL | Uint8Array | DifferentiatedModel,
  options: DifferentiateOptions,
): Promise<DifferentiatedModel> {
  onlyKeys('differentiate', options, ['of', 'wrt', 'seed', 'again']);
  const { seed: kind = 'gradient' } = options;
  const wrt: readonly string[] = Array.isArray(options.wrt) ? options.wrt : [options.wrt];
  if (wrt.length === 0) throw invalid('wrt', 'at least one value', options.wrt);
  for (const name of wrt) text('wrt', name, 'the name of a value, or a list of names');
  if (options.of !== undefined) text('of', options.of, 'the name of a value');
  oneOf('seed', kind, ['gradient', 'class']);
  if (!['undefined', 'boolean'].includes(typeof options.again))
    throw invalid('again', 'true or false', options.again);
  const graph = isDifferentiated(model)
    ? await inferValues(model.graph)
    : await prepareGraph(await readModel(model), wrt);
  const of = options.of ?? firstFloat(graph);
  for (const name of [of, ...wrt]) checkValue(graph, name === of ? 'of' : 'wrt', name);
  const seed = seedOf(graph, of, kind);
  const keepPaths = options.again ?? wrt.some((name) => graph.constants.has(name));
  const seeded = { ...graph, nodes: [...seed.nodes, ...graph.nodes], constants: seed.constants };
  const made = appendGradient(seeded, { of: [{ output: of, seed: seed.upstream }], wrt, keepPaths });
  const b = new Builder(made.graph);
  const outputs = wrt.map((name): [string, string] => [name, b.names.free(`grad(${name})`)]);
  for (const [name, output] of outputs) b.copy(made.gradients.get(name) as string, output);
  const kept = graph.outputs.map((info) => valueInfo(graph, info.name));
  if (!kept.some((info) => info.name === of)) kept.push(valueInfo(graph, of));
  const gradients = outputs.map(([name, output]) => ({ ...valueInfo(graph, name), name: output }));
  const result = subgraph(appended(made.graph, b), [...graph.inputs, seed.input], [...kept, ...gradients]);
  const reached = ancestors(graph, [of]);
  const zeros = wrt
    .filter((name) => !reached.has(name))
    .map((name) => `"${of}" does not depend on "${name}": the gradient is zero.`);
  const training = trainingNote(graph);
  const notes = [...new Set([...made.notes, ...zeros, ...(training ? [training] : [])])];
  return { ...modelFile(result), gradients: Object.fromEntries(outputs), notes };
}

function isDifferentiated(model: unknown): model is DifferentiatedModel {
  return model !== null && typeof model === 'object' && 'graph' in model && 'gradients' in model;
}

interface Seed {
  readonly input: ValueInfo;
  /** The value that holds the upstream gradient. */
  readonly upstream: string;
  readonly nodes: readonly Node[];
  readonly constants: ReadonlyMap<string, Constant>;
}

function seedOf(graph: Graph, of: string, kind: 'gradient' | 'class'): Seed {
  const info = valueInfo(graph, of);
  const b = new Builder(graph);
  const name = b.names.free('seed');
  const { constants } = graph;
  if (kind === 'gradient') return { input: { ...info, name }, upstream: name, nodes: [], constants };
  const [batch, classes] = (info.dims ?? []) as readonly Dim[];
  if (info.dims?.length !== 2 || typeof classes !== 'number')
    throw new GradcamppError(
      'INVALID_OPTION',
      `"seed" can be 'class' only where "of" has dims [N, classes]; "${of}" has [${info.dims?.join(', ') ?? '?'}]. Use 'gradient'.`,
    );
  const upstream = b.op('OneHot', [name, b.int(classes), b.floats([0, 1], [2])], { axis: -1 });
  return {
    input: { name, type: DataType.INT64, dims: [batch] },
    upstream,
    nodes: b.nodes,
    constants: new Map([...constants, ...b.constants]),
  };
}

function firstFloat(graph: Graph): string {
  const output = graph.outputs.find(({ name }) => {
    const { type } = valueInfo(graph, name);
    return type === undefined || isFloat(type);
  });
  if (output) return output.name;
  throw new GradcamppError(
    'INVALID_OPTION',
    'The model has no float output to differentiate. Name a value with "of".',
  );
}

function checkValue(graph: Graph, option: string, name: string): void {
  const values = namesOf(graph);
  const { type } = valueInfo(graph, name);
  if (values.includes(name) && (type === undefined || isFloat(type))) return;
  throw new GradcamppError(
    'INVALID_OPTION',
    `"${option}" must name a float value of the model; received ${JSON.stringify(name)}. ${didYouMean(name, values)}`.trim(),
  );
}
