import { execFileSync } from 'node:child_process';
import { existsSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { execPath } from 'node:process';
import { fileURLToPath } from 'node:url';
import { afterEach, expect, test } from 'vitest';
import { disableTelemetry } from '../src/telemetry.js';

const before = process.env.ORT_DISABLE_TELEMETRY;
afterEach(() => {
  if (before === undefined) delete process.env.ORT_DISABLE_TELEMETRY;
  else process.env.ORT_DISABLE_TELEMETRY = before;
});

test('telemetry is off, unless the user says otherwise', () => {
  delete process.env.ORT_DISABLE_TELEMETRY;
  disableTelemetry();
  expect(process.env.ORT_DISABLE_TELEMETRY).toBe('1');
  process.env.ORT_DISABLE_TELEMETRY = '0';
  disableTelemetry();
  expect(process.env.ORT_DISABLE_TELEMETRY).toBe('0');
});

/** The built command, as users run it; `npm test` builds before. */
const main = fileURLToPath(new URL('../dist/cli/main.js', import.meta.url));
const assets = fileURLToPath(new URL('../assets/', import.meta.url));

test.each(['0', '2'])('a run leaves no traces of telemetry, workers: %s', (workers) => {
  const home = mkdtempSync(join(tmpdir(), 'gradcampp-telemetry-'));
  // ONNX Runtime is silent where a variable says that it is tested.
  const { CI, ORT_DISABLE_TELEMETRY, ...env } = process.env;
  const flags = ['--model', 'shapes.onnx', '--out', join(home, 'out'), '--workers', workers, '--quiet'];
  try {
    execFileSync(execPath, [main, 'explain', 'pictures', ...flags], {
      cwd: assets,
      env: { ...env, HOME: home, XDG_CACHE_HOME: join(home, 'cache') },
    });
    expect(existsSync(join(home, 'cache', 'Microsoft'))).toBe(false);
  } finally {
    rmSync(home, { recursive: true });
  }
});
