import { describe, expect, test } from 'vitest';
import { table } from '../../src/autodiff/table.js';
import { type Fact, facts, is, withoutFacts } from '../../src/graph/facts.js';
import { schema } from '../autodiff/schema.js';

const rows = Object.entries(facts);
const having = (fact: Fact) => rows.filter(([, list]) => list.includes(fact)).map(([name]) => name);

describe('the table of operator facts', () => {
  test('names operators that there are', () => {
    const known = schema.operators;
    expect([...Object.keys(facts), ...withoutFacts].filter((name) => !(name in known))).toEqual([]);
  });

  test('has every operator: with facts, or among those without', () => {
    const listed = [...Object.keys(facts), ...withoutFacts];
    expect(Object.keys(schema.operators).filter((name) => !listed.includes(name))).toEqual([]);
    expect(listed.filter((name, i) => listed.indexOf(name) !== i)).toEqual([]);
    expect(listed.length).toBeGreaterThan(190);
  });

  test('has no empty row, and no fact twice in one', () => {
    expect(rows.filter(([, list]) => list.length === 0 || new Set(list).size < list.length)).toEqual([]);
  });

  test('holds for the default domain alone', () => {
    expect(is({ opType: 'Relu', domain: '' }, 'activation')).toBe(true);
    expect(is({ opType: 'Relu', domain: 'com.example' }, 'activation')).toBe(false);
    expect(is({ opType: 'Gemm', domain: '' }, 'activation')).toBe(false);
    expect(is({ opType: 'toString', domain: '' }, 'activation')).toBe(false);
  });

  test('what broadcasts is elementwise', () => {
    expect(having('broadcasts').filter((name) => !facts[name].includes('elementwise'))).toEqual([]);
  });

  test('what only changes dims passes values through', () => {
    expect(having('onlyDims').filter((name) => !facts[name].includes('passThrough'))).toEqual([]);
  });

  test('an activation, what bends and what is non-negative makes floats of floats', () => {
    const odd = (['activation', 'bends', 'nonNegative', 'keepsSign', 'unboundedSlope'] as const)
      .flatMap(having)
      .filter((name) => {
        const { floatInputs, floatOutputs } = schema.operators[name];
        return floatInputs.length === 0 || floatOutputs.length === 0;
      });
    expect(odd).toEqual([]);
  });

  test('what has an infinite slope has a gradient', () => {
    expect(having('unboundedSlope').filter((name) => table[name]?.outcome !== 'rule')).toEqual([]);
  });

  test('what is drawn at random has no gradient', () => {
    expect(having('random').filter((name) => table[name] && table[name].outcome !== 'stop')).toEqual([]);
  });
});
