import { GradcamppError, messageOf } from '../errors.js';
import type { DownloadOptions } from './download.js';
import type { CaptionFacts, CaptionOpening, CaptionService } from './caption-service.js';
import { type Answer, type Ask, type Call, ownError } from './protocol.js';
import type { Facts, Opening, Service } from './service.js';

/** An explainer in a worker of its own. */
export async function serviceInWorker(
  opening: Opening,
  make: true | (() => Worker),
  download: DownloadOptions,
): Promise<Service> {
  const { facts, ask, call, close } = await startWorker<Facts>(opening, make, download);
  return {
    facts,
    warmUp: call('warmUp'),
    explain: call('explain'),
    predict: call('predict'),
    view: (canvas) => {
      const own = canvas instanceof OffscreenCanvas ? canvas : canvas.transferControlToOffscreen();
      return ask<number>((id) => ({ id, call: 'view', args: [own] }), [own]);
    },
    show: call('show'),
    draw: call('draw'),
    read: call('read'),
    closeView: call('closeView'),
    close,
  };
}

/** A captioner in a worker of its own. */
export async function captionerInWorker(
  opening: CaptionOpening,
  make: true | (() => Worker),
  download: DownloadOptions,
): Promise<CaptionService> {
  const { facts, call, close } = await startWorker<CaptionFacts>(opening, make, download);
  return { facts, explain: call('explain'), close };
}

/** Starts a worker, and opens what is told in it. */
async function startWorker<F>(
  opening: Opening | CaptionOpening,
  make: true | (() => Worker),
  { onProgress, signal }: DownloadOptions,
) {
  const worker = make === true ? ownWorker() : make();
  const waiting = new Map<number, { resolve: (value: unknown) => void; reject: (error: unknown) => void }>();
  let last = 0;
  let failure: Error | undefined;
  const fail = (error: Error) => {
    failure ??= error;
    for (const { reject } of waiting.values()) reject(error);
    waiting.clear();
    worker.terminate();
  };
  worker.addEventListener('error', (event) => {
    event.preventDefault();
    fail(
      new GradcamppError(
        'RUNTIME',
        `The worker of gradcampp/web ${last > 1 ? 'failed' : 'does not start'}: ${event.message || 'its script cannot be loaded'}. Where a bundler does not take it along, give "worker", a function that makes one of gradcampp/web/worker.`,
      ),
    );
  });
  worker.addEventListener('messageerror', () =>
    fail(new GradcamppError('RUNTIME', 'A message of the worker could not be read.')),
  );
  worker.addEventListener('message', ({ data }: MessageEvent<Answer>) => {
    if ('progress' in data) {
      onProgress?.(data.progress);
      return;
    }
    const asked = waiting.get(data.id);
    waiting.delete(data.id);
    if ('error' in data) asked?.reject(ownError(data.error));
    else asked?.resolve('facts' in data ? data.facts : data.result);
  });
  const ask = <T>(message: (id: number) => Ask, handed: readonly Transferable[] = []): Promise<T> =>
    new Promise((resolve, reject) => {
      if (failure) return reject(failure); // nobody is there to answer
      const id = ++last;
      waiting.set(id, { resolve: resolve as (value: unknown) => void, reject });
      try {
        worker.postMessage(message(id), [...handed]);
      } catch (cause) {
        waiting.delete(id);
        reject(
          new GradcamppError(
            'INVALID_OPTION',
            `What was given cannot be sent to a worker: ${messageOf(cause)}.`,
            {
              cause,
            },
          ),
        );
      }
    });
  const call =
    <T>(name: Call) =>
    (...args: readonly unknown[]) =>
      ask<T>((id) => ({ id, call: name, args }));

  const onAbort = () => worker.postMessage({ id: 0, call: 'abort' } satisfies Ask, []);
  signal?.addEventListener('abort', onAbort, { once: true });
  let facts: F;
  try {
    facts = await ask<F>((id) => ({ id, call: 'open', opening, tells: onProgress !== undefined }));
  } catch (error) {
    worker.terminate();
    throw error;
  } finally {
    signal?.removeEventListener('abort', onAbort);
  }
  return {
    facts,
    ask,
    call,
    close: async () => {
      if (!failure) await call<void>('close')();
      worker.terminate();
    },
  };
}

function ownWorker(): Worker {
  return new Worker(new URL('./worker.js', import.meta.url), { type: 'module', name: 'gradcampp' });
}
