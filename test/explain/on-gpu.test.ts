import { spawnSync } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { basename, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { families } from '../support/families.js';
import { bytesFrom } from '../support/network.js';

const script = fileURLToPath(new URL('placements.mjs', import.meta.url));
const hasGpu = Boolean(process.env.VK_DRIVER_FILES) || process.env.TEST_GPU === '1';

/** Operators by execution provider, of all sessions of a network together. */
type Placed = Record<string, string[]>;

function placementsIn(log: string): Map<string, Placed> {
  const found = new Map<string, Placed>();
  let placed: Placed = {};
  let provider = '';
  for (const line of log.split('\n')) {
    const [, model] = /== (.*\.onnx)$/.exec(line) ?? [];
    if (model !== undefined) {
      placed = found.get(model) ?? {};
      found.set(model, placed);
    }
    const [, name] = /odes? ?(?:\(s\))? placed on \[(\w+)\]\. Number of nodes: \d+/.exec(line) ?? [];
    if (name !== undefined) {
      provider = name;
      placed[provider] ??= [];
    }
    const [, operator] = /VerifyEachNodeIsAssignedToAnEp\] +(\w+) \(/.exec(line) ?? [];
    if (operator !== undefined) placed[provider].push(operator);
    if (/MemcpyTransformer modified: 1/.test(line)) (placed.Memcpy ??= []).push(line);
  }
  return found;
}

describe.skipIf(!hasGpu)('gradients on a GPU (skipped where there is no Vulkan driver)', () => {
  const folder = mkdtempSync(join(tmpdir(), 'gradcampp-gpu-'));
  let placements = new Map<string, Placed>();
  let errors = new Map<string, number>();
  beforeAll(() => {
    const paths = Object.entries(families).map(([name, graph]) => {
      const path = join(folder, `${name}.onnx`);
      writeFileSync(path, bytesFrom(graph));
      return path;
    });
    const { status, stdout, stderr } = spawnSync(process.execPath, [script, ...paths], {
      encoding: 'utf8',
      maxBuffer: 2 ** 30,
    });
    expect(status, stderr.slice(-2000)).toBe(0);
    const ofFile = (path: string) => basename(path, '.onnx');
    placements = new Map([...placementsIn(stderr)].map(([path, placed]) => [ofFile(path), placed]));
    const lines = stdout
      .trim()
      .split('\n')
      .map((line) => JSON.parse(line) as { model: string; error: number });
    errors = new Map(lines.map(({ model, error }) => [ofFile(model), error]));
  });
  afterAll(() => rmSync(folder, { recursive: true }));

  /** Sizes that are computed are computed on the CPU, where they are needed: here, how often a class token is repeated. */
  const sizes: Record<string, Placed> = { ViT: { CPUExecutionProvider: ['Slice', 'Concat'] } };

  test.each(Object.keys(families))('%s: no operator falls to the CPU, nothing is copied between', (name) => {
    const { WebGpuExecutionProvider: onGpu, ...others } = placements.get(name) ?? {};
    expect(onGpu).toBeDefined();
    expect(others).toEqual(sizes[name] ?? {});
  });

  test.each(Object.keys(families))('%s: the gradient is that of the CPU, to 1e-5 of the largest', (name) => {
    expect(errors.get(name)).toBeLessThan(1e-5);
  });
});
