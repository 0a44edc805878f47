import { didYouMean } from '../check.js';
import { facts, withoutFacts } from '../graph/facts.js';
import { type Graph, label } from '../graph/graph.js';

/** What ONNX Runtime says went wrong: where, as far as it says, and what, as far as that can be read. */
interface Reason {
  readonly opType?: string;
  readonly domain?: string;
  /** Name of the node. */
  readonly name?: string;
  readonly what: string;
}

/** The forms in which it names a node; the last part is what is wrong with it. */
const forms: readonly { readonly pattern: RegExp; readonly read: (parts: readonly string[]) => Reason }[] = [
  {
    pattern: /In Node, \("([\s\S]*?)", ([\s\S]*?), "(.*?)", -?\d+\) :[\s\S]*? , Error ([\s\S]*)$/,
    read: ([name, opType, domain, what]) => ({ name, opType, domain, what }),
  },
  {
    pattern: /Node ?\(([\s\S]*?)\) Op \(([\s\S]*?)\) ([\s\S]*)$/,
    read: ([name, opType, what]) => ({ name, opType, what }),
  },
  {
    pattern: /while running ([\s\S]*?) node\. Name:'([\s\S]*?)' Status Message: ([\s\S]*)$/,
    read: ([opType, name, what]) => ({ name, opType, what }),
  },
  {
    pattern: /Type '(.*?)' of input parameter \((.*?)\) of operator \((.*?)\) in node \((.*?)\) is invalid/,
    read: ([type, input, opType, name]) => ({
      name,
      opType,
      what: `it takes no ${type}, the type of its input "${input}"`,
    }),
  },
  {
    pattern:
      /Optype \((.*?)\) bound to different types \(tensor\((.*?)\) and tensor\((.*?)\)+ in node \((.*?)\)/,
    read: ([opType, one, other, name]) => ({
      name,
      opType,
      what: `its inputs must be of one type, and are ${one} and ${other}`,
    }),
  },
  {
    pattern: /Could not find an implementation for (.*?)\(\d+\) node with name '([\s\S]*?)'/,
    read: ([opType, name]) => ({
      name,
      opType,
      what: 'ONNX Runtime has no code for it with inputs of these types',
    }),
  },
  {
    pattern: /Fatal error: (.*?):([^:]*?)\(-?\d+\) is not a registered function\/op/,
    read: ([domain, opType]) => ({ domain, opType, what: unknown }),
  },
];

const unknown = 'there is no such operator';

/** What it says in terms of its own, in ours. */
const terms: readonly (readonly [RegExp, string])[] = [
  [/^No Op registered for [\s\S]*/, unknown],
  [/^Unrecognized attribute: ([\s\S]*?) for operator [\s\S]*/, 'its operator has no attribute "$1"'],
  [/^Required attribute '(.*?)' is missing.*/, 'it lacks the attribute "$1"'],
  [
    /^Mismatched attribute type in '[\s\S]*? : (.*?)'\. Expected: '(.*?)', actual: '(.*?)'[\s\S]*/,
    'its attribute "$1" is $3 and must be $2',
  ],
  [/^.*?'s input (\d+) is marked single but has an empty string in the graph/, 'it lacks its input $1'],
  [
    /^Node ?(?:\([\s\S]*?\))? ?with schema\(.*?\) has (input|output) size (\d+) not in range \[min=(\d+), max=(\d+)\]/,
    'it has $2 $1s, and $3 to $4 are wanted',
  ],
  [/^Field 'op_type'[\s\S]*/, 'it names no operator'],
  [/^Field 'type' of 'attr'[\s\S]*/, 'an attribute has no type'],
  [
    /^type field and data field mismatch in attribute (\S*?)\.?$/,
    'the type and the value of its attribute "$1" contradict each other',
  ],
  [/^.*?output arg \((.*?)\) type inference failed[\s\S]*/, 'the type of its output "$1" cannot be told'],
  [/^[\s\S]*Duplicate defini\S+ (?:of name |for )\(([\s\S]*?)\)[\s\S]*/, 'the value "$1" is defined twice'],
  [/^[\s\S]*two nodes with same node name \(([\s\S]*?)\)[\s\S]*/, 'two nodes are called "$1"'],
  [/^[\s\S]*NodeArg for initializer\. Missing:\s*\.?$/, 'a weight has no name'],
  [/^.*?Model input \((.*?)\) does not have type information/, 'the input "$1" has no type'],
  [/^[\s\S]*Node input '([\s\S]*?)' is not a graph input[\s\S]*/, 'nothing makes the value "$1"'],
  [
    /^[\s\S]*Opset (\d+) is under development[\s\S]*/,
    'operator set $1 is newer than those that ONNX Runtime reads; export the model with an older one',
  ],
  [
    /^[\s\S]*Unsupported model IR version: (\d+)[\s\S]*/,
    'its format, IR version $1, is newer than those that ONNX Runtime reads',
  ],
  [
    /^[\s\S]*Calculation for Tensor storage size overflowed[\s\S]*/,
    'a tensor would be larger than any memory',
  ],
  [
    /^[\s\S]*(?:WebGPU validation failed\.|Failed to create a WebGPU compute pipeline:) ([\s\S]*?)\.?\s*(?:\n - While[\s\S]*)?$/,
    'the GPU refuses what it is asked: $1',
  ],
  [/^[\s\S]*WebGPU device lost \(\d+\):? ?([\s\S]*?)\.?\s*$/, 'the GPU was lost: $1'],
  [
    /^[\s\S]*Failed to download data from buffer[\s\S]*$/,
    'the GPU gives no answer: it was lost, or has too little memory',
  ],
  [/^[\s\S]*(?:Failed to allocate memory|bad_alloc|bad allocation)[\s\S]*/i, 'there is not enough memory'],
];

/** What is left of C++: paths, names of types and functions, conditions. */
const code =
  /::|^In Node, \(|Ort[A-Z]|onnxruntime_src|\.(?:cc|cpp|h|hpp|cu)\b|\bstd\b|\bvoid\b|==|&&|\|\||->|0x[0-9a-f]{6}/;

/**
 * ONNX Runtime's words as the end of a sentence: the node, and what is wrong with it; without source files, signatures and
 * its names of errors. What cannot be read so is left out.
 */
export function reasonOf(error: unknown, graph?: Graph): string {
  const { name, opType, domain, what } = read(String(error instanceof Error ? error.message : error));
  const isNamed = Boolean(opType || name);
  const node =
    isNamed &&
    graph?.nodes.find((item) => (!opType || item.opType === opType) && item.name === (name ?? item.name));
  const shown = isNamed ? `${domain ? `${domain}.` : ''}${opType || 'a node'} "${name ?? ''}"` : '';
  const where = node ? label(node) : shown;
  const said = inOurTerms(what);
  const near = said === unknown && opType ? closest(opType, domain, graph?.ownOpset ?? graph?.opset) : '';
  if (said === undefined)
    return where ? `${where}, for a reason that it does not say in words` : 'it gives no reason in words';
  return `${where ? `${where}: ` : ''}${said}${near && `. ${near}`}`.replace(/\.$/, '');
}

function closest(opType: string, domain: string | undefined, opset = 0): string {
  if (domain) return `It is none of ONNX's own, and libraries of operators are not loaded`;
  const known = [...Object.keys(facts), ...withoutFacts];
  return known.includes(opType) ? `Operator set ${opset} has none` : didYouMean(opType, known);
}

function read(text: string): Reason {
  for (const form of forms) {
    const [, ...parts] = form.pattern.exec(text) ?? [];
    if (parts.length > 0) return form.read(parts);
  }
  return { what: text };
}

function inOurTerms(text: string): string | undefined {
  const types = text.trim().replace(/tensor\((\w+)\)/g, '$1');
  for (const [pattern, words] of terms)
    if (pattern.test(types))
      return types.replace(pattern, words).replace(/, and (\d+) to \1 are wanted/, ', and $1 is wanted');
  const plain = withoutCode(types)
    .replace(
      /^(?:This is an invalid model\.|Invalid model\.|(?:Type )?Error:|Failed to load model with error:)\s*/g,
      '',
    )
    .replace(/\s+/g, ' ')
    .trim();
  if (plain === '' || code.test(plain)) return undefined;
  return /^[A-Z][a-z]* /.test(plain) ? plain[0].toLowerCase() + plain.slice(1) : plain;
}

/** `file.cc:12 signature condition was false. Words` → `Words` */
function withoutCode(text: string): string {
  const rest = text
    .replace(/\[(?:Shape|Type)InferenceError\]\s*/g, '')
    .replace(/\[ONNXRuntimeError\] : \d+ : \w+ : /g, '')
    .replace(/^failed to call \w+\(\)\. ERROR_CODE: \d+, ERROR_MESSAGE: /, '') // of its WebAssembly
    .replace(/^Exception during initialization: /, '');
  const falsehood = rest.lastIndexOf(' was false.');
  if (falsehood >= 0) return rest.slice(falsehood + ' was false.'.length);
  const file = /^\S*\.(?:cc|cpp|h|hpp|cu):\d+ /.exec(rest);
  if (!file) return rest;
  const signed = rest.slice(file[0].length);
  if (!file[0].includes('/')) return signed.replace(/^\w+ /, ''); // the function's name
  const template = /\[with [^\]]*\] ([\s\S]*)$/.exec(signed);
  return template ? template[1] : signed.replace(/^[^(]*\([^()]*(?:\([^()]*\)[^()]*)*\)(?: const)? ?/, '');
}
