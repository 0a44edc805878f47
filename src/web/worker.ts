import { asOurs } from '../errors.js';
import { ownBuffers } from '../transfer.js';
import type { DownloadProgress } from './download.js';
import { type Answer, type Ask, sentError } from './protocol.js';
import type { CaptionService } from './caption-service.js';
import { openService, type Service } from './service.js';

/** The worker of one explainer or captioner: gradcampp/web/worker. */
const scope = globalThis as unknown as Pick<Worker, 'addEventListener' | 'postMessage'>;
const say = (answer: Answer, transfer: Iterable<ArrayBuffer> = []) =>
  scope.postMessage(answer, [...transfer]);

let service: Service | CaptionService | undefined;
const opening = new AbortController();

scope.addEventListener('message', async ({ data: ask }: MessageEvent<Ask>) => {
  if (ask.call === 'abort') {
    opening.abort();
    return;
  }
  const { id } = ask;
  try {
    if (ask.call === 'open') {
      const onProgress = (progress: DownloadProgress) => say({ id, progress });
      const { signal } = opening;
      const download = ask.tells ? { signal, onProgress } : { signal };
      const own =
        'model' in ask.opening
          ? await openService(ask.opening, download)
          : await (await import('./caption-service.js')).openCaptionService(ask.opening, download);
      service = own;
      say({ id, facts: own.facts });
      return;
    }
    const result = await (service as Service)[ask.call](...(ask.args as [never, never, never]));
    // What a view shows it keeps.
    say({ id, result }, ask.call === 'show' || ask.call === 'read' ? [] : ownBuffers(result));
  } catch (error) {
    say({ id, error: sentError(asOurs(error)) });
  }
});
