import { connect } from 'node:net';
import { setTimeout as pause } from 'node:timers/promises';
import { expect, test } from 'vitest';
import { listen } from '../../src/serve/listen.js';

const size = 2 ** 26; // more than the system takes before a client reads
const patience = 1.5;

/** A server of one answer, and what became of it. */
async function start(patienceIsFor: 'all' | 'more') {
  let end: (how: 'given' | 'ended') => void;
  const ended = new Promise<'given' | 'ended'>((resolve) => {
    end = resolve;
  });
  let left = size;
  const body = () =>
    new ReadableStream<Uint8Array>({
      pull: (controller) => {
        controller.enqueue(new Uint8Array(2 ** 16));
        left -= 2 ** 16;
        if (left > 0) return;
        controller.close();
        end('given');
      },
      cancel: () => end('ended'),
    });
  const server = await listen(
    { fetch: async () => new Response(body()), drain: () => {} },
    { port: 0, patience },
    { patienceIsFor },
  );
  const client = connect(Number(new URL(server.address).port), '127.0.0.1');
  client.on('error', () => {}); // a client that is dropped may be told so
  client.pause();
  client.write('GET / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n');
  return { server, client, ended };
}

/** Reads for longer than the patience, a little at a time, then the rest. */
async function readSlowly(client: ReturnType<typeof connect>): Promise<number> {
  let bytes = 0;
  const closed = new Promise((resolve) => client.once('close', resolve));
  const until = performance.now() + 3000 * patience;
  while (performance.now() < until) {
    bytes += (client.read() as Buffer | null)?.byteLength ?? 0;
    await pause(20);
  }
  client.on('data', (part) => {
    bytes += part.byteLength;
  });
  client.resume();
  await closed;
  return bytes;
}

test.each(['all', 'more'] as const)(
  'a client that reads nothing is ended, patience is for %s',
  async (patienceIsFor) => {
    const { server, client, ended } = await start(patienceIsFor);
    expect(await ended).toBe('ended');
    client.destroy();
    await server.close();
  },
);

test('a client that goes on reading gets a file whole, however long it takes', async () => {
  const { server, client, ended } = await start('more');
  expect(await readSlowly(client)).toBeGreaterThan(size);
  expect(await ended).toBe('given');
  await server.close();
});

test('a client that goes on reading an answer that holds a place is ended all the same', async () => {
  const { server, client, ended } = await start('all');
  expect(await readSlowly(client)).toBeLessThan(size);
  expect(await ended).toBe('ended');
  await server.close();
});
