import { open, stat } from 'node:fs/promises';
import { setTimeout as wait } from 'node:timers/promises';
import { GradcamppError, messageOf } from '../../errors.js';
import { readInto } from '../../files.js';
import type { Storage, StorageKind } from './storage.js';

/** Of the package @aws-sdk/client-s3, which the user installs, what is used. */
interface Sdk {
  readonly S3Client: new (options: object) => { send(command: object): Promise<Answer> };
  readonly [command: `${string}Command`]: new (input: object) => object;
}
interface Answer {
  readonly Body?: AsyncIterable<Uint8Array>;
  readonly ETag?: string;
  readonly ContentLength?: number;
  readonly ContentRange?: string;
  readonly UploadId?: string;
  readonly Contents?: readonly { readonly Key: string }[];
  readonly NextContinuationToken?: string;
  readonly EncodingType?: string;
}

/** Files of more bytes are sent in parts of so many. The least that S3 takes is 5 MiB, the most parts 10,000. */
const partSize = 8 * 2 ** 20;
const mostParts = 10_000;

/** How often a request is tried, by the SDK where it can, with pauses that grow. */
const attempts = 8;

/**
 * A prefix in a bucket of S3, or of a server that speaks its protocol. Region, credentials and endpoint are those that the SDK
 * finds (AWS_REGION, AWS_PROFILE, AWS_ENDPOINT_URL_S3, the machine's role …). Objects are whole or not there by themselves.
 */
class S3 implements Storage {
  readonly address: string;
  readonly #sdk: Sdk;
  readonly #client: InstanceType<Sdk['S3Client']>;
  readonly #bucket: string;
  readonly #prefix: string;

  constructor(address: string, sdk: Sdk) {
    const [, bucket, prefix] = /^s3:\/\/([^/]+)\/?(.*?)\/*$/.exec(address) ?? [];
    if (bucket === undefined)
      throw new GradcamppError('INVALID_OPTION', `"${address}" names no bucket: give s3://BUCKET/PREFIX.`);
    this.address = address.replace(/\/+$/, '');
    this.#sdk = sdk;
    this.#bucket = bucket;
    this.#prefix = prefix === '' ? '' : `${prefix}/`;
    const { AWS_ENDPOINT_URL_S3, AWS_ENDPOINT_URL } = process.env;
    this.#client = new sdk.S3Client({
      maxAttempts: attempts,
      forcePathStyle: (AWS_ENDPOINT_URL_S3 ?? AWS_ENDPOINT_URL) !== undefined, // one's own server has one host name
      requestChecksumCalculation: 'WHEN_REQUIRED', // others' servers do not know the newer checksums
      responseChecksumValidation: 'WHEN_REQUIRED',
    });
  }

  async read(name: string): Promise<AsyncIterable<Uint8Array> | undefined> {
    const first = await this.#get(name, {}).catch((cause) => {
      if (statusOf(cause) === 404) return undefined;
      throw this.#failed(name, 'read', cause);
    });
    return first && this.#pieces(name, first);
  }

  async put(name: string, content: Uint8Array | { readonly file: string }): Promise<void> {
    try {
      if (content instanceof Uint8Array) await this.#send('PutObject', name, { Body: content });
      else await this.#putFile(name, content.file);
    } catch (cause) {
      throw this.#failed(name, 'written', cause);
    }
  }

  async create(name: string, bytes: Uint8Array): Promise<boolean> {
    try {
      if (await this.#isThere(name)) return false; // some servers ignore the condition
      for (let attempt = 1; ; attempt++) {
        try {
          await this.#send('PutObject', name, { Body: bytes, IfNoneMatch: '*' });
          return true;
        } catch (cause) {
          if (statusOf(cause) === 412) return false;
          if (statusOf(cause) !== 409 || attempt === attempts) throw cause; // 409: another is writing it now
          await pause(attempt);
        }
      }
    } catch (cause) {
      throw this.#failed(name, 'written', cause);
    }
  }

  async *list(folder: string, { isDeep = false } = {}): AsyncGenerator<string> {
    const Prefix = folder === '' ? this.#prefix : `${this.#prefix}${folder}/`;
    const Delimiter = isDeep ? undefined : '/';
    for (let ContinuationToken: string | undefined; ; ) {
      const EncodingType = 'url'; // names may hold what XML cannot
      const input = { Bucket: this.#bucket, Prefix, Delimiter, ContinuationToken, EncodingType };
      const page = await this.#client.send(new this.#sdk.ListObjectsV2Command(input)).catch((cause) => {
        throw this.#failed(folder, 'listed', cause);
      });
      const isEncoded = page.EncodingType === EncodingType; // not all servers do
      for (const { Key } of page.Contents ?? [])
        yield (isEncoded ? decoded(Key) : Key).slice(this.#prefix.length);
      ContinuationToken = page.NextContinuationToken;
      if (ContinuationToken === undefined) return;
    }
  }

  #send(command: string, name: string, input: object): Promise<Answer> {
    const own = { Bucket: this.#bucket, Key: `${this.#prefix}${name}`, ...input };
    return this.#client.send(new this.#sdk[`${command}Command`](own));
  }

  #get(name: string, input: object): Promise<Answer> {
    return this.#send('GetObject', name, input);
  }

  /** The bytes of an object; where the connection breaks, the rest is asked for. */
  async *#pieces(name: string, first: Answer): AsyncGenerator<Uint8Array> {
    let [answer, read, skipped] = [first, 0, 0];
    for (let attempt = 1; ; attempt++) {
      try {
        for await (const piece of answer.Body as AsyncIterable<Uint8Array>) {
          const rest = piece.subarray(skipped);
          skipped -= piece.length - rest.length;
          if (rest.length === 0) continue;
          yield rest;
          read += rest.length;
        }
        return;
      } catch (cause) {
        if (attempt === attempts) throw this.#failed(name, 'read', cause);
        await pause(attempt);
        answer = await this.#get(name, { Range: `bytes=${read}-`, IfMatch: first.ETag }).catch((again) => {
          throw this.#failed(name, 'read', again);
        });
        skipped = answer.ContentRange === undefined ? read : 0; // a server that knows no ranges begins anew
      }
    }
  }

  async #isThere(name: string): Promise<boolean> {
    try {
      await this.#send('HeadObject', name, {});
      return true;
    } catch (cause) {
      if (statusOf(cause) === 404) return false;
      throw cause;
    }
  }

  /** A part at a time is held, so that it can be sent again. */
  async #putFile(name: string, path: string): Promise<void> {
    const { size } = await stat(path);
    const length = Math.max(partSize, Math.ceil(size / mostParts));
    const file = await open(path);
    const partAt = async (start: number) => {
      const bytes = Buffer.allocUnsafeSlow(Math.min(length, size - start));
      return bytes.subarray(0, await readInto(file, bytes, start));
    };
    try {
      if (size <= length) return void (await this.#send('PutObject', name, { Body: await partAt(0) }));
      const { UploadId } = await this.#send('CreateMultipartUpload', name, {});
      try {
        const Parts: { PartNumber: number; ETag?: string }[] = [];
        for (let start = 0; start < size; start += length) {
          const PartNumber = Parts.length + 1;
          const part = { UploadId, PartNumber, Body: await partAt(start) };
          Parts.push({ PartNumber, ETag: (await this.#send('UploadPart', name, part)).ETag });
        }
        await this.#complete(name, { UploadId, MultipartUpload: { Parts } }, size);
      } catch (cause) {
        await this.#send('AbortMultipartUpload', name, { UploadId }).catch(() => undefined);
        throw cause;
      }
    } finally {
      await file.close();
    }
  }

  /** Parts become an object once: where the answer was lost, asking again is an error. */
  async #complete(name: string, upload: object, size: number): Promise<void> {
    try {
      await this.#send('CompleteMultipartUpload', name, upload);
    } catch (cause) {
      const there = await this.#send('HeadObject', name, {}).catch(() => undefined);
      if (there?.ContentLength !== size) throw cause;
    }
  }

  #failed(name: string, what: string, cause: unknown): GradcamppError {
    if (cause instanceof GradcamppError) return cause;
    const { name: kind } = cause as Error;
    const reason = messageOf(cause).replace(/\.$/, '');
    return new GradcamppError(
      'OUTPUT',
      `"${this.address}/${name}" cannot be ${what}: ${reason.includes(kind) || kind === 'Error' ? reason : `${kind}, ${reason}`}.`,
      { cause },
    );
  }
}

/** A name as S3 writes it where it is told to: as of a form. */
function decoded(key: string): string {
  return decodeURIComponent(key.replaceAll('+', ' '));
}

function statusOf(cause: unknown): number | undefined {
  return (cause as { $metadata?: { httpStatusCode?: number } }).$metadata?.httpStatusCode;
}

/** A tenth of a second, twice as long each time, up to ten; drawn, so that machines do not come together again. */
function pause(attempt: number): Promise<void> {
  return wait(Math.random() * Math.min(10_000, 100 * 2 ** attempt));
}

export const s3: StorageKind = {
  isMeant: (address) => address.startsWith('s3://'),
  open: async (address) => {
    const sdk = await import('@aws-sdk/client-s3' as string).catch((cause: unknown) => {
      throw new GradcamppError(
        'INVALID_OPTION',
        `"${address}" needs the package @aws-sdk/client-s3 beside gradcampp: npm install @aws-sdk/client-s3.`,
        { cause },
      );
    });
    return new S3(address, sdk as Sdk);
  },
};
