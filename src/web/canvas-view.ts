import { invalid, numberIn, onlyKeys } from '../check.js';
import { GradcamppError } from '../errors.js';
import { type ExplainOptions, settingsOf } from '../explain/explain-options.js';
import type { Explanation } from '../explain/explanation.js';
import type { HeldPicture, UnreadExplanation } from '../explain/held-picture.js';
import type { ImageInput } from '../explain/input.js';
import type { NetworkExplainer } from '../explain/network-explainer.js';
import { type Colormap, colormapTable } from '../image/colormap.js';
import { drawOverlay, type PictureMap } from '../image/overlay.js';
import type { Pixels, Rectangle } from '../image/pixels.js';
import { usage } from '../map/webgpu/constants.js';
import { isSoftware } from '../map/webgpu/device.js';
import { type DrawnMap, OverlayPainter } from '../map/webgpu/overlay.js';
import { toImageData } from './canvas.js';

/** How a view draws. What is left out is as it was. */
export interface Look {
  /** Which of the shown explanation's targets; default 0. */
  readonly index?: number;
  /**
   * Another method than it was shown with: one of grad-cam++ (form exp), grad-cam, xgrad-cam, hires-cam and layer-cam, made of the same
   * activations and gradients.
   */
  readonly method?: ExplainOptions['method'];
  /** Default turbo. */
  readonly colormap?: Colormap;
  /** 0: the picture alone … 1: the colours alone. Default 0.5. */
  readonly opacity?: number;
  /** Where the map is below it the picture keeps its colours, 0…1; default 0. */
  readonly threshold?: number;
}

const lookKeys = [
  'index',
  'method',
  'colormap',
  'opacity',
  'threshold',
] as const satisfies readonly (keyof Look)[];

interface Painter {
  /** Whether it takes maps that are read. */
  readonly readsMaps: boolean;
  take(picture: Pixels): void;
  draw(
    map: DrawnMap | PictureMap,
    look: Required<Omit<Look, 'method' | 'index'>> & { readonly over: Rectangle | undefined },
  ): void;
  close(): void;
}

/**
 * A canvas, where the network is: in its worker or in the page's thread. On a GPU pictures are drawn by a shader that reads the maps
 * where the kernel left them; elsewhere in TypeScript.
 */
export class CanvasView {
  readonly #explainer: NetworkExplainer;
  readonly #canvas: OffscreenCanvas | HTMLCanvasElement;
  #painter: Promise<Painter> | undefined;
  #shown:
    | {
        readonly held?: HeldPicture;
        readonly explanation: UnreadExplanation | Explanation;
        readonly options: ExplainOptions;
      }
    | undefined;
  #look: Look = {};

  constructor(explainer: NetworkExplainer, canvas: OffscreenCanvas | HTMLCanvasElement) {
    this.#explainer = explainer;
    this.#canvas = canvas;
  }

  async show(image: ImageInput, options: ExplainOptions): Promise<UnreadExplanation> {
    const held = await this.#explainer.hold(image, options);
    const explanation = held?.explanation ?? (await this.#explainer.explain(image, options))[0];
    await this.#shown?.held?.release();
    this.#shown = { held, explanation, options };
    const { index: _, method: __, ...look } = this.#look;
    const painter = await this.#open();
    painter.take(explanation.picture ?? blank(explanation));
    await this.draw(look);
    if (held) return explanation;
    const { targets, ...rest } = explanation as Explanation;
    return { ...rest, targets: targets.map(({ target, method }) => ({ target, method })) };
  }

  async draw(change: Look): Promise<void> {
    onlyKeys('draw', change, lookKeys);
    const look = { ...this.#look, ...change };
    const { index = 0, method, colormap = 'turbo', opacity = 0.5, threshold = 0 } = look;
    colormapTable(colormap);
    numberIn('opacity', opacity, 0, 1);
    numberIn('threshold', threshold, 0, 1);
    const { held, explanation } = this.#asked;
    const { targets, geometry } = explanation;
    if (!Number.isInteger(index) || !targets[index])
      throw invalid('index', `a whole number below ${targets.length}, the number of targets shown`, index);
    const painter = await this.#open();
    const map = held
      ? await heldMap(held, { index, method }, painter.readsMaps)
      : readMap(explanation as Explanation, index, method);
    this.#look = look;
    painter.draw(map, { colormap, opacity, threshold, over: geometry });
  }

  /** The whole explanation of what is shown. */
  async read(): Promise<Explanation> {
    const { held, explanation } = this.#asked;
    return held ? held.read() : (explanation as Explanation);
  }

  async close(): Promise<void> {
    const shown = this.#shown;
    this.#shown = undefined;
    await shown?.held?.release();
    (await this.#painter)?.close();
  }

  get #asked() {
    if (this.#shown) return this.#shown;
    throw new GradcamppError('INVALID_OPTION', 'The view shows nothing yet: call show first.');
  }

  #open(): Promise<Painter> {
    // Chromium loses a software GPU's device when a canvas shows what it drew.
    this.#painter ??= this.#explainer.network
      .gpu()
      .then((device) =>
        device && !isSoftware(device.adapterInfo)
          ? gpuPainter(this.#canvas, device)
          : plainPainter(this.#canvas),
      );
    return this.#painter;
  }
}

async function heldMap(
  held: HeldPicture,
  { index, method }: { readonly index: number; readonly method: Look['method'] },
  isRead: boolean,
): Promise<DrawnMap | PictureMap> {
  const variants = method === undefined ? [] : settingsOf({ method }).variants;
  if (variants.length > 1) throw invalid('method', 'one method', method);
  const maps = await held.maps(index, variants[0]);
  if (maps.size.length !== 2) throw notDrawn(maps.size);
  if (isRead) return { data: (await maps.read()).maps[0], dims: maps.size };
  return { buffer: maps.buffer, start: maps.start(0, 0), dims: maps.size };
}

function readMap({ targets }: Explanation, index: number, method: Look['method']): PictureMap {
  const { map, method: own } = targets[index];
  if (method !== undefined && method !== own)
    throw new GradcamppError(
      'INVALID_OPTION',
      `"method" ${JSON.stringify(method)} would need the gradients of ${JSON.stringify(own)}, which no GPU holds here: show the picture with it.`,
    );
  if (map.dims.length !== 2) throw notDrawn(map.dims);
  return map;
}

function notDrawn(dims: readonly number[]): GradcamppError {
  return new GradcamppError(
    'INVALID_OPTION',
    `A map of dims [${dims.join(', ')}] cannot be drawn on a canvas, only one of [h, w].`,
  );
}

/** In place of the picture of a tensor. */
function blank({ inputDims }: Pick<Explanation, 'inputDims'>): Pixels {
  const [height, width] = inputDims.slice(-2);
  return { data: new Uint8Array(3 * width * height), width, height, channels: 3 };
}

async function gpuPainter(canvas: OffscreenCanvas | HTMLCanvasElement, device: GPUDevice): Promise<Painter> {
  const context = canvas.getContext('webgpu') as GPUCanvasContext | null;
  if (!context) throw notFree();
  const format = navigator.gpu.getPreferredCanvasFormat();
  context.configure({ device, format });
  const painter = await OverlayPainter.open(device, format);
  let size = { width: 1, height: 1 };
  let uploaded: { readonly map: PictureMap; readonly buffer: GPUBuffer } | undefined;
  const onDevice = (map: PictureMap): DrawnMap => {
    if (uploaded?.map !== map) {
      uploaded?.buffer.destroy();
      const buffer = device.createBuffer({
        size: map.data.byteLength,
        usage: usage.storage | usage.copyDestination,
      });
      device.queue.writeBuffer(buffer, 0, map.data as Float32Array<ArrayBuffer>);
      uploaded = { map, buffer };
    }
    return { buffer: uploaded.buffer, start: 0, dims: map.dims };
  };
  return {
    readsMaps: false,
    take: (picture) => {
      const { width, height } = painter.take(picture);
      Object.assign(canvas, { width, height });
      size = picture;
    },
    draw: (map, { colormap, opacity, threshold, over }) =>
      painter.draw(context.getCurrentTexture(), 'buffer' in map ? map : onDevice(map), {
        table: colormapTable(colormap),
        opacity,
        threshold,
        over: over ?? { x: 0, y: 0, ...size },
      }),
    close: () => {
      uploaded?.buffer.destroy();
      painter.destroy();
      context.unconfigure();
    },
  };
}

async function plainPainter(canvas: OffscreenCanvas | HTMLCanvasElement): Promise<Painter> {
  const context = canvas.getContext('2d') as OffscreenCanvasRenderingContext2D | null;
  if (!context) throw notFree();
  let shown: Pixels | undefined;
  return {
    readsMaps: true,
    take: (picture) => {
      shown = picture;
      Object.assign(canvas, { width: picture.width, height: picture.height });
    },
    draw: (map, { over: geometry, ...look }) =>
      context.putImageData(
        toImageData(drawOverlay(shown as Pixels, map as PictureMap, { ...look, geometry })),
        0,
        0,
      ),
    close: () => {},
  };
}

function notFree(): GradcamppError {
  return new GradcamppError(
    'INVALID_OPTION',
    '"canvas" must be a canvas on which nothing was drawn before; this one has a context of another kind.',
  );
}
