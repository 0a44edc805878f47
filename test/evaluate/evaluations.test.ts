import { readdirSync, readFileSync } from 'node:fs';
import { basename } from 'node:path';
import { fileURLToPath } from 'node:url';
import { expect, test } from 'vitest';
import type { AnyEvaluation } from '../../src/evaluate/definition.js';
import { documented } from '../../src/evaluate/document.js';
import { optionsOfAll } from '../../src/evaluate/evaluation.js';
import { evaluations } from '../../src/evaluate/evaluations.js';

const all = Object.entries<AnyEvaluation>(evaluations);

test('every evaluation is listed under its own name, and lies in the folder of that name', () => {
  const folders = readdirSync(new URL('../../src/evaluate/', import.meta.url));
  expect(all.length).toBeGreaterThan(3);
  for (const [key, { name }] of all) {
    expect(name).toBe(key);
    expect(folders).toContain(name);
  }
});

test('no evaluation has an option, or a flag, of the name of one that all have', () => {
  for (const [, evaluation] of all) {
    const shared = optionsOfAll(evaluation);
    const flags = Object.values<{ flag?: string }>(shared).map(({ flag }) => flag);
    for (const [name, { flag }] of Object.entries(evaluation.options as Record<string, { flag: string }>)) {
      expect(Object.keys(shared)).not.toContain(name);
      expect(flags).not.toContain(flag);
      expect(flag).toMatch(/^--[a-z-]+ <\w+>$/);
    }
  }
});

test('metrics have keys of their own, and each says what a map that knows nothing gets', () => {
  const documentedMetrics = all.flatMap(([, { metrics }]) => metrics);
  expect(documentedMetrics.length).toBeGreaterThan(10);
  expect(new Set(documentedMetrics.map(({ name }) => name)).size).toBe(documentedMetrics.length);
  for (const { definition, byChance } of documentedMetrics) {
    expect(definition.length).toBeGreaterThan(20);
    expect(byChance?.length).toBeGreaterThan(10);
  }
});

test('docs/evaluating.md is up to date (npm run docs:evaluating)', () => {
  const page = readFileSync(new URL('../../docs/evaluating.md', import.meta.url), 'utf8');
  expect(page).toBe(documented(page));
});

test('no two files of the evaluations are called alike, apart from index.ts', () => {
  const root = fileURLToPath(new URL('../../src/evaluate/', import.meta.url));
  const names = readdirSync(root, { recursive: true, encoding: 'utf8' })
    .filter((file) => file.endsWith('.ts'))
    .map((file) => basename(file));
  expect(names.filter((name, i) => name !== 'index.ts' && names.indexOf(name) < i)).toEqual([]);
});
