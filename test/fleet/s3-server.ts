import { mkdtempSync, rmSync } from 'node:fs';
import { createServer, type IncomingMessage, request, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import S3rver from 's3rver';

/**
 * What happens to a request: answered 503, not answered, done and then not answered, its answer cut off half way, or whole without
 * the range that was asked for; answered 412 though nothing is there, where it has a condition.
 */
export type Fault = 'busy' | 'reset' | 'lost' | 'cut' | 'whole' | 'taken' | undefined;

export interface S3Server {
  /** Chooses what goes wrong. */
  fault: (method: string, path: string) => Fault;
  /** Requests so far, as "PUT", and those that went wrong. */
  readonly requests: string[];
  faults: number;
  close(): Promise<void>;
}

/**
 * An S3 server with a bucket "bucket", in whose front stand what s3rver has not, conditional writes (412 where there is one, 409 while
 * one is written) and names in the form of URLs, and faults. Sets the environment that the SDK reads.
 */
export async function startS3(): Promise<S3Server> {
  const directory = mkdtempSync(join(tmpdir(), 'gradcampp-s3-'));
  const inner = new S3rver({
    port: 0,
    address: '127.0.0.1',
    silent: true,
    directory,
    configureBuckets: [{ name: 'bucket', configs: [] }],
  });
  const { port } = (await inner.run()) as AddressInfo;
  const written = new Set<string>();
  const writing = new Set<string>();
  const server: S3Server = {
    fault: () => undefined,
    requests: [],
    faults: 0,
    close: async () => {
      outer.closeAllConnections();
      outer.close();
      await inner.close();
      rmSync(directory, { recursive: true });
    },
  };
  const refuse = (answer: ServerResponse, status: number, code: string) => {
    answer.writeHead(status, { 'content-type': 'application/xml' });
    answer.end(`<?xml version="1.0"?><Error><Code>${code}</Code><Message>${code}</Message></Error>`);
  };
  const handle = async (asked: IncomingMessage, answer: ServerResponse) => {
    const { method = '', url = '', headers } = asked;
    const path = url.split('?', 1)[0];
    const fault = server.fault(method, path);
    server.requests.push(method);
    if (fault) server.faults++;
    const parts: Buffer[] = [];
    for await (const part of asked) parts.push(part as Buffer);
    if (fault === 'reset') return asked.socket.destroy();
    if (fault === 'busy') return refuse(answer, 503, 'SlowDown');
    const isConditional = headers['if-none-match'] === '*';
    if (isConditional && fault === 'taken') return refuse(answer, 412, 'PreconditionFailed');
    if (isConditional && written.has(path)) return refuse(answer, 412, 'PreconditionFailed');
    if (isConditional && writing.has(path)) return refuse(answer, 409, 'ConditionalRequestConflict');
    if (isConditional) writing.add(path);
    if (fault === 'whole') delete headers.range;
    const forward = request({ port, method, path: url, headers }, (got) => {
      if (method === 'GET' && url.includes('encoding-type=url')) return void answerEncoded(got, answer);
      if (method === 'PUT' && got.statusCode === 200) written.add(path);
      if (isConditional) writing.delete(path);
      if (fault === 'lost') return got.destroy() && asked.socket.destroy();
      answer.writeHead(got.statusCode ?? 500, got.headers);
      const length = Number(got.headers['content-length']);
      if (fault !== 'cut' || method === 'HEAD' || !(length > 1)) return got.pipe(answer);
      got.once('data', (piece: Buffer) => {
        answer.write(piece.subarray(0, Math.max(1, Math.floor(piece.length / 2))), () =>
          asked.socket.destroy(),
        );
        got.destroy();
      });
    });
    forward.on('error', () => asked.socket.destroy());
    forward.end(Buffer.concat(parts));
  };
  const outer = createServer((asked, answer) => {
    handle(asked, answer).catch(() => asked.socket.destroy());
  });
  await new Promise<void>((resolve) => outer.listen(0, '127.0.0.1', resolve));
  process.env.AWS_ENDPOINT_URL_S3 = `http://127.0.0.1:${(outer.address() as AddressInfo).port}`;
  process.env.AWS_REGION = 'us-east-1';
  process.env.AWS_ACCESS_KEY_ID = process.env.AWS_SECRET_ACCESS_KEY = 'S3RVER';
  return server;
}

/** A list whose names are encoded. */
async function answerEncoded(got: IncomingMessage, answer: ServerResponse): Promise<void> {
  const parts: Buffer[] = [];
  for await (const part of got) parts.push(part as Buffer);
  const list = Buffer.concat(parts)
    .toString()
    .replaceAll(
      /<Key>([^<]*)<\/Key>/g,
      (_, key) => `<Key>${encodeURIComponent(text(key)).replaceAll('%20', '+')}</Key>`,
    )
    .replace('</ListBucketResult>', '<EncodingType>url</EncodingType></ListBucketResult>');
  answer.writeHead(got.statusCode ?? 500, { 'content-type': 'application/xml' });
  answer.end(list);
}

const entities: Readonly<Record<string, string>> = { amp: '&', lt: '<', gt: '>', quot: '"', apos: "'" };

function text(xml: string): string {
  return xml.replaceAll(/&(?:#x([\da-f]+)|(\w+));/gi, (_, code, name) =>
    code ? String.fromCodePoint(Number.parseInt(code, 16)) : (entities[name] ?? ''),
  );
}
