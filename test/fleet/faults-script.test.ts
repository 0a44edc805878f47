import { spawnSync } from 'node:child_process';
import { copyFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { expect, test } from 'vitest';
import { hasRedis } from './redis-server.js';

const project = fileURLToPath(new URL('../../', import.meta.url));

/** As `npm run faults:fleet` does, with one fault, once: so that the script is known to work. */
test.runIf(hasRedis)(
  'the script of faults kills a worker, and says what that costs',
  () => {
    const node = (...args: string[]) => spawnSync(process.execPath, args, { cwd: project, encoding: 'utf8' });
    const compiled = node('node_modules/typescript/bin/tsc', '-p', 'scripts/fleet/tsconfig.json');
    expect(compiled.status, compiled.stdout).toBe(0);
    copyFileSync(join(project, 'package.json'), join(project, 'scripts/build/package.json'));
    const flags = ['--runs', '1', '--only', 'kill', '--shards', '2', '--size', '3', '--seed', '1'];
    const { status, stdout, stderr } = node('scripts/build/scripts/fleet/faults.js', ...flags);
    expect(status, stdout + stderr).toBe(0);
    expect(stdout).toMatch(
      /^\| a worker is killed \(SIGKILL\) \| 1 of 1 \| [\d.]+ s \| [\d.]+ s \| -?[\d.]+ s \|$/m,
    );
  },
  240_000,
);
