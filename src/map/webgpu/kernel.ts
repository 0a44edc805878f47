import { GradcamppError, messageOf } from '../../errors.js';
import { forms } from '../../methods/grad-cam++.js';
import { type MapSettings, mapMethods } from '../backend.js';
import type { Batch, bytesOf } from './plan.js';
import { readShader } from './platform.js';
import type { ShaderFile } from './shader-files.js';

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

/** The kernel's compute pipelines on one device, each made when it is first asked for. */
export class Kernel {
  readonly file: ShaderFile;
  readonly bindGroupLayout: GPUBindGroupLayout;
  readonly #device: GPUDevice;
  readonly #workgroupSize: number;
  readonly #module: GPUShaderModule;
  readonly #layout: GPUPipelineLayout;
  readonly #pipelines = new Map<string, Promise<GPUComputePipeline>>();

  private constructor(device: GPUDevice, file: ShaderFile, workgroupSize: number, module: GPUShaderModule) {
    this.#device = device;
    this.file = file;
    this.#workgroupSize = workgroupSize;
    this.#module = module;
    const types = ['uniform', ...Array<'read-only-storage'>(6).fill('read-only-storage'), 'storage'] as const;
    this.bindGroupLayout = device.createBindGroupLayout({
      label: file,
      entries: types.map((type, binding) => ({ binding, visibility: computeStage, buffer: { type } })),
    });
    this.#layout = device.createPipelineLayout({ label: file, bindGroupLayouts: [this.bindGroupLayout] });
  }

  /** Compiles a shader; throws with the file's name, line and column where the device refuses it. */
  static async compile(
    device: GPUDevice,
    file: ShaderFile,
    workgroupSize: number,
    code?: string,
  ): Promise<Kernel> {
    const source = code ?? (await readShader(file));
    device.pushErrorScope('validation');
    const module = device.createShaderModule({ label: file, code: source });
    const [error, { messages }] = await Promise.all([device.popErrorScope(), module.getCompilationInfo()]);
    const first = messages.find((message) => message.type === 'error');
    if (first || error)
      throw new GradcamppError(
        'RUNTIME',
        `The device refused shaders/${file}${first ? `, line ${first.lineNum}, column ${first.linePos}: ${first.message}` : `: ${messageOf(error)}`}`,
      );
    return new Kernel(device, file, workgroupSize, module);
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
      label: this.file,
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
          `The device refused a dispatch of shaders/${this.file}: ${invalid.message}`,
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
        label: `${this.file} ${method}`,
        layout: this.#layout,
        compute: { module: this.#module, entryPoint: 'main', constants },
      });
    } catch (error) {
      throw new GradcamppError(
        'RUNTIME',
        `The device refused shaders/${this.file} with ${JSON.stringify(constants)}: ${messageOf(error)}`,
        { cause: error },
      );
    }
  }
}
