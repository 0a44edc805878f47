import { spawnSync } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { afterEach, describe, expect, it, vi } from 'vitest';
import { create, globals } from 'webgpu';
import type { MapRequest } from '../../src/map/backend.js';
import { computeReference } from '../../src/map/reference.js';
import { openWebgpu, type WebgpuBackend } from '../../src/map/webgpu.js';
import { planBatches, shapeOf } from '../../src/map/webgpu/plan.js';
import { expectClose } from './suite.js';
import { wgsl } from './tolerance.js';
import { randomRequest } from './vectors.js';
import { describeWebgpu } from './webgpu_describe.js';

afterEach(() => vi.restoreAllMocks());

type Prototype = Record<string, (...args: unknown[]) => unknown>;
const { GPUDevice, GPUQueue, GPUComputePassEncoder, GPUBuffer, GPUCommandEncoder } = globals as Record<
  string,
  { prototype: Prototype }
>;

/** Opens a backend for one test and closes it after. */
async function using(
  options: Parameters<typeof openWebgpu>[0],
  body: (backend: WebgpuBackend) => Promise<void>,
): Promise<void> {
  const backend = await openWebgpu(options);
  try {
    await body(backend);
  } finally {
    await backend.close();
  }
}

await describeWebgpu('one batch', () => {
  const request = randomRequest({ images: 3, channels: 6, layer: [5, 5], size: [12, 12], targets: 2 });
  const maps = 3 * 2;

  it('is one dispatch in one pass; activations go up once, and only heads, raw and maps come back', async () => {
    await using({}, async (backend) => {
      const dispatches = vi.spyOn(GPUComputePassEncoder.prototype, 'dispatchWorkgroups');
      const passes = vi.spyOn(GPUCommandEncoder.prototype, 'beginComputePass');
      const submits = vi.spyOn(GPUQueue.prototype, 'submit');
      const writes = vi.spyOn(GPUQueue.prototype, 'writeBuffer');
      const copies = vi.spyOn(GPUCommandEncoder.prototype, 'copyBufferToBuffer');
      const result = await backend.compute(request);
      expectClose(result, computeReference(request), request, wgsl);
      expect([passes.mock.calls.length, submits.mock.calls.length]).toEqual([1, 1]);
      expect(dispatches.mock.calls).toEqual([[3, 2]]);
      const plane = 3 * 6 * 25 * 4;
      const taps = 3 * 4 * (1 + 12 + 12);
      const sent = writes.mock.calls.map(([, , data]) => (data as Float32Array).byteLength);
      expect(sent).toEqual([48, taps, plane, plane, plane]);
      expect(copies.mock.calls.map((call) => call[4])).toEqual([4 * maps * (4 + 25 + 144)]);
    });
  });

  it('uses the buffers of the one before', async () => {
    await using({ inFlight: 1 }, async (backend) => {
      await backend.compute(request);
      const made = vi.spyOn(GPUDevice.prototype, 'createBuffer');
      await backend.compute(request);
      await backend.compute(randomRequest({ images: 2, channels: 6, layer: [4, 4], size: [12, 12] }));
      expect(made).not.toHaveBeenCalled();
      const larger = randomRequest({ images: 4, channels: 6, layer: [5, 5], size: [12, 12], targets: 2 });
      expectClose(await backend.compute(larger), computeReference(larger), larger, wgsl);
      expect(made.mock.calls.map(([d]) => (d as GPUBufferDescriptor).label)).toEqual([
        'activations',
        'gradients',
        'results',
        'readback',
      ]);
    });
  });

  it('takes arrays that threads share', async () => {
    const shared = (array: Float32Array) => {
      const copy = new Float32Array(new SharedArrayBuffer(array.byteLength));
      copy.set(array);
      return copy;
    };
    await using({}, async (backend) => {
      const expected = await backend.compute(request);
      const actual = await backend.compute({
        ...request,
        activations: shared(request.activations),
        gradients: request.gradients.map(shared),
      });
      expect(actual).toEqual(expected);
    });
  });

  it('is timed where asked', async () => {
    const times: number[] = [];
    await using({ onDispatch: (nanoseconds) => times.push(nanoseconds) }, async (backend) => {
      const timed = await backend.compute(request);
      expect(times.length).toBe(1);
      expect(times[0]).toBeGreaterThan(0);
      expectClose(timed, computeReference(request), request, wgsl);
    });
  });
});

await describeWebgpu('several batches', () => {
  const requests = [1, 2, 3, 4, 5].map((seed) =>
    randomRequest({ images: 2, channels: 8, layer: [6, 6], size: [20, 20], seed }),
  );

  it('are in flight together, as many as asked for', async () => {
    await using({ inFlight: 3 }, async (backend) => {
      await backend.compute(requests[0]); // compiles
      const events: string[] = [];
      const submit = GPUQueue.prototype.submit;
      vi.spyOn(GPUQueue.prototype, 'submit').mockImplementation(function (this: unknown, ...args) {
        events.push('submit');
        return submit.apply(this, args);
      });
      const unmap = GPUBuffer.prototype.unmap;
      vi.spyOn(GPUBuffer.prototype, 'unmap').mockImplementation(function (this: unknown, ...args) {
        events.push('read');
        return unmap.apply(this, args);
      });
      const results = await Promise.all(requests.map((request) => backend.compute(request)));
      results.forEach((result, i) => expectClose(result, computeReference(requests[i]), requests[i], wgsl));
      // Three go before anything is read; each of the last two takes the place of one that was read.
      expect(events.slice(0, 4)).toEqual(['submit', 'submit', 'submit', 'read']);
      expect(events.filter((e) => e === 'submit').length).toBe(5);
      expect(events.lastIndexOf('submit')).toBeLessThan(events.lastIndexOf('read'));
    });
  });

  it('are what a request beyond the binding size becomes, without changing a bit', async () => {
    const request = randomRequest({
      images: 7,
      channels: 6,
      layer: [5, 5],
      size: [12, 12],
      targets: 3,
      form: 'softmax',
    });
    let whole: unknown;
    await using({}, async (backend) => {
      whole = await backend.compute(request);
    });
    const image = 6 * 25 * 4;
    for (const [bindingBytes, grid] of [
      [
        3 * 3 * 4 * (4 + 25 + 144),
        [
          [2, 3],
          [2, 3],
          [3, 3],
        ],
      ], // three images with their three targets
      [
        2 * 4 * (4 + 25 + 144),
        Array.from({ length: 7 }, () => [
          [1, 1],
          [1, 2],
        ]).flat(),
      ], // two targets of one image
      [4 * (4 + 25 + 144), Array.from({ length: 21 }, () => [1, 1])],
    ] as const) {
      expect(bindingBytes).toBeGreaterThanOrEqual(image);
      await using({ bindingBytes }, async (backend) => {
        const dispatches = vi.spyOn(GPUComputePassEncoder.prototype, 'dispatchWorkgroups');
        expect(await backend.compute(request)).toEqual(whole);
        expect(dispatches.mock.calls).toEqual(grid);
        dispatches.mockRestore();
      });
    }
    await using({ bindingBytes: 600 }, async (backend) => {
      await expect(backend.compute(request)).rejects.toMatchObject({
        code: 'RUNTIME',
        message: expect.stringMatching(
          /6 channels of 1×5×5 upsampled to 1×12×12 needs a buffer of 692 bytes, and .* 600/,
        ),
      });
    });
  });

  it('are finished before close returns, and none starts after', async () => {
    const backend = await openWebgpu();
    const work = backend.compute(requests[0]);
    await backend.close();
    expectClose(await work, computeReference(requests[0]), requests[0], wgsl);
    await expect(backend.compute(requests[0])).rejects.toMatchObject({
      code: 'RUNTIME',
      message: 'The backend "webgpu" has been closed. Open another.',
    });
    await backend.close();
  });
});

describe('planning', () => {
  const shape = (images: number, targets: number) =>
    shapeOf(randomRequest({ images, targets, channels: 1, layer: [1], size: [1] }));

  it('respects the number of workgroups along an axis', () => {
    const limits = { bindingBytes: 2 ** 31, workgroups: 4 };
    const sizes = (images: number, targets: number) =>
      planBatches(shape(images, targets), limits).map((b) => [
        b.firstImage,
        b.images,
        b.firstTarget,
        b.targets,
      ]);
    expect(sizes(4, 4)).toEqual([[0, 4, 0, 4]]);
    expect(sizes(9, 1)).toEqual([
      [0, 3, 0, 1],
      [3, 3, 0, 1],
      [6, 3, 0, 1],
    ]);
    expect(sizes(1, 5)).toEqual([
      [0, 1, 0, 2],
      [0, 1, 2, 3],
    ]);
  });
});

/** Dawn with a hold on the devices it gives out. */
function dawnWithDevices(): { gpu: GPU; devices: GPUDevice[] } {
  const dawn = create([]);
  const devices: GPUDevice[] = [];
  const requestAdapter = async (...args: Parameters<GPU['requestAdapter']>) => {
    const adapter = await dawn.requestAdapter(...args);
    return (
      adapter && {
        features: adapter.features,
        limits: adapter.limits,
        info: adapter.info,
        requestDevice: async (descriptor: GPUDeviceDescriptor) => {
          const device = await adapter.requestDevice(descriptor);
          devices.push(device);
          return device;
        },
      }
    );
  };
  return { gpu: { requestAdapter } as unknown as GPU, devices };
}

await describeWebgpu('a lost device', () => {
  const request: MapRequest = randomRequest({ images: 2, channels: 8, layer: [6, 6], size: [20, 20] });

  it('is opened again once, and its batches repeated; a second loss is reported', async () => {
    const { gpu, devices } = dawnWithDevices();
    await using({ gpu, inFlight: 2 }, async (backend) => {
      const expected = await backend.compute(request);
      const work = [1, 2, 3].map(() => backend.compute(request));
      devices[0].destroy();
      expect(await Promise.all(work)).toEqual([expected, expected, expected]);
      expect(devices.length).toBe(2);

      devices[1].destroy();
      const failures = await Promise.allSettled([1, 2, 3].map(() => backend.compute(request)));
      for (const failure of failures)
        expect((failure as PromiseRejectedResult).reason).toMatchObject({
          code: 'RUNTIME',
          message: expect.stringContaining('The GPU device was lost for the second time: '),
        });
      expect(devices.length).toBe(2);
    });
  });

  it('that cannot be opened again is reported', async () => {
    const { gpu, devices } = dawnWithDevices();
    await using({ gpu }, async (backend) => {
      gpu.requestAdapter = async () => null;
      devices[0].destroy();
      await expect(backend.compute(request)).rejects.toMatchObject({
        code: 'RUNTIME',
        message: expect.stringMatching(
          /The GPU device was lost \(.+\) and could not be opened again: .*needs a GPU adapter/,
        ),
      });
    });
  });
});

await describeWebgpu('what the device refuses', () => {
  const request: MapRequest = randomRequest({ channels: 8, layer: [6, 6], size: [20, 20] });

  it('is reported with the name of the shader, and the next batch computes', async () => {
    await using({ subgroups: false }, async (backend) => {
      const dispatch = vi
        .spyOn(GPUComputePassEncoder.prototype, 'dispatchWorkgroups')
        .mockImplementationOnce(function (this: { dispatchWorkgroups: (n: number) => void }) {
          dispatch.mockRestore();
          this.dispatchWorkgroups(65536);
        });
      await expect(backend.compute(request)).rejects.toMatchObject({
        code: 'RUNTIME',
        message: expect.stringMatching(/refused a dispatch of shaders\/map\.wgsl: .*65536/),
      });
      expectClose(await backend.compute(request), computeReference(request), request, wgsl);
    });
  });
});

describe('opening', () => {
  it('refuses unknown and wrong options', async () => {
    for (const [options, message] of [
      [{ inflight: 3 }, '"inflight" is not an option of openWebgpu. Closest: "inFlight"'],
      [{ inFlight: 0 }, '"inFlight" must be a whole number from 1 to 64; received 0'],
      [{ workgroupSize: 100 }, '"workgroupSize" must be 64, 128 or 256; received 100'],
    ] as const)
      await expect(openWebgpu(options as object)).rejects.toMatchObject({
        code: 'INVALID_OPTION',
        message: expect.stringContaining(message),
      });
  });

  it('says how to get an adapter where there is none', async () => {
    const gpu = { requestAdapter: async () => null } as unknown as GPU;
    await expect(openWebgpu({ gpu })).rejects.toMatchObject({
      code: 'UNSUPPORTED_BACKEND',
      message: expect.stringMatching(
        /needs a GPU adapter, and Dawn found none\. Install a Vulkan driver .* SwiftShader/,
      ),
    });
  });

  it('never takes subgroup operations that the adapter does not have', async () => {
    const adapter = { features: new Set(), limits: {}, info: { vendor: 'none', description: '' } };
    const gpu = { requestAdapter: async () => adapter } as unknown as GPU;
    await expect(openWebgpu({ gpu, subgroups: true })).rejects.toMatchObject({
      code: 'UNSUPPORTED_BACKEND',
      message: 'The GPU "none" does not have the feature "subgroups". Leave out the option that asks for it.',
    });
  });
});

await describeWebgpu('the adapter', () => {
  it('is described, and a software one is called so', async () => {
    await using({ subgroups: false }, async ({ adapter }) => {
      expect(adapter.subgroups).toBe(false);
      const isSwiftshader = adapter.architecture === 'swiftshader';
      if (isSwiftshader)
        expect(adapter).toMatchObject({
          vendor: 'google',
          software: true,
          description: 'SwiftShader driver 5.0.0',
        });
      else expect(adapter.vendor + adapter.description).not.toBe('');
    });
  });
});

// A process of its own, with the built package: what a program sees.
const program = (body: string) => `
  import { openWebgpu } from ${JSON.stringify(new URL('../../dist/map/webgpu.js', import.meta.url).href)};
  const request = {
    method: 'grad-cam', form: 'exp', alphaNormalization: false, gradientRelu: true,
    images: 1, channels: 1, layer: [2], size: [4],
    activations: Float32Array.of(1, 3), gradients: [Float32Array.of(1, 1)],
  };
  ${body}`;
function runNode(body: string, environment: Record<string, string | undefined> = {}) {
  const { status, stdout, stderr } = spawnSync(
    process.execPath,
    ['--input-type=module', '-e', program(body)],
    {
      encoding: 'utf8',
      timeout: 60_000,
      env: { ...process.env, ...environment },
      cwd: fileURLToPath(new URL('../../', import.meta.url)),
    },
  );
  return { status, stdout, stderr };
}

await describeWebgpu('a process', () => {
  for (const [state, end] of [
    ['after close', 'await backend.close();'],
    ['without close', ''],
    ['with the closed backend still in a global', 'globalThis.backend = backend; await backend.close();'],
  ])
    it(`ends by itself ${state}`, () => {
      const outcome = runNode(`
        const backend = await openWebgpu();
        const { maps } = await backend.compute(request);
        console.log(maps[0].join());
        ${end}`);
      expect(outcome).toEqual({ status: 0, stdout: '0,0.25,0.75,1\n', stderr: '' });
    });
});

describe('a process', () => {
  for (const [without, environment] of [
    ['a driver', { VK_DRIVER_FILES: '/nowhere.json' }],
    ['a driver or a loader', { VK_DRIVER_FILES: '/nowhere.json', LD_LIBRARY_PATH: '' }],
  ] as const)
    it(`without ${without} gets the typed error`, () => {
      const { status, stdout, stderr } = runNode(
        'await openWebgpu().catch((error) => console.log(error.code, error.message));',
        { VK_ICD_FILENAMES: '/nowhere.json', ...environment },
      );
      expect(status).toBe(0);
      expect(stdout).toMatch(
        /^UNSUPPORTED_BACKEND The backend "webgpu" needs a GPU adapter, and (there is no Vulkan loader \(libvulkan\.so\.1\)|Dawn found none)\. Install /,
      );
      // A loader without a driver makes Dawn warn; without a loader Dawn is not even loaded.
      if (stdout.includes('no Vulkan loader')) expect(stderr).toBe('');
    });
});
