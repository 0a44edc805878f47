import { onlyKeys, text } from '../check.js';
import { GradcamppError, visible } from '../errors.js';
import { table } from '../autodiff/table.js';
import {
  ancestors,
  descendants,
  type Dim,
  type Graph,
  label,
  type Node,
  type ValueInfo,
  valueInfo,
} from '../graph/graph.js';
import type { Attention } from '../graph/find-attention.js';
import type { Layer } from '../graph/layers.js';
import { linkName, type Scores } from '../graph/scores.js';
import { isPicture, showLayout, type TokenGrid } from '../graph/tokens.js';
import { readModel } from '../onnx/read.js';
import { typeName } from '../onnx/types.js';
import { Network } from './network.js';
import { explainerOptions } from './explain-options.js';

/** What a model has that can be explained. */
export interface Inspection {
  readonly model: string;
  /** Of the file. What is run is brought to one operator set and folded first. */
  readonly opset: number;
  readonly nodes: number;
  readonly inputs: readonly Value[];
  readonly outputs: readonly Value[];
  /** The score tensor and, where one was stepped over, the final softmax or sigmoid. */
  readonly scores: Value & {
    readonly output: string;
    readonly steppedOver?: string;
    /** How probabilities follow from them. */
    readonly link: string;
  };
  /** Best first. */
  readonly layers: readonly Layer[];
  /** undefined where none can be chosen; the notes say why. */
  readonly layer: Layer | undefined;
  /** Attention between places: what attention-rollout and attention-gradient read. */
  readonly attention: readonly (Value & Pick<Attention, 'isSelf'>)[];
  /** What the user should know: training mode, other outputs that could be meant, why a layer is not taken. */
  readonly notes: readonly string[];
  /** Every operator between the layer and the scores, in the order it runs. */
  readonly operators: readonly Operator[];
}

export interface Value {
  readonly name: string;
  readonly type: string;
  readonly dims: readonly Dim[] | undefined;
}

export interface Operator {
  readonly opType: string;
  readonly node: string;
  readonly hasRule: boolean;
  /** Why there is none, or why no gradient flows. */
  readonly reason?: string;
}

/**
 * What a model has that can be explained, and whether it can.
 *
 * @param options `layer`: a tensor or node name, or 'auto' (default); `output`, `tokens`: as for `Explainer.open`
 * @throws GradcamppError INVALID_MODEL, UNSUPPORTED_MODEL, INVALID_LAYER, INVALID_OPTION
 */
export async function inspect(
  model: string | URL | Uint8Array,
  options: { readonly layer?: string; readonly output?: string; readonly tokens?: TokenGrid } = {},
): Promise<Inspection> {
  onlyKeys('inspect', options, ['layer', 'output', 'tokens']);
  const { layer = 'auto', output } = options;
  const tokens = options.tokens && explainerOptions.tokens.check(options.tokens, 'tokens');
  text('layer', layer);
  if (output !== undefined) text('output', output);
  const file = await readModel(model);
  const network = await Network.open(file, { threads: 1 });
  const { graph } = network;
  const scores = network.scores(output);
  const { chosen, problem } = chosenLayer(network, layer, scores, tokens);
  await network.close();
  const notes = [...(graph.notes ?? []), ...scores.notes];
  return {
    model: network.name,
    opset: Number(
      file.proto.opsetImport.find(({ domain }) => domain === '' || domain === 'ai.onnx')?.version,
    ),
    nodes: file.proto.graph?.node.length ?? 0,
    inputs: graph.inputs.map((info) =>
      info.name === network.image.name ? described(network.original) : valueOf(graph, info),
    ),
    outputs: graph.outputs.map((info) => valueOf(graph, info)),
    scores: {
      ...valueOf(graph, scores.info),
      output: scores.output,
      steppedOver: scores.steppedOver && label(scores.steppedOver),
      link: linkName(scores.link),
    },
    layers: network.layers(scores, tokens),
    layer: chosen,
    attention: network.attention(scores, tokens).map(({ name, isSelf }) => ({
      ...described(valueInfo(graph, name)),
      isSelf,
    })),
    notes: problem === undefined ? notes : [...notes, problem],
    operators: chosen ? between(graph, chosen.name, scores.info.name).map((node) => operatorOf(node)) : [],
  };
}

/** Where none is named, there may be none that can be chosen; or one behind what has no gradient is. */
function chosenLayer(
  network: Network,
  name: string,
  scores: Scores,
  tokens: TokenGrid | undefined,
): { chosen: Layer | undefined; problem: string | undefined } {
  try {
    const chosen = network.layer(name, scores, tokens);
    return { chosen, problem: chosen.obstacle };
  } catch (error) {
    if (name === 'auto' && error instanceof GradcamppError)
      return { chosen: undefined, problem: error.message };
    throw error;
  }
}

function valueOf(graph: Graph, { name }: ValueInfo): Value {
  return described(valueInfo(graph, name));
}

function described({ name, type, dims }: ValueInfo): Value {
  return { name, type: type === undefined ? 'unknown' : typeName(type), dims };
}

function between(graph: Graph, from: string, to: string): Node[] {
  const reached = descendants(graph, [from]);
  const needed = ancestors(graph, [to]);
  return graph.nodes.filter((node) =>
    node.outputs.some((name) => name !== from && reached.has(name) && needed.has(name)),
  );
}

function operatorOf(node: Node): Operator {
  const row = node.domain === '' ? table[node.opType] : undefined;
  const reason = row?.outcome === 'stop' || row?.outcome === 'none' ? row.reason : undefined;
  const hasRule = row !== undefined && row.outcome !== 'none';
  return { opType: label(node).split(' ')[0], node: node.name || node.outputs[0], hasRule, reason };
}

/** An inspection for people. */
export function describe(inspection: Inspection, mostLayers = Number.POSITIVE_INFINITY): string {
  const { scores, layers, layer, attention, operators } = inspection;
  const lines = [
    `${inspection.model}: ${inspection.nodes} nodes, opset ${inspection.opset}`,
    ...inspection.inputs.map((value) => `input    ${show(value)}`),
    ...inspection.outputs.map((value) => `output   ${show(value)}`),
    `scores   ${show(scores)}${scores.steppedOver ? `, before ${scores.steppedOver}` : ''}`,
    '',
    `${layers.length} candidate layers, best first:`,
    ...layers.slice(0, mostLayers).map((item) => layerLine(item, item.name === layer?.name)),
    ...(layers.length > mostLayers ? [`  ... ${layers.length - mostLayers} more (--all)`] : []),
    ...(attention.length > 0 ? ['', `${attention.length} attention tensors:`] : []),
    ...attention.map((item) => `  ${show(item)}${item.isSelf ? '' : '  of other queries'}`),
    ...(layer ? ['', `between ${layer.name} and ${scores.name}:`] : []),
    ...operators.map((operator) => `  ${operatorLine(operator)}`),
    ...(inspection.notes.length > 0 ? ['', ...inspection.notes] : []),
  ];
  return `${lines.map(visible).join('\n')}\n`;
}

function show({ name, type, dims }: Value): string {
  return `${name}  ${type} [${dims?.map((dim) => (dim === '' ? '?' : dim)).join(', ') ?? '?'}]`;
}

function layerLine(layer: Layer, isChosen: boolean): string {
  const { name, shape, layout, opType } = layer;
  const remarks = [
    opType,
    isPicture(layout, shape.length) ? '' : `grid ${showLayout(layout)}`,
    layer.activation === undefined ? '' : 'before its activation',
    layer.isCut ? '' : 'a branch',
    layer.isClassMap ? 'no choice of channels: methods do not differ' : '',
    layer.isRead ? '' : 'its patches are not read',
  ].filter(Boolean);
  return `${isChosen ? '>' : ' '} ${name}  [${shape.map((dim) => (dim === '' ? '?' : dim)).join(', ')}]  ${remarks.join(', ')}`;
}

function operatorLine({ opType, node, hasRule, reason }: Operator): string {
  return `${hasRule ? 'has a rule ' : 'has NO rule'}  ${opType.padEnd(20)} ${node}${reason ? `  (${reason})` : ''}`;
}
