import { GradcamppError } from '../../errors.js';
import { textureUsage, usage } from './constants.js';
import { readShader } from './platform.js';
import { overlayFile } from './shader-files.js';

/** RGB bytes, row by row. */
interface PicturePixels {
  readonly data: Uint8Array;
  readonly width: number;
  readonly height: number;
}

/** A map on the GPU: [h, w] numbers in 0…1 from `start` on. */
export interface DrawnMap {
  readonly buffer: GPUBuffer;
  readonly start: number;
  readonly dims: readonly number[];
}

/** How a map is drawn: what the shader's uniforms say. */
export interface OverlayLook {
  /** 256 RGB colours. */
  readonly table: Uint8Array;
  readonly opacity: number;
  /** Below it the picture stays as it is. */
  readonly threshold: number;
  /** The part of the picture that the map covers, in its pixels. */
  readonly over: { readonly x: number; readonly y: number; readonly width: number; readonly height: number };
}

/** Draws pictures under maps, on a canvas of the device that has the maps. */
export class OverlayPainter {
  readonly #device: GPUDevice;
  readonly #pipeline: GPURenderPipeline;
  readonly #look: GPUBuffer;
  readonly #colours: GPUBuffer;
  #picture: GPUTexture | undefined;
  #scale = 1;

  private constructor(device: GPUDevice, pipeline: GPURenderPipeline) {
    this.#device = device;
    this.#pipeline = pipeline;
    this.#look = device.createBuffer({ size: 48, usage: usage.uniform | usage.copyDestination });
    this.#colours = device.createBuffer({ size: 1024, usage: usage.storage | usage.copyDestination });
  }

  static async open(device: GPUDevice, format: GPUTextureFormat): Promise<OverlayPainter> {
    const module = device.createShaderModule({ label: overlayFile, code: await readShader(overlayFile) });
    try {
      const pipeline = await device.createRenderPipelineAsync({
        label: overlayFile,
        layout: 'auto',
        vertex: { module, entryPoint: 'corners' },
        fragment: { module, entryPoint: 'colour', targets: [{ format }] },
      });
      return new OverlayPainter(device, pipeline);
    } catch (cause) {
      const { messages } = await module.getCompilationInfo();
      const [first] = messages;
      const where = first ? `, line ${first.lineNum}, column ${first.linePos}: ${first.message}` : '';
      throw new GradcamppError(
        'RUNTIME',
        `The device refused shaders/${overlayFile}${where || `: ${cause}`}`,
        {
          cause,
        },
      );
    }
  }

  /**
   * Takes the picture that is drawn from now on.
   *
   * @returns the size that the canvas must have: the picture's, or less where the GPU has no textures that large
   */
  take({ data, width, height }: PicturePixels): { width: number; height: number } {
    const most = this.#device.limits.maxTextureDimension2D;
    this.#scale = Math.max(1, width / most, height / most);
    const size = {
      width: Math.max(1, Math.floor(width / this.#scale)),
      height: Math.max(1, Math.floor(height / this.#scale)),
    };
    const pixels = new Uint8Array(size.width * size.height * 4);
    for (let y = 0, to = 0; y < size.height; y++) {
      const row = Math.floor((y + 0.5) * this.#scale) * width;
      for (let x = 0; x < size.width; x++, to += 4) {
        const from = 3 * (row + Math.floor((x + 0.5) * this.#scale));
        for (let c = 0; c < 3; c++) pixels[to + c] = data[from + c];
      }
    }
    this.#picture?.destroy();
    this.#picture = this.#device.createTexture({
      label: 'picture',
      size,
      format: 'rgba8unorm',
      usage: textureUsage.binding | textureUsage.copyDestination,
    });
    this.#device.queue.writeTexture(
      { texture: this.#picture },
      pixels,
      { bytesPerRow: 4 * size.width },
      size,
    );
    return size;
  }

  /** Draws the picture under a map; nothing is computed anew, and nothing is read. */
  draw(
    target: GPUTexture,
    { buffer, start, dims }: DrawnMap,
    { table, opacity, threshold, over }: OverlayLook,
  ): void {
    const device = this.#device;
    const [height, width] = dims;
    const look = new ArrayBuffer(48);
    new Float32Array(look).set([over.x, over.y, over.width, over.height].map((value) => value / this.#scale));
    new Uint32Array(look, 16).set([width, height, start]);
    new Float32Array(look, 28).set([opacity, 1 - 0.8 * opacity, threshold]);
    device.queue.writeBuffer(this.#look, 0, look);
    const colours = new Uint8Array(1024);
    for (let i = 0; i < 256; i++) colours.set(table.subarray(3 * i, 3 * i + 3), 4 * i);
    device.queue.writeBuffer(this.#colours, 0, colours);
    const encoder = device.createCommandEncoder();
    const pass = encoder.beginRenderPass({
      colorAttachments: [{ view: target.createView(), loadOp: 'clear', storeOp: 'store' }],
    });
    pass.setPipeline(this.#pipeline);
    const resources: GPUBindingResource[] = [
      { buffer: this.#look },
      (this.#picture as GPUTexture).createView(),
      { buffer },
      { buffer: this.#colours },
    ];
    pass.setBindGroup(
      0,
      device.createBindGroup({
        layout: this.#pipeline.getBindGroupLayout(0),
        entries: resources.map((resource, binding) => ({ binding, resource })),
      }),
    );
    pass.draw(3);
    pass.end();
    device.queue.submit([encoder.finish()]);
  }

  destroy(): void {
    this.#picture?.destroy();
    this.#look.destroy();
    this.#colours.destroy();
  }
}
