import { readdirSync } from 'node:fs';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { create } from 'webgpu';
import { mapMethods } from '../../src/map/backend.js';
import { allSettings, constantsOf, Kernel } from '../../src/map/webgpu/kernel.js';
import { readShader } from '../../src/map/webgpu/platform.js';
import { overlayFile, stageFile, teamFiles } from '../../src/map/webgpu/shader-files.js';

const files = Object.values(teamFiles);
const moduleOf = async (teams: (typeof files)[number]) =>
  (await readShader(teams)) + (await readShader(stageFile));

/** Dawn's null backend validates and compiles everything and computes nothing: no adapter is needed. */
const gpu = create(['backend=null']);
let device: GPUDevice;
beforeAll(async () => {
  device = await (await gpu.requestAdapter())!.requestDevice({ requiredFeatures: ['subgroups'] });
});
afterAll(() => device.destroy());

describe('the shaders', () => {
  it('are the files in shaders/', () => {
    const folder = readdirSync(new URL('../../shaders/', import.meta.url)).filter((f) => f.endsWith('.wgsl'));
    expect(folder.sort()).toEqual([stageFile, overlayFile, ...files].sort());
  });

  it('come in 13 variants: eight of Grad-CAM++ and one of every other method', () => {
    const keys = allSettings().map((settings) => JSON.stringify(constantsOf(settings, 256)));
    expect(new Set(keys).size).toBe(13);
    expect(keys.length).toBe(8 + mapMethods.length - 1);
  });

  for (const file of files)
    for (const workgroupSize of [64, 128, 256])
      it(`${stageFile} with ${file} compiles with every set of constants, ${workgroupSize} invocations`, async () => {
        const kernel = await Kernel.compile(device, file, workgroupSize);
        const pipelines = await Promise.all(allSettings().map((settings) => kernel.pipeline(settings)));
        expect(new Set(pipelines).size).toBe(13);
        // Asked again, and for settings that do not concern the method: the same pipeline.
        const settings = {
          method: 'grad-cam',
          form: 'softmax',
          alphaNormalization: true,
          gradientRelu: false,
        };
        expect(await kernel.pipeline(settings as never)).toBe(
          pipelines[allSettings().findIndex(({ method }) => method === 'grad-cam')],
        );
      });

  it('declare the constants that the program sets, and no others but team_size', async () => {
    for (const file of files) {
      const declared = [...(await moduleOf(file)).matchAll(/^override (\w+):/gm)].map(([, name]) => name);
      const set = Object.keys(constantsOf(allSettings()[0], 256));
      expect(declared.filter((name) => name !== 'team_size')).toEqual(set);
    }
  });

  it('number the methods as MapMethod lists them', async () => {
    const names = ['grad_cam_plus_plus', 'grad_cam', 'cam', 'xgrad_cam', 'hires_cam', 'layer_cam'];
    expect(names.map((name) => name.replace('_plus_plus', '++').replaceAll('_', '-'))).toEqual([
      ...mapMethods,
    ]);
    for (const file of files) {
      const source = await moduleOf(file);
      for (const [number, name] of names.entries()) expect(source).toContain(`const ${name} = ${number}u;`);
    }
  });
});

describe('a shader that the device refuses', () => {
  it.each([
    [stageFile, 'let image = workgroup.x;', 'let image = nobody;', 15],
    [teamFiles.plain, 'lanes = team_size;', 'lanes = nobody;', 11],
  ] as const)('is named with line and column: %s', async (file, right, wrong, column) => {
    const broken = (await readShader(file)).replace(right, wrong);
    const line = broken.slice(0, broken.indexOf('nobody')).split('\n').length;
    const read: typeof readShader = async (name) => (name === file ? broken : readShader(name));
    await expect(Kernel.compile(device, teamFiles.plain, 256, read)).rejects.toMatchObject({
      code: 'RUNTIME',
      message: expect.stringMatching(
        new RegExp(`shaders/${file}, line ${line}, column ${column}: .*unresolved value 'nobody'`),
      ),
    });
  });

  it('is named with its constants where they are at fault', async () => {
    const kernel = await Kernel.compile(device, teamFiles.plain, 2 ** 20);
    await expect(kernel.pipeline(allSettings()[0])).rejects.toMatchObject({
      code: 'RUNTIME',
      message: expect.stringMatching(/shaders\/map\.wgsl with \{"workgroup_size":1048576,/),
    });
  });
});
