import { expect, test } from 'vitest';
import type { Opening } from '../../src/web/service.js';
import { serviceInWorker } from '../../src/web/worker-client.js';

/** A worker that opens, and says nothing more. */
class SilentWorker extends EventTarget {
  postMessage({ id, call }: { readonly id: number; readonly call: string }) {
    if (call === 'open')
      queueMicrotask(() => this.dispatchEvent(new MessageEvent('message', { data: { id, facts: {} } })));
  }
  terminate() {}
}

test('what is asked of a worker that failed is refused, and it can be closed', async () => {
  const worker = new SilentWorker();
  const service = await serviceInWorker({} as Opening, () => worker as unknown as Worker, {});
  const asked = service.warmUp();
  worker.dispatchEvent(new Event('error'));
  await expect(asked).rejects.toThrow(/^The worker of gradcampp\/web failed: /);
  await expect(service.predict([])).rejects.toThrow(/^The worker of gradcampp\/web failed: /);
  await service.close();
});
