import type { Graph } from './graph.js';

/** Keys under which exporters store class names; Ultralytics writes `names`, as a Python dict. */
const nameKeys = ['names', 'class_names', 'classes', 'labels', 'id2label'];

/** What a detector, segmenter or classifier calls its task. */
export type Task = 'classify' | 'detect' | 'segment' | 'pose' | 'obb';

/** Class names that a model carries in its metadata, by index; undefined where it carries none. */
export function classNamesOf({ metadata }: Pick<Graph, 'metadata'>): readonly string[] | undefined {
  for (const key of nameKeys) {
    const names = namesIn(metadata.get(key) ?? '');
    if (names) return names;
  }
  return undefined;
}

/** The task that a model says it is for, as Ultralytics writes it; undefined where it says none. */
export function taskOf({ metadata }: Pick<Graph, 'metadata'>): Task | undefined {
  const task = metadata.get('task')?.trim().toLowerCase();
  return tasks.find((known) => known === task);
}

const tasks: readonly Task[] = ['classify', 'detect', 'segment', 'pose', 'obb'];

/** More classes than this are no classes. */
const mostClasses = 1_000_000;

/** A list or dict of names as JSON or as Python writes them, or names a line or with commas. */
function namesIn(text: string): string[] | undefined {
  const literal = text.trim();
  if (literal === '') return undefined;
  if (/^[[{(]/.test(literal)) {
    const value = readLiteral(literal);
    if (value instanceof Map) return fromEntries([...value]);
    return Array.isArray(value) ? fromEntries(value.map((name, i) => [String(i), name])) : undefined;
  }
  const separator = literal.includes('\n') ? '\n' : ',';
  const names = literal.split(separator).map((name) => name.trim());
  return names.length > 1 && names.every(Boolean) ? names : undefined;
}

/** Names by index: those of 0, 1, 2, … where all are there. Some exporters write names to indices. */
function fromEntries(entries: readonly [string, Literal][]): string[] | undefined {
  const isIndex = (text: unknown) => /^\d+$/.test(String(text));
  const byIndex = entries.every(([key]) => isIndex(key))
    ? entries
    : entries.map(([name, index]): [string, Literal] => [String(index), name]);
  const names: string[] = [];
  for (const [index, name] of byIndex) {
    if (!isIndex(index) || Number(index) >= mostClasses || name instanceof Map || Array.isArray(name))
      return undefined;
    names[Number(index)] = String(name);
  }
  const isWhole =
    names.length > 0 && names.length === byIndex.length && Object.keys(names).length === names.length;
  return isWhole ? names : undefined;
}

type Literal = string | Map<string, Literal> | Literal[];

const token = /\s*(?:([[\](){},:])|u?"((?:[^"\\]|\\.)*)"|u?'((?:[^'\\]|\\.)*)'|([^\s[\](){},:'"]+))/suy;

/** A list, tuple or dict as JSON or Python writes them; undefined for anything else. */
function readLiteral(text: string): Literal | undefined {
  token.lastIndex = 0;
  const tokens: { mark?: string; text?: string }[] = [];
  while (token.lastIndex < text.length) {
    const found = token.exec(text);
    if (!found) return undefined;
    const [, mark, double, single, bare] = found;
    const quoted = double ?? single;
    tokens.push(mark ? { mark } : { text: quoted === undefined ? bare : unescaped(quoted) });
  }
  let place = 0;
  const value = (depth: number): Literal | undefined => {
    const { mark, text: own } = tokens[place++] ?? {};
    if (own !== undefined) return own;
    if (mark === undefined || depth > 8) return undefined;
    const end = { '[': ']', '(': ')', '{': '}' }[mark];
    if (!end) return undefined;
    const list: Literal[] = [];
    const dict = new Map<string, Literal>();
    while (tokens[place]?.mark !== end) {
      const item = value(depth + 1);
      if (item === undefined) return undefined;
      if (tokens[place]?.mark === ':') {
        place++;
        const named = value(depth + 1);
        if (named === undefined) return undefined;
        dict.set(String(item), named);
      } else list.push(item);
      if (tokens[place]?.mark === ',') place++;
      else if (tokens[place]?.mark !== end) return undefined;
    }
    place++;
    return dict.size > 0 ? dict : list;
  };
  const whole = value(0);
  return place === tokens.length ? whole : undefined;
}

const escapes: Readonly<Record<string, string>> = { n: '\n', t: '\t', r: '\r', b: '\b', f: '\f' };

function unescaped(text: string): string {
  return text.replace(/\\(?:u([0-9a-f]{4})|x([0-9a-f]{2})|(.))/gisu, (_, four, two, one) =>
    four || two ? String.fromCharCode(Number.parseInt(four ?? two, 16)) : (escapes[one] ?? one),
  );
}
