import { GradcamppError, messageOf } from '../../errors.js';
import { forms } from '../../methods/grad-cam++.js';
import { type MapSettings, mapMethods } from '../backend.js';
import type { Batch, bytesOf } from './plan.js';
import { readShader } from './platform.js';
import { stageFile, type TeamFile } from './shader-files.js';

/** Values of the shader's override constants. */
export type Constants = Record<string, number>;

/** WebGPU's own number for GPUShaderStage.COMPUTE, which is a global only in browsers. */
const computeStage = 4;

/** Constants of one variant of the kernel. Settings that a method does not have are left at their defaults. */
export function constantsOf(settings: MapSettings, workgroupSize: number): Constants {
  const hasForms = settings.method === 'grad-cam++';
  return {
    workgroup_size: workgroupSize,
    method: mapMethods.indexOf(settings.method),
    softmax: Number(hasForms && settings.form === 'softmax'),
    alpha_normalization: Number(hasForms && settings.alphaNormalization),
    gradient_relu: Number(!hasForms || settings.gradientRelu),
  };
}

/** Every set of settings that gives a kernel of its own. */
export function allSettings(): MapSettings[] {
  return mapMethods.flatMap((method): MapSettings[] =>
    method === 'grad-cam++'
      ? forms.flatMap((form) =>
          [false, true].flatMap((alphaNormalization) =>
            [true, false].map((gradientRelu) => ({ method, form, alphaNormalization, gradientRelu })),
          ),
        )
      : [{ method, form: 'exp' as const, alphaNormalization: false, gradientRelu: true }],
  );
}

/** What the kernel reads and writes. */
export interface KernelBuffers {
  readonly dims: GPUBuffer;
  readonly taps: GPUBuffer;
  readonly activations: GPUBuffer;
  readonly gradients: GPUBuffer;
  readonly results: GPUBuffer;
  readonly moments?: Readonly<Record<'mean' | 'variance' | 'third', GPUBuffer>>;
}

/** Where the device found something wrong, in the file that it stands in. */
function placed(
  { lineNum, linePos, message }: GPUCompilationMessage,
  teams: TeamFile,
  first: string,
): string {
  const before = first.split('\n').length - 1;
  const [file, line] = lineNum > before ? [stageFile, lineNum - before] : [teams, lineNum];
  return `${file}, line ${line}, column ${linePos}: ${message}`;
}

/** The kernel's compute pipelines on one device, each made when it is first asked for. */
export class Kernel {
  /** How its teams are formed. */
  readonly teams: TeamFile;
  readonly bindGroupLayout: GPUBindGroupLayout;
  readonly #device: GPUDevice;
  readonly #workgroupSize: number;
  readonly #module: GPUShaderModule;
  readonly #layout: GPUPipelineLayout;
  readonly #pipelines = new Map<string, Promise<GPUComputePipeline>>();

  private constructor(device: GPUDevice, teams: TeamFile, workgroupSize: number, module: GPUShaderModule) {
    this.#device = device;
    this.teams = teams;
    this.#workgroupSize = workgroupSize;
    this.#module = module;
    const types = ['uniform', ...Array<'read-only-storage'>(6).fill('read-only-storage'), 'storage'] as const;
    this.bindGroupLayout = device.createBindGroupLayout({
      label: teams,
      entries: types.map((type, binding) => ({ binding, visibility: computeStage, buffer: { type } })),
    });
    this.#layout = device.createPipelineLayout({ label: teams, bindGroupLayouts: [this.bindGroupLayout] });
  }

  /** Compiles the stage with a way of forming teams; throws with file, line and column where the device refuses it. */
  static async compile(
    device: GPUDevice,
    teams: TeamFile,
    workgroupSize: number,
    read = readShader,
  ): Promise<Kernel> {
    const [first, stage] = await Promise.all([read(teams), read(stageFile)]); // an enable directive comes first
    device.pushErrorScope('validation');
    const module = device.createShaderModule({ label: teams, code: first + stage });
    const [error, { messages }] = await Promise.all([device.popErrorScope(), module.getCompilationInfo()]);
    const wrong = messages.find((message) => message.type === 'error');
    if (wrong || error)
      throw new GradcamppError(
        'RUNTIME',
        `The device refused shaders/${wrong ? placed(wrong, teams, first) : `${teams} and ${stageFile}: ${messageOf(error)}`}`,
      );
    return new Kernel(device, teams, workgroupSize, module);
  }

  /**
   * Binds a batch.
   *
   * @param bytes of activations, gradients and results; the buffers may be larger
   * @param moments of the softmax form, which alone reads them
   */
  bind(buffers: KernelBuffers, bytes: ReturnType<typeof bytesOf>): GPUBindGroup {
    const { dims, taps, activations, gradients, results, moments } = buffers;
    const alike = { buffer: activations, size: bytes.activations };
    const moment = (buffer: GPUBuffer | undefined) => (buffer ? { ...alike, buffer } : alike);
    const resources: GPUBufferBinding[] = [
      { buffer: dims },
      { buffer: taps },
      alike,
      { buffer: gradients, size: bytes.gradients },
      moment(moments?.mean),
      moment(moments?.variance),
      moment(moments?.third),
      { buffer: results, size: bytes.results },
    ];
    return this.#device.createBindGroup({
      label: this.teams,
      layout: this.bindGroupLayout,
      entries: resources.map((resource, binding) => ({ binding, resource })),
    });
  }

  /** What a refused dispatch comes to, by what the device's two error scopes hold; undefined where it was taken. */
  failureOf(
    { outOfMemory, invalid }: { outOfMemory: GPUError | null; invalid: GPUError | null },
    { images, targets }: Pick<Batch, 'images' | 'targets'>,
    bytes: ReturnType<typeof bytesOf>,
  ): GradcamppError | undefined {
    if (outOfMemory)
      return new GradcamppError(
        'RUNTIME',
        `The GPU has no memory for a batch of ${images} images and ${targets} targets ` +
          `(${Math.ceil((bytes.activations + bytes.gradients + 2 * bytes.results) / 2 ** 20)} MiB). Use smaller batches.`,
      );
    return invalid
      ? new GradcamppError(
          'RUNTIME',
          `The device refused a dispatch of shaders/${stageFile}: ${invalid.message}`,
        )
      : undefined;
  }

  /** The pipeline for these settings. */
  pipeline(settings: MapSettings): Promise<GPUComputePipeline> {
    const constants = constantsOf(settings, this.#workgroupSize);
    const key = Object.values(constants).join(' ');
    let pipeline = this.#pipelines.get(key);
    if (!pipeline) {
      pipeline = this.#create(settings.method, constants);
      this.#pipelines.set(key, pipeline);
    }
    return pipeline;
  }

  async #create(method: string, constants: Constants): Promise<GPUComputePipeline> {
    try {
      return await this.#device.createComputePipelineAsync({
        label: `${stageFile} ${method}`,
        layout: this.#layout,
        compute: { module: this.#module, entryPoint: 'main', constants },
      });
    } catch (error) {
      throw new GradcamppError(
        'RUNTIME',
        `The device refused shaders/${stageFile} with ${JSON.stringify(constants)}: ${messageOf(error)}`,
        { cause: error },
      );
    }
  }
}
