import { asOurs } from '../errors.js';
import type { ExplainerOptions, ExplainOptions } from '../explain/explain-options.js';
import type { Explanation } from '../explain/explanation.js';
import type { UnreadExplanation } from '../explain/held-picture.js';
import type { ImageInput } from '../explain/input.js';
import type { Layer } from '../graph/layers.js';
import { inTurn } from '../in-turn.js';
import type { Target } from '../targets/index.js';
import { NetworkExplainer, type Prediction } from '../explain/network-explainer.js';
import type { Preprocessing } from '../image/preprocess.js';
import type { ClassName } from '../image/sidecar.js';
import { chosenProvider } from './provider.js';
import { useRuntime, type WebProvider } from '../runtime/onnxruntime.web.js';
import { CanvasView, type Look } from './canvas-view.js';
import { bytesOf, type DownloadOptions, filesOf, nameOf, type PageFile } from './download.js';
import type { Places } from './page-options.js';

/** What an explainer is opened with, as it goes to a worker. */
export interface Opening extends Places {
  readonly model: PageFile;
  readonly options: ExplainerOptions;
}

/** What is known of an explainer once it is open; `Explainer` says what each is. */
export interface Facts {
  readonly layers: readonly string[];
  readonly layerIsAutomatic: boolean;
  readonly preprocessing: Preprocessing | undefined;
  readonly classes: readonly ClassName[] | undefined;
  readonly notes: readonly string[];
  readonly provider: WebProvider;
  readonly candidates: readonly Layer[];
  readonly defaultTarget: Target | undefined;
  readonly takesClips: boolean;
}

/** What is known of an explanation that is shown: no maps, and not the picture. */
export type ShownExplanation = Omit<UnreadExplanation, 'picture' | 'frames'>;

/** What a page can have done, where the network is: in a worker or in the page's own thread. */
export interface Service {
  readonly facts: Facts;
  warmUp(): Promise<string[]>;
  explain(images: readonly ImageInput[], options: ExplainOptions): Promise<Explanation[]>;
  predict(images: readonly ImageInput[]): Promise<Prediction[]>;
  /** Takes a canvas to draw on; `View` says what its calls are. */
  view(canvas: OffscreenCanvas | HTMLCanvasElement): Promise<number>;
  show(view: number, image: ImageInput, options: ExplainOptions): Promise<ShownExplanation>;
  draw(view: number, look: Look): Promise<void>;
  read(view: number): Promise<Explanation>;
  closeView(view: number): Promise<void>;
  close(): Promise<void>;
}

/** Downloads and opens. Calls are done one after the other: ONNX Runtime's WebAssembly runs one at a time. */
export async function openService(opening: Opening, download: DownloadOptions): Promise<Service> {
  const { model, externalData, options, runtime } = opening;
  const { provider, note } = await chosenProvider(options.executionProviders, runtime.module !== undefined);
  useRuntime({ ...runtime, provider });
  const bytes = await bytesOf(model, 'model', download);
  const files = await filesOf(externalData, download);
  const source = { bytes, name: nameOf(model), externalData: files };
  // The compiler sees Node's side of explain/model-files.ts, which takes paths.
  const explainer = await NetworkExplainer.open(source as unknown as Uint8Array, {
    ...options,
    executionProviders: [provider],
  });
  if (download.signal?.aborted) {
    await explainer.close();
    throw download.signal.reason;
  }
  const { layers, layerIsAutomatic, preprocessing, classes, defaultTarget } = explainer;
  const candidates = explainer.candidates();
  const notes = note === undefined ? explainer.notes : [...explainer.notes, note];
  const queued = queue();
  const views: CanvasView[] = [];
  return {
    facts: {
      layers,
      layerIsAutomatic,
      preprocessing,
      classes,
      notes,
      provider,
      candidates,
      defaultTarget,
      takesClips: explainer.clips !== undefined,
    },
    warmUp: () => queued(() => explainer.warmUp()),
    explain: (images, own) => queued(() => explainer.explain(images, own)),
    predict: (images) => queued(() => explainer.predict(images)),
    view: async (canvas) => views.push(new CanvasView(explainer, canvas)) - 1,
    show: (view, image, own) =>
      queued(async () => {
        const { picture: _, frames: __, ...shown } = await views[view].show(image, own);
        return shown;
      }),
    draw: (view, look) => queued(() => views[view].draw(look)),
    read: (view) => queued(() => views[view].read()),
    closeView: (view) => queued(() => views[view].close()),
    close: () =>
      queued(async () => {
        for (const view of views) await view.close();
        await explainer.close();
      }),
  };
}

/** Does what it is given one after the other; errors are ours. */
export function queue(): <T>(work: () => Promise<T>) => Promise<T> {
  const turn = inTurn();
  return (work) =>
    turn(work).catch((error: unknown) => {
      throw asOurs(error);
    });
}
