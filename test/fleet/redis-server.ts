import { type ChildProcess, spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, rmSync } from 'node:fs';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as wait } from 'node:timers/promises';

/** Whether Debian's redis-server, or another, is here. */
export const hasRedis = spawnSync('redis-server', ['--version']).status === 0;
if (!hasRedis && process.env.REQUIRE_REDIS)
  throw new Error('REQUIRE_REDIS is set, and there is no redis-server.');
if (!hasRedis) console.warn('NOT TESTED: queues of shards. There is no redis-server here.');

/** A real server on a port of its own, which can be killed and started again. */
export class RedisServer {
  readonly url: string;
  readonly #port: number;
  readonly #folder = mkdtempSync(join(tmpdir(), 'gradcampp-redis-'));
  readonly #keeps: boolean;
  readonly #isOpen: boolean;
  #child!: ChildProcess;

  private constructor(port: number, keeps: boolean, isOpen: boolean) {
    this.#port = port;
    this.#keeps = keeps;
    this.#isOpen = isOpen;
    this.url = `redis://127.0.0.1:${port}`;
  }

  /**
   * @param keeps whether it writes down what it is told before it answers
   * @param isOpen whether other networks reach it
   */
  static async start({ keeps = true, isOpen = false } = {}): Promise<RedisServer> {
    const server = new RedisServer(await freePort(), keeps, isOpen);
    await server.again();
    return server;
  }

  async again(): Promise<void> {
    const keeping = this.#keeps ? ['--appendonly', 'yes', '--appendfsync', 'always'] : ['--appendonly', 'no'];
    const args = [
      '--port',
      String(this.#port),
      '--bind',
      this.#isOpen ? '0.0.0.0' : '127.0.0.1',
      '--protected-mode',
      this.#isOpen ? 'no' : 'yes',
      '--save',
      '',
      '--dir',
      this.#folder,
      ...keeping,
    ];
    this.#child = spawn('redis-server', args, { stdio: 'ignore' });
    while (
      spawnSync('redis-cli', ['-p', String(this.#port), 'ping'])
        .stdout.toString()
        .trim() !== 'PONG'
    )
      await wait(50);
  }

  async kill(): Promise<void> {
    this.#child.kill('SIGKILL');
    await once(this.#child, 'exit');
  }

  async end(): Promise<void> {
    if (this.#child.exitCode === null && this.#child.signalCode === null) await this.kill();
    rmSync(this.#folder, { recursive: true });
  }
}

async function freePort(): Promise<number> {
  const server = createServer().listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address() as { port: number };
  server.close();
  await once(server, 'close');
  return port;
}
