import { spawnSync } from 'node:child_process';
import { chmodSync, mkdirSync, readFileSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { delimiter, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { digest, makeInputs, root } from '../batch/inputs.js';
import { hasRedis, RedisServer } from './redis-server.js';

/** docs/fleet.md: its commands are run, in their order, beside photos/ and model.onnx. */
const project = fileURLToPath(new URL('../../', import.meta.url));
const page = readFileSync(join(project, 'docs/fleet.md'), 'utf8');
const commands = [...page.matchAll(/```sh\n(.*?)```/gs)].map(([, code]) => code);

/** What stands for the engines: each runs the files that it is given as the engine does. */
const engines: Readonly<Record<string, string>> = {
  gradcampp: `exec "${process.execPath}" "${join(project, 'dist/cli/main.js')}" "$@"`,
  sbatch: `
    [ "$1" = --wait ] && array="\${2#--array=}" && script="$3" && shift 3
    for part in $(echo "$array" | tr , ' '); do
      for index in $(seq "\${part%-*}" "\${part#*-}"); do
        SLURM_ARRAY_TASK_ID=$index SLURM_CPUS_PER_TASK=1 "$script" "$@" || exit 1
      done
    done`,
  docker: '[ "$1" = build ] && [ -f "$4/Dockerfile" ]',
  kubectl: '[ "$1" = apply ] && [ -f "$3" ]',
};

beforeAll(() => {
  makeInputs();
  mkdirSync(join(root, 'bin'));
  for (const [name, script] of Object.entries(engines)) {
    writeFileSync(join(root, 'bin', name), `#!/bin/sh\n${script}\n`);
    chmodSync(join(root, 'bin', name), 0o755);
  }
  symlinkSync(join(project, 'examples'), join(root, 'examples'));
});
afterAll(() => rmSync(root, { recursive: true }));

function shell(command: string): { status: number | null; said: string } {
  const env = { ...process.env, PATH: `${join(root, 'bin')}${delimiter}${process.env.PATH}` };
  const { status, stdout, stderr } = spawnSync('sh', ['-ec', command], { cwd: root, env, encoding: 'utf8' });
  return { status, said: stdout + stderr };
}

test.skipIf(process.platform === 'win32')(
  'every command of docs/fleet.md works',
  async () => {
    expect(commands).toHaveLength(7);
    const server = hasRedis ? await RedisServer.start() : undefined; // what says that there is none is said where it is started
    for (const typed of commands) {
      const command = typed.replace('redis://queue.example:6379', server?.url ?? '');
      if (command !== typed && !server) continue;
      const merges = command.includes('shard merge');
      const { status, said } = shell(command);
      expect(status, `${command}${said}`).toBe(merges ? 3 : 0); // some of the pictures are none
    }
    await server?.end();
    expect(
      shell('gradcampp explain photos/ --model model.onnx --out one/ --table one/results.parquet').status,
    ).toBe(3);
    expect(digest(join(root, 'maps'))).toEqual(digest(join(root, 'one')));
  },
  600_000,
);
