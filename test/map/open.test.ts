import { describe, expect, it } from 'vitest';
import { type Contender, chooseBackend, shapeClass, type Verdict } from '../../src/map/auto.js';
import type { BackendName, MapBackend } from '../../src/map/backend.js';
import { computeMaps } from '../../src/map/compute.js';
import { openNative } from '../../src/map/native.js';
import { openBackend } from '../../src/map/open-backend.js';
import { openReference } from '../../src/map/reference.js';
import { randomRequest } from './vectors.js';

const request = randomRequest({ channels: 4, layer: [5, 5], size: [10, 10] });

describe('openBackend', () => {
  it('opens the reference by name and says that it was asked for', async () => {
    const backend = await openBackend('reference');
    expect(backend.name).toBe('reference');
    const result = await computeMaps(backend, request);
    expect([result.backend, result.reason]).toEqual(['reference', 'asked for']);
    await backend.close();
  });

  it('chooses by measurement and says why', async () => {
    const backend = await openBackend('auto', { tryGpu: false });
    const result = await computeMaps(backend, request);
    expect(['native', 'reference']).toContain(result.backend);
    expect(result.reason).toMatch(/^fastest of (native|reference) [\d.e-]+ ms.* a map; webgpu not allowed$/);
    expect([backend.name, backend.reason]).toEqual([result.backend, result.reason]);
    await backend.close();
  });

  it('refuses unknown names and options', async () => {
    await expect(openBackend('natve' as 'native')).rejects.toMatchObject({
      code: 'INVALID_OPTION',
      message:
        '"backend" must be one of auto, reference, native, webgpu; received "natve". Closest: "native".',
    });
    await expect(openBackend('auto', { thread: 2 } as object)).rejects.toMatchObject({
      code: 'INVALID_OPTION',
    });
  });

  it('never falls back from a named backend', async () => {
    await expect(openNative({}, { problems: ['nothing there'] })).rejects.toMatchObject({
      code: 'UNSUPPORTED_BACKEND',
      message: expect.stringMatching(
        /"native" cannot run here: no addon loads \(nothing there\)\. Install .* or a C\+\+ compiler/,
      ),
    });
  });
});

/** The reference backend under another name, `delay` milliseconds slower, counting its openings. */
function contender(name: BackendName, delay: number, extra: object = {}): Contender & { opened: number } {
  const self = {
    name,
    opened: 0,
    open: async () => {
      self.opened++;
      const reference = openReference();
      const compute: MapBackend['compute'] = async (r) => {
        const until = performance.now() + delay;
        while (performance.now() < until);
        return reference.compute(r);
      };
      return { ...reference, ...extra, name, compute };
    },
  };
  return self;
}

describe('auto', () => {
  it('takes the fastest, and asks only once for a class of shapes', async () => {
    const known = new Map<string, Promise<Verdict>>();
    const native = contender('native', 0);
    const reference = contender('reference', 5);
    const verdict = await chooseBackend(request, [native, reference], undefined, '', known);
    expect(verdict.name).toBe('native');
    await chooseBackend({ ...request }, [native, reference], undefined, '', known);
    expect([native.opened, reference.opened, known.size]).toEqual([1, 1, 1]);
  });

  it('tries the beginning of a request: few images, one target', async () => {
    const large = randomRequest({ images: 5, targets: 3, channels: 16, layer: [200, 200], size: [4, 4] });
    const seen: number[][] = [];
    const watching: Contender = {
      name: 'reference',
      open: async () => ({
        ...openReference(),
        compute: async (request) => {
          seen.push([request.images, request.gradients.length]);
          return openReference().compute(request);
        },
      }),
    };
    await chooseBackend(large, [watching], undefined, '', new Map());
    expect(seen.length).toBeGreaterThan(1);
    expect(new Set(seen.map(String))).toEqual(new Set(['2,1'])); // a million activations are less than two images
  });

  it('does not open a GPU for short requests', async () => {
    const gpu = contender('webgpu', 0, { adapter: { software: false } });
    const verdict = await chooseBackend(request, [contender('reference', 0)], gpu, '', new Map());
    expect([verdict.name, gpu.opened]).toEqual(['reference', 0]);
    expect(verdict.reason).toContain('too short for webgpu');
  });

  it('takes a GPU that is faster, but never a software one', async () => {
    const hardware = contender('webgpu', 0, { adapter: { software: false } });
    const software = contender('webgpu', 0, { adapter: { software: true } });
    const slow = [contender('reference', 5)];
    expect((await chooseBackend(request, slow, hardware, '', new Map())).name).toBe('webgpu');
    const verdict = await chooseBackend(request, slow, software, '', new Map());
    expect(verdict.name).toBe('reference');
    expect(verdict.reason).toContain('the only GPU is a software one');
  });

  it('leaves a GPU that cannot be opened or fails, and says so', async () => {
    const broken: Contender = { name: 'webgpu', open: () => Promise.reject(new Error('no adapter')) };
    const verdict = await chooseBackend(request, [contender('reference', 5)], broken, '', new Map());
    expect(verdict.name).toBe('reference');
    expect(verdict.reason).toContain('no webgpu: no adapter');
  });

  it('does not judge by a request that is not finite', async () => {
    const known = new Map<string, Promise<Verdict>>();
    const bad = randomRequest({ channels: 4, layer: [5, 5], size: [10, 10] });
    bad.activations[7] = Number.NaN;
    await expect(chooseBackend(bad, [contender('reference', 0)], undefined, '', known)).rejects.toMatchObject(
      {
        code: 'RUNTIME',
      },
    );
    expect(known.size).toBe(0);
  });

  it('puts twice the work into another class, and nearly the same into one', () => {
    expect(shapeClass({ ...request, images: 7 })).toBe(shapeClass({ ...request, images: 8 }));
    expect(shapeClass({ ...request, images: 4 })).not.toBe(shapeClass({ ...request, images: 8 }));
    expect(shapeClass({ ...request, method: 'grad-cam' })).not.toBe(shapeClass(request));
  });
});
