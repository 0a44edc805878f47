import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { closeSync, mkdtempSync, openSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { basename, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { families as ofPictures, volumes } from '../support/families.js';
import { bytesFrom } from '../support/network.js';

const families = { ...ofPictures, 'a network of volumes': volumes() };
/** Explained by targets that are no classes; and one whose channels are pooled by their maximum. */
const others = ['detector', 'segmenter', 'shapes'];
const assets = fileURLToPath(new URL('../../assets/', import.meta.url));
const script = fileURLToPath(new URL('placements.mjs', import.meta.url));
const hasGpu = Boolean(process.env.VK_DRIVER_FILES) || process.env.TEST_GPU === '1';

/** Operators by execution provider, of all sessions of a network together; those of a provider that has all nodes are not named. */
type Placed = Record<string, string[]>;

/** What the log says of each model, held to its own counts: a log of which a part is missing is refused. */
function placementsIn(log: string): Map<string, { sessions: number; placed: Placed }> {
  const found = new Map<string, { sessions: number; placed: Placed }>();
  for (const part of log.split('\n== ').slice(1)) {
    const model = part.slice(0, part.indexOf('\n'));
    const { sessions, placed } = found.get(model) ?? { sessions: 0, placed: {} };
    found.set(model, { sessions: sessions + Number(part.includes('] Node placements')), placed });
    const [, ...blocks] = part.split(/(?=(?:All nodes|Node\(s\)) placed on \[)/);
    for (const block of blocks) {
      const [, which, provider, count] =
        /^(.*) placed on \[(\w+)\]\. Number of nodes: (\d+)/.exec(block) ?? [];
      const named = [...block.matchAll(/VerifyEachNodeIsAssignedToAnEp\] +(\w+) \(/g)].map(
        ([, operator]) => operator,
      );
      expect(named.length, block.slice(0, 1000)).toBe(which === 'All nodes' ? 0 : Number(count));
      (placed[provider] ??= []).push(...named);
    }
    if (part.includes('MemcpyTransformer modified: 1')) (placed.Memcpy ??= []).push(model);
  }
  return found;
}

describe.skipIf(!hasGpu)('gradients on a GPU (skipped where there is no Vulkan driver)', () => {
  const folder = mkdtempSync(join(tmpdir(), 'gradcampp-gpu-'));
  let placements = new Map<string, { sessions: number; placed: Placed }>();
  let errors = new Map<string, number>();
  beforeAll(async () => {
    const paths = Object.entries(families).map(([name, graph]) => {
      const path = join(folder, `${name}.onnx`);
      writeFileSync(path, bytesFrom(graph));
      return path;
    });
    const more = others.map((name) => join(assets, `${name}.onnx`));
    // Into files: ONNX Runtime writes no more of its log once a pipe was full for a moment.
    const written = ['answers', 'log'].map((name) => join(folder, name));
    const [answers, log] = written.map((path) => openSync(path, 'w'));
    const child = spawn(process.execPath, [script, ...paths, '--', ...more], {
      stdio: ['ignore', answers, log],
    });
    const [status] = await once(child, 'exit');
    for (const fd of [answers, log]) closeSync(fd);
    const [stdout, stderr] = written.map((path) => readFileSync(path, 'latin1'));
    expect(status, stderr.slice(-2000)).toBe(0);
    const ofFile = (path: string) => basename(path).replace('.onnx', '');
    placements = new Map([...placementsIn(stderr)].map(([path, found]) => [ofFile(path), found]));
    const lines = stdout
      .trim()
      .split('\n')
      .map((line) => JSON.parse(line) as { model: string; error: number });
    errors = new Map(lines.map(({ model, error }) => [ofFile(model), error]));
  }, 600_000);
  afterAll(() => rmSync(folder, { recursive: true }));

  test.each([...Object.keys(families), ...others])(
    '%s: no operator falls to the CPU, nothing is copied between',
    (name) => {
      const { sessions, placed } = placements.get(name) ?? { sessions: 0, placed: {} };
      const { WebGpuExecutionProvider: onGpu, ...elsewhere } = placed;
      expect(sessions).toBe(2); // forward and backward
      expect(onGpu).toBeDefined();
      expect(elsewhere).toEqual({});
    },
  );

  test.each(Object.keys(families))('%s: nor does one of second derivatives', (name) => {
    const { sessions, placed } = placements.get(`${name} twice`) ?? { sessions: 0, placed: {} };
    const { WebGpuExecutionProvider: onGpu, ...elsewhere } = placed;
    expect(sessions).toBe(1);
    expect(onGpu).toBeDefined();
    expect(elsewhere).toEqual({});
  });

  test.each(Object.keys(families))('%s: the gradient is that of the CPU, to 1e-5 of the largest', (name) => {
    expect(errors.get(name)).toBeLessThan(1e-5);
  });
});
