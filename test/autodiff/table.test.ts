import { readdirSync, readFileSync } from 'node:fs';
import { describe, expect, test } from 'vitest';
import { operatorsPage } from '../../src/autodiff/operators.js';
import { newestOpset, oldestOpset, type Row, ruleOf, table } from '../../src/autodiff/table.js';
import { GradcamppError } from '../../src/errors.js';
import type { Node } from '../../src/graph/graph.js';
import type { Case } from './case.js';
import { families } from './cases/index.js';
import { schema } from './schema.js';

const cases = Object.values(families).flat();
const rows = Object.entries(table);
const standard = rows.filter(([name]) => !name.includes('.'));

function nodeOf(opType: string): Node {
  return { opType, domain: '', name: 'here', inputs: ['x'], outputs: ['y'], attributes: new Map() };
}

describe('the table of gradient rules', () => {
  test('has a case for every row that a gradient can arrive at', () => {
    const covered = new Set(cases.map((item) => item.op));
    const wanted = rows.filter(([, row]) => row.outcome !== 'none').map(([name]) => name);
    expect(wanted.filter((name) => !covered.has(name))).toEqual([]);
    expect(wanted.length).toBeGreaterThan(150);
  });

  test('has a row for every case, and no case twice', () => {
    expect(cases.filter((item) => !(item.op in table)).map((item) => item.op)).toEqual([]);
    const names = cases.map((item) => `${item.op}: ${item.name}`);
    expect(names.filter((name, i) => names.indexOf(name) !== i)).toEqual([]);
    expect(names.length).toBeGreaterThan(600);
  });

  test('every file of cases is a family', () => {
    const files = readdirSync(new URL('cases/', import.meta.url)).map((name) => name.replace('.ts', ''));
    expect(files.filter((name) => name !== 'index').sort()).toEqual(Object.keys(families).sort());
  });

  test('every family has a test file', () => {
    const files = readdirSync(new URL('.', import.meta.url));
    expect(Object.keys(families).filter((name) => !files.includes(`${name}.test.ts`))).toEqual([]);
  });

  test.each(rows.filter(([, row]) => row.outcome === 'none'))('%s says why it has no rule', (name, row) => {
    const act = () => ruleOf(nodeOf(name), row.since);
    expect(act).toThrow(GradcamppError);
    expect(act).toThrow(`${name} "here" (opset ${row.since}) has no gradient rule: `);
    expect(act).toThrow((row as { reason: string }).reason);
  });

  test.each([
    ['com.microsoft', 'QGemm', 'it computes with whole numbers'],
    ['com.microsoft', 'QLinearAdd', 'it computes with whole numbers'],
    ['com.microsoft.nchwc', 'Conv', 'its values are laid out in blocks for one kind of processor'],
  ])('%s.%s says why it has no rule', (domain, opType, reason) => {
    expect(() => ruleOf({ ...nodeOf(opType), domain }, 17)).toThrow(
      `${domain}.${opType} "here" (opset 17) has no gradient rule: ${reason}`,
    );
  });

  test('an unknown operator is an error with the nearest names', () => {
    expect(() => ruleOf(nodeOf('ReLU'), 17)).toThrow(/ReLU "here" \(opset 17\) has no gradient rule.*"Relu"/);
  });
});

test('docs/operators.md is up to date (npm run docs:operators)', () => {
  const page = readFileSync(new URL('../../docs/operators.md', import.meta.url), 'utf8');
  expect(page).toBe(operatorsPage());
});

describe('the ONNX operator definitions', () => {
  test('are those of the newest operator set', () => expect(schema.newest).toBe(newestOpset));

  test('every operator with a float input has a rule or a reason', () => {
    const wanted = Object.entries(schema.operators).filter(([, { floatInputs }]) => floatInputs.length > 0);
    expect(wanted.length).toBeGreaterThan(150);
    expect(wanted.filter(([name]) => !(name in table)).map(([name]) => name)).toEqual([]);
  });

  test.each(standard)('%s is there, in these operator sets', (name, row) => {
    const operator = schema.operators[name];
    expect(operator).toBeDefined();
    expect(row.since).toBe(Math.max(operator.versions[0], oldestOpset));
    expect(row.until).toBe(operator.deprecated ? operator.deprecated - 1 : newestOpset);
  });

  test.each(standard.filter(isRule))(
    '%s: a gradient reaches every float input, from every float output',
    (name, row) => {
      const operator = schema.operators[name];
      const own = cases.filter((item) => item.op === name);
      const reached = (input: string) => own.some((item) => isWanted(item, operator.inputs.indexOf(input)));
      const moving = operator.floatInputs.filter((input) => !row.still.includes(input));
      expect(moving.filter((input) => !reached(input))).toEqual([]);
      expect(row.still.filter((input) => !operator.floatInputs.includes(input))).toEqual([]);
      const seeded = Math.max(...own.map((item) => nodeOutputs(item)));
      expect(seeded).toBeGreaterThanOrEqual(operator.floatOutputs.length);
    },
  );
});

function isRule(entry: [string, Row]): entry is [string, Row & { outcome: 'rule' }] {
  return entry[1].outcome === 'rule';
}

/** Whether a case differentiates an input of its operator. */
function isWanted(item: Case, place: number): boolean {
  const node = item.nodes?.find(({ op }) => op === item.op);
  const name = node ? node.inputs[place] : `x${place}`;
  if (!name) return false;
  const input = /^x\d+$/.test(name) ? item.inputs[Number(name.slice(1))] : undefined;
  return input ? input.kind === 'real' && input.wrt : node !== undefined;
}

/** How many outputs of its operator a case looks at. */
function nodeOutputs(item: Case): number {
  const node = item.nodes?.find(({ op }) => op === item.op);
  return node ? node.outputs.length : (item.outputs ?? 1);
}
