import type { AddressInfo } from 'node:net';
import type { Server } from 'node:http';
import { createAdaptorServer, type Http2Bindings, type HttpBindings } from '@hono/node-server';
import { GradcamppError, messageOf, show } from '../errors.js';
import { readOptions } from '../options.js';
import type { ServiceApp } from './http.js';
import { listenOptions, type ListenOptions } from './serve-options.js';

/** A server that listens. */
export interface Listening {
  /** As http://127.0.0.1:8080. */
  readonly address: string;
  /** Takes no more requests, answers those that it has, and resolves when the last is answered. */
  close(): Promise<void>;
  /** Ends every connection, whatever is being sent. */
  drop(): void;
}

/** Milliseconds between two looks for clients that are too slow. */
const lookEvery = 1000;

/** What the system's codes mean to someone who named an address. */
const problems: Readonly<Record<string, string>> = {
  EADDRINUSE: 'another program listens there; take another --port, or 0 for a free one',
  EACCES: 'permission denied; ports below 1024 are the system’s',
  EADDRNOTAVAIL: 'this machine has no such address',
  ENOTFOUND: 'there is no such name',
};

/**
 * Serves an app over HTTP/1.1. TLS is for whatever stands before it.
 *
 * @param patienceIsFor what a client has to do within `patience` seconds: read the whole answer (default), or read some more of it,
 *   for answers that are files of any size
 * @throws GradcamppError INVALID_OPTION, also where the address cannot be had
 */
export async function listen(
  app: ServiceApp,
  options: ListenOptions = {},
  { patienceIsFor = 'all' }: { readonly patienceIsFor?: 'all' | 'more' } = {},
): Promise<Listening> {
  const { host, port, patience } = readOptions('the server', listenOptions, options);
  const fetch = async (request: Request, { incoming, outgoing }: HttpBindings | Http2Bindings) => {
    const delivered = new Promise((resolve) => {
      outgoing.once('close', resolve);
    });
    const response = await app.fetch(request, { delivered, port: incoming.socket.localPort });
    const { socket } = incoming;
    const end = () => socket.destroy();
    if (patienceIsFor === 'more') {
      socket.setTimeout(1000 * patience, end); // begins anew whenever the client takes something
      void delivered.then(() => socket.off('timeout', end));
    } else {
      const timer = setTimeout(end, 1000 * patience);
      void delivered.then(() => clearTimeout(timer));
    }
    return response;
  };
  const server = createAdaptorServer({
    fetch,
    serverOptions: {
      requestTimeout: 1000 * patience,
      headersTimeout: 1000 * Math.min(patience, 10),
      connectionsCheckingInterval: lookEvery,
    },
  }) as Server;
  await new Promise<void>((resolve, reject) => {
    server.once('error', (cause: NodeJS.ErrnoException) => {
      const reason = problems[cause.code ?? ''] ?? messageOf(cause);
      reject(
        new GradcamppError('INVALID_OPTION', `${show(`${host}:${port}`)} cannot be listened on: ${reason}.`, {
          cause,
        }),
      );
    });
    server.listen(port, host, resolve);
  });
  const { address, family, port: own } = server.address() as AddressInfo;
  return {
    address: `http://${family === 'IPv6' ? `[${address}]` : address}:${own}`,
    close: () => {
      app.drain();
      return new Promise((resolve) => {
        server.close(() => resolve());
        server.closeIdleConnections();
      });
    },
    drop: () => server.closeAllConnections(),
  };
}
