import { expect, it } from 'vitest';
import { loadAddon } from '../../src/addon.js';
import { type Kernels, nativeKernels } from '../../src/image/kernels.js';

const addon = nativeKernels(loadAddon()) as Kernels;

it.skipIf(!addon)(
  'the addon refuses lengths that do not fit the dims (skipped where it does not load)',
  () => {
    const plan = { width: 2, height: 2, window: { x: 0, y: 0, width: 2, height: 2 } };
    const box = { left: 0, top: 0, width: 2, height: 2 };
    const steps = { range: 1 as const, mean: [0, 0, 0], std: [1, 1, 1], order: [0, 1, 2] };
    const refusals: [() => unknown, string][] = [
      [
        () => addon.resizePillow(new Uint8Array(11), 2, 2, 3, plan, 'bilinear'),
        'source must have 12 elements; it has 11',
      ],
      [
        () => addon.resizePillow(new Uint8Array(12), 2, 2, 3, plan, 'nearest' as 'bilinear'),
        'filter must be bilinear or bicubic',
      ],
      [
        () =>
          addon.resizePillow(
            new Uint8Array(12),
            2,
            2,
            3,
            { ...plan, window: { ...plan.window, x: 1 } },
            'bilinear',
          ),
        'plan.window must lie within',
      ],
      [() => addon.resizeTorchBilinear(new Uint8Array(20), 2, 2, 5, plan), 'channels must be at most 4'],
      [
        () => addon.resizeTorchBilinear(new Uint8Array(12), 2, 2, 3, plan, new Float32Array(11)),
        'out must have 12 elements',
      ],
      [() => addon.resizeTorchBilinear(new Uint8Array(12), 2.5, 2, 3, plan), 'width must be a whole number'],
      [
        () => addon.normalizeToCHW(new Uint8Array(12), steps, new Float32Array(11)),
        'out must have 12 elements',
      ],
      [
        () => addon.normalizeToCHW(new Uint8Array(11), steps, new Float32Array(11)),
        'source must be a whole number of pixels',
      ],
      [
        () => addon.normalizeToCHW(new Uint8Array(12), { ...steps, order: [0, 1, 3] }, new Float32Array(12)),
        'order must name',
      ],
      [
        () => addon.normalizeToCHW(new Uint8Array(12), { ...steps, mean: [0] }, new Float32Array(12)),
        'mean and std must be',
      ],
      [
        () => addon.normalizeToCHW(new Uint16Array(12) as unknown as Uint8Array, steps, new Float32Array(12)),
        'source must be a Uint8Array',
      ],
      [
        () => addon.stretchMap(new Float32Array(3), [2, 2], { x: 0, y: 0, width: 2, height: 2 }, box),
        'map must have 4 elements',
      ],
      [
        () => addon.stretchMap(new Float32Array(4), [2, 2], { x: 0, y: 0, width: 0, height: 2 }, box),
        'over must be larger',
      ],
      [
        () =>
          addon.blend(
            new Uint8Array(12),
            2,
            { ...box, left: 1 },
            new Float32Array(4),
            new Uint8Array(768),
            1,
            1,
            new Uint8Array(12),
          ),
        'box must lie within the picture',
      ],
      [
        () =>
          addon.blend(
            new Uint8Array(12),
            2,
            box,
            new Float32Array(3),
            new Uint8Array(768),
            1,
            1,
            new Uint8Array(12),
          ),
        'map must have 4',
      ],
      [
        () =>
          addon.blend(
            new Uint8Array(12),
            2,
            box,
            new Float32Array(4),
            new Uint8Array(767),
            1,
            1,
            new Uint8Array(12),
          ),
        'table must have 768',
      ],
      [
        () =>
          addon.blend(
            new Uint8Array(12),
            2,
            box,
            new Float32Array(4),
            new Uint8Array(768),
            2,
            1,
            new Uint8Array(12),
          ),
        'opacity and outside',
      ],
    ];
    for (const [call, message] of refusals) expect(call).toThrow(message);
  },
);
