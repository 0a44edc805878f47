import { spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { execPath } from 'node:process';
import { fileURLToPath } from 'node:url';
import { afterAll, afterEach, beforeAll, describe, expect, test, vi } from 'vitest';
import { globals } from 'webgpu';
import { Explainer } from '../../src/batch/explainer.js';
import type { TargetExplanation } from '../../src/explain/explanation.js';
import { readNpy } from '../../src/image/npy.js';
import { sizeOf, type Tensor } from '../../src/tensor.js';
import { describeWebgpu } from '../map/webgpu_describe.js';
import { furthest, oracleCases } from '../methods/oracle.js';
import { families } from '../support/families.js';
import { bytesFrom } from '../support/network.js';
import { gpuCases } from './gpu-cases.js';

const root = fileURLToPath(new URL('../../', import.meta.url));
/** The built command, as users run it; `npm test` builds before. */
const main = join(root, 'dist/cli/main.js');
const oracle = fileURLToPath(new URL('../../../shared/oracle/', import.meta.url));
const executionProviders = ['webgpu'];
const fused = ['grad-cam++', 'grad-cam', 'layer-cam'] as const;

type Prototype = Record<string, (...args: unknown[]) => unknown>;
const { GPUBuffer, GPUComputePassEncoder, GPUDevice } = globals as Record<string, { prototype: Prototype }>;

/** Counts what leaves the GPU, and which shaders of ours are dispatched. */
function counted(): { readonly read: number[]; readonly dispatched: string[] } {
  const counts = { read: [] as number[], dispatched: [] as string[] };
  const { mapAsync } = GPUBuffer.prototype;
  vi.spyOn(GPUBuffer.prototype, 'mapAsync').mockImplementation(function (this: unknown, mode, from, size) {
    const { size: whole } = this as GPUBuffer;
    if (mode === 1) counts.read.push((size as number | undefined) ?? whole - ((from as number) ?? 0));
    return mapAsync.call(this, mode, from, size);
  });
  const { setPipeline, dispatchWorkgroups } = GPUComputePassEncoder.prototype;
  let label = '';
  vi.spyOn(GPUComputePassEncoder.prototype, 'setPipeline').mockImplementation(function (this: unknown, own) {
    label = (own as GPUComputePipeline).label;
    return setPipeline.call(this, own);
  });
  vi.spyOn(GPUComputePassEncoder.prototype, 'dispatchWorkgroups').mockImplementation(function (
    this: unknown,
    ...sizes
  ) {
    if (label.startsWith('map')) counts.dispatched.push(label.split(' ')[1]);
    return dispatchWorkgroups.apply(this, sizes);
  });
  return counts;
}

const pictures = (images: number, dims: readonly number[]): Tensor<'float32'> => ({
  type: 'float32',
  dims: [images, ...dims],
  data: Float32Array.from({ length: images * sizeOf(dims) }, (_, i) => Math.sin(i * i)),
});

afterEach(() => vi.restoreAllMocks());

await describeWebgpu(
  'a network on the GPU of Node.js',
  () => {
    const layer = 'concat18';
    let explainer: Explainer; // open all the while, so that the device keeps what it has compiled
    beforeAll(async () => {
      explainer = await Explainer.open(bytesFrom(families.SqueezeNet), { executionProviders, layer });
      await explainer.warmUp();
    });
    afterAll(() => explainer.close());

    test('of an explanation the scores and the map are read, by one dispatch a method', async () => {
      await using onCpu = await Explainer.open(bytesFrom(families.SqueezeNet), {
        backend: 'reference',
        layer,
      });
      expect(explainer.notes[0]).toMatch(
        /^The network runs on the GPU \(webgpu, .+\), by onnxruntime-web 1\.30\./,
      );
      const { read, dispatched } = counted();
      const asked = { targets: [{ class: 1 }, { class: 3 }], method: fused, batchSize: 2 } as const;
      const found = await explainer.explain(pictures(2, [3, 16, 16]), asked);
      expect(dispatched).toEqual(fused);
      // Two rows of five scores, in steps of 16 bytes; of two pictures and two targets a head, the raw map and the map.
      const map = 2 * 2 * 4 * (4 + 8 * 8 + 16 * 16);
      expect(read).toEqual([48, map, map, map]);
      const expected = await onCpu.explain(pictures(2, [3, 16, 16]), asked);
      for (const [n, { targets }] of expected.entries())
        for (const [t, { map: own, raw }] of targets.entries()) {
          const there = found[n].targets[t];
          expect(there).toMatchObject({ backend: 'webgpu', raw: { dims: [8, 8] } });
          expect(furthest(there.map.data, own.data)).toBeLessThan(1e-4);
          expect(furthest(there.raw?.data ?? [], raw?.data ?? [])).toBeLessThan(1e-4);
        }
    });

    test.each(Object.entries(gpuCases))('%s: as on the CPU', async (_, { stays, within, ...options }) => {
      await using onCpu = await Explainer.open(bytesFrom(families.SqueezeNet), {
        backend: 'reference',
        layer,
      });
      const asked = { targets: [{ class: 1 }, { class: 4 }], batchSize: 2, ...options } as const;
      const { dispatched } = counted();
      const found = await explainer.explain(pictures(2, [3, 16, 16]), asked);
      const methods = options.method as readonly string[];
      const layers = options.layer as readonly string[];
      if (stays) expect(dispatched).toEqual(methods.flatMap((name) => layers.map(() => name)));
      else expect(dispatched).toEqual([]);
      const expected = await onCpu.explain(pictures(2, [3, 16, 16]), asked);
      expectAlike(
        found.flatMap(({ targets }) => targets),
        expected.flatMap(({ targets }) => targets),
        within,
      );
    });

    test('calls at the same time come one after the other', async () => {
      const one = pictures(1, [3, 16, 16]);
      const mapOf = async (method: (typeof fused)[number]) =>
        (await explainer.explain(one, { method }))[0].targets[0].map.data;
      const alone = [await mapOf('grad-cam'), await mapOf('layer-cam')];
      const [scores, ...together] = await Promise.all([
        explainer.predict(one),
        mapOf('grad-cam'),
        mapOf('layer-cam'),
      ]);
      expect(together).toEqual(alone);
      expect(scores[0].scores).toHaveLength(5);
    });

    test('what there is not of a runtime for GPUs is refused', async () => {
      await expect(
        Explainer.open(bytesFrom(families.VGG), { executionProviders: ['webgpu', 'cuda'] }).then((own) =>
          own.warmUp(),
        ),
      ).rejects.toThrow('"executionProviders" must be one of webgpu, cpu; received "cuda".');
    });

    test('a GPU that was lost is said, and the next network has another', async () => {
      const lost = new Promise<GPUDevice>((resolve) => {
        const { createCommandEncoder } = GPUDevice.prototype;
        vi.spyOn(GPUDevice.prototype, 'createCommandEncoder').mockImplementation(function (
          this: unknown,
          ...given
        ) {
          resolve(this as GPUDevice);
          return createCommandEncoder.apply(this, given);
        });
      });
      await explainer.predict(pictures(1, [3, 16, 16]));
      vi.restoreAllMocks();
      const device = await lost;
      device.destroy();
      await device.lost;
      await expect(explainer.predict(pictures(1, [3, 16, 16]))).rejects.toThrow(
        /^ONNX Runtime failed: .*GPU/,
      );
      await explainer.close();
      explainer = await Explainer.open(bytesFrom(families.SqueezeNet), { executionProviders, layer });
      expect(await explainer.predict(pictures(1, [3, 16, 16]))).toHaveLength(1);
    });

    describe.skipIf(!existsSync(oracle))('the networks of PyTorch (needs ../shared/oracle)', () => {
      const cases = oracleCases.filter(({ file }) => file === 'torchscript-17');
      const methods = ['grad-cam++', 'layer-cam'] as const;

      test.each(cases)('$name: maps to 1e-4, gradients to 1e-5 of the largest', async (item) => {
        const { name, path, layer: own, classes, array } = item;
        await using opened = await Explainer.open(path, { layer: own, executionProviders });
        const asked = { targets: classes, method: methods, batchSize: 2 };
        const found = await opened.explain(await array('input'), asked);
        for (const method of methods) {
          const maps = (await array(`${method}.map`)).data;
          const all = found.flatMap(({ targets }) => targets.filter((one) => one.method === method));
          all.forEach(({ map: { data } }, i) =>
            expect(furthest(data, maps.subarray(i * data.length, (i + 1) * data.length))).toBeLessThan(1e-4),
          );
          expect(all).toHaveLength(2 * classes.length);
        }
        const expected = (await readNpy(`${oracle}${name}/gradients.npy`)).data as Float64Array;
        expect(await furthestGradient(opened, await array('input'), classes, expected)).toBeLessThan(1e-5);
      });
    });
  },
  600_000,
);

/** Holds maps to 1e-4, and what they are made of to 1e-5 of the largest. */
function expectAlike(
  found: readonly TargetExplanation[],
  expected: readonly TargetExplanation[],
  within = 1e-4,
): void {
  expect(found.map(({ method, layers }) => ({ method, layers }))).toEqual(
    expected.map(({ method, layers }) => ({ method, layers })),
  );
  for (const [i, { map, evidence }] of expected.entries()) {
    expect(furthest(found[i].map.data, map.data), found[i].method).toBeLessThan(within);
    for (const name of ['activations', 'gradients'] as const) {
      const own = evidence?.[name];
      if (!own) continue;
      const largest = own.reduce((most, value) => Math.max(most, Math.abs(value)), 0);
      expect(furthest(found[i].evidence?.[name] ?? [], own) / largest).toBeLessThan(1e-5);
    }
  }
}

/** How far gradients are from [N, classes, …layer], by the largest of these. */
async function furthestGradient(
  { network, explained, scores }: Explainer,
  input: Tensor<'float32'>,
  classes: readonly number[],
  expected: Float64Array,
): Promise<number> {
  const passes = await network.differentiator(explained, scores);
  const [images] = input.dims;
  const forward = await passes.forward({ [network.image.name]: input });
  const each = expected.length / images / classes.length;
  let [largest, most] = [0, 0];
  for (const [c, index] of classes.entries()) {
    const seed = new Float32Array(forward.scores.data.length);
    for (let n = 0; n < images; n++) seed[(n * seed.length) / images + index] = 1;
    const [gradient] = await passes.backward(forward, seed);
    const own = gradient.length / images; // one number a channel, where all places have the same
    for (let n = 0; n < images; n++)
      for (let k = 0; k < each; k++) {
        const wanted = expected[(n * classes.length + c) * each + k];
        largest = Math.max(largest, Math.abs(wanted));
        most = Math.max(most, Math.abs(wanted - gradient[n * own + Math.floor((k * own) / each)]));
      }
  }
  return most / largest;
}

await describeWebgpu(
  'a process that runs networks on the GPU',
  () => {
    const out = mkdtempSync(join(tmpdir(), 'gradcampp-gpu-run-'));
    afterAll(() => rmSync(out, { recursive: true }));
    const assets = join(root, 'assets');
    const run = ['explain', 'pictures', '--model', 'shapes.onnx', '--save', 'npy', '--batch', '1'];

    test('explains in workers as the CPU does, says what it used, and ends by itself', async () => {
      const results = new Map<string, readonly Float32Array[]>();
      for (const provider of ['webgpu', 'cpu']) {
        const folder = join(out, provider);
        const flags = ['--provider', provider, '--workers', '2', '--out', folder];
        const { status, stdout, stderr } = spawnSync(execPath, [main, ...run, ...flags], {
          cwd: assets,
          encoding: 'utf8',
        });
        expect(status, stderr).toBe(0);
        expect(`${stdout}${stderr}`.includes('The network runs on the GPU (webgpu, ')).toBe(
          provider === 'webgpu',
        );
        const names = readdirSync(folder).filter((name) => name.endsWith('.npy'));
        const maps = await Promise.all(names.map((name) => readNpy(join(folder, name))));
        results.set(
          provider,
          maps.map(({ data }) => data as Float32Array),
        );
        const lines = readFileSync(join(folder, 'results.jsonl'), 'utf8').trim().split('\n');
        for (const line of lines) expect(JSON.parse(line).backend === 'webgpu').toBe(provider === 'webgpu');
      }
      const [onGpu, onCpu] = [...results.values()];
      expect(onGpu).toHaveLength(6);
      onGpu.forEach((map, i) => expect(furthest(map, onCpu[i])).toBeLessThan(1e-4));
    });

    test('ends at the second Ctrl-C', async () => {
      const flags = ['--provider', 'webgpu', '--workers', '1', '--out', join(out, 'ended')];
      const child = spawn(execPath, [main, ...run, ...flags], { cwd: assets });
      let said = '';
      const until = (words: string) =>
        new Promise<void>((resolve) => {
          const look = (part: Buffer | string) => {
            said += part;
            if (said.includes(words)) resolve();
          };
          look('');
          child.stdout.on('data', look);
          child.stderr.on('data', look);
        });
      const ended = once(child, 'exit');
      await until('Layer: relu4');
      child.kill('SIGINT');
      await until('Ctrl-C again stops now');
      child.kill('SIGINT');
      expect(await ended).toEqual([null, 'SIGINT']);
    });

    /** What a module says that is run with `environment`. */
    const said = (body: string, environment: Record<string, string> = {}, flags: readonly string[] = []) =>
      spawnSync(execPath, [...flags, '--input-type=module', '-e', `${opening}${body}`], {
        cwd: root,
        encoding: 'utf8',
        env: { ...process.env, ...environment },
      }).stdout;
    const opening = `
    import { Explainer } from './dist/index.js';
    const open = (executionProviders) => Explainer.open('assets/shapes.onnx', { executionProviders });`;

    test('says where there is no GPU', () => {
      const body = "await open(['webgpu']).catch(({ code, message }) => console.log(code, message));";
      expect(said(body, { VK_DRIVER_FILES: '/nowhere.json' })).toMatch(
        /^UNSUPPORTED_BACKEND The execution provider webgpu needs a GPU adapter, and Dawn found none\. Install .+ or choose the provider "cpu"\.\n$/,
      );
    });

    test("uses onnxruntime-node's own provider where onnxruntime-web is not installed", () => {
      const hook = `export async function resolve(name, context, next) {
      if (name.startsWith('onnxruntime-web')) throw Object.assign(new Error(name), { code: 'ERR_MODULE_NOT_FOUND' });
      return next(name, context);
    }`;
      const url = (code: string) => `data:text/javascript,${encodeURIComponent(code)}`;
      const register = url(`import { register } from 'node:module'; register(${JSON.stringify(url(hook))});`);
      const body = `
      const explainer = await open(['webgpu']);
      console.log(explainer.notes[0]);
      await explainer.predict('assets/pictures/apples-and-cups.png');
      await explainer.close();
      process.exit(0);`;
      expect(said(body, {}, ['--import', register])).toBe(
        'The network runs on the provider webgpu of onnxruntime-node, which copies what maps are made of from the GPU: install onnxruntime-web@~1.30.0, and it stays there.\n',
      );
    });
  },
  600_000,
);
