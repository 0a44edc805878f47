import { type Constant, int64Constant, numbersOf } from '../onnx/constant.js';
import { graphAttribute } from './attributes.js';
import { Builder, rewritten } from './builder.js';
import { constantValue } from './from-model.js';
import { type Graph, type Node, producers } from './graph.js';
import { inlineBody } from './inline.js';

/** Loops of more turns stay loops. */
const mostTurns = 64;

/**
 * Writes loops out that build a sequence in turns of known number (what PyTorch's exporter makes of `tensor_split`), so that its
 * items can be told; the same graph where there is none.
 */
export function foldLoops(graph: Graph): Graph {
  const turns = new Map(graph.nodes.map((node) => [node, turnsOf(graph, node)]));
  if (![...turns.values()].some((count) => count !== undefined)) return graph;
  const b = new Builder(graph);
  for (const node of graph.nodes) {
    const count = turns.get(node);
    if (count === undefined) b.keep(node);
    else unroll(node, count, b);
  }
  return rewritten(graph, b);
}

function unroll(node: Node, count: number, b: Builder): void {
  const body = graphAttribute(node, 'body') as Graph;
  b.at(node.outputs[0]);
  const condition = node.inputs[1] ?? '';
  let states: readonly string[] = node.inputs.slice(2);
  for (let turn = 0; turn < count; turn++) {
    const isLast = turn === count - 1;
    const next = isLast
      ? node.outputs
      : states.map((_, i) => b.names.free(`${node.outputs[i] || 'state'}/${turn}`));
    const index = b.constant(int64Constant([turn], body.inputs[0].dims?.length === 1 ? [1] : []));
    inlineBody(
      body,
      {
        name: `${node.name || node.outputs[0]}/${turn}`,
        inputs: [index, condition, ...states],
        outputs: ['', ...next],
      },
      b,
    );
    states = next;
  }
}

/** How often a loop runs that does nothing but carry values on, a sequence among them; undefined where that is not known. */
function turnsOf(graph: Graph, node: Node): number | undefined {
  if (node.opType !== 'Loop' || node.domain !== '') return undefined;
  const body = graphAttribute(node, 'body');
  const most = graph.constants.get(node.inputs[0] ?? '');
  const count = most && numbersOf(most)[0];
  const isSimple =
    node.outputs.length === node.inputs.length - 2 && body?.outputs.length === node.outputs.length + 1;
  if (!body || !isSimple || count === undefined || count < 1 || count > mostTurns) return undefined;
  if (!body.nodes.some(({ opType }) => opType === 'SequenceInsert')) return undefined;
  const first = node.inputs[1];
  const begins = !first || isTrue(graph.constants.get(first));
  return begins && goesOn(graph, body) ? count : undefined;
}

/** Whether a body never ends its loop before the last turn. */
function goesOn(graph: Graph, body: Graph): boolean {
  const made = producers(body);
  let [{ name }] = body.outputs;
  for (let node = made.get(name); node; node = made.get(name)) {
    if (node.opType === 'Constant') return isTrue(constantValue(node));
    if (node.opType !== 'Identity') return false;
    [name] = node.inputs;
  }
  return name === body.inputs[1]?.name || isTrue(body.constants.get(name) ?? graph.constants.get(name));
}

function isTrue(constant: Constant | undefined): boolean {
  return constant !== undefined && numbersOf(constant)[0] !== 0;
}
