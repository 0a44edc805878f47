import { existsSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import type { ValueInfo } from '../graph/graph.js';
import type { Layer } from '../graph/layers.js';
import type { Scores } from '../graph/scores.js';
import { defaultPreprocessing } from '../image/imagenet.js';
import type { Preprocessing } from '../image/preprocess.js';
import { checkSidecar, type ClassName, readSidecar, type Sidecar } from '../image/sidecar.js';
import { openBackend, type OpenedBackend } from '../map/open-backend.js';
import { defaultTarget, type Target } from '../targets/index.js';
import { type Feeds, openFeeds } from './feeds.js';
import { channelAxisOf, checkFit } from './input.js';
import { Network } from './network.js';
import type { ExplainerOptions } from './options.js';

/** What an explainer is made of. */
export interface Parts {
  readonly source: string | URL | Uint8Array;
  readonly options: ExplainerOptions;
  readonly network: Network;
  readonly scores: Scores;
  readonly layers: readonly Layer[];
  readonly layerIsAutomatic: boolean;
  readonly preprocessing: Preprocessing | undefined;
  readonly classes: readonly ClassName[] | undefined;
  readonly notes: readonly string[];
  readonly backend: OpenedBackend;
  readonly feeds: Feeds;
  readonly channelAxis: number;
  readonly defaultTarget: Target | undefined;
}

/** Reads a model and its sidecar, finds scores and layers, opens the backend. */
export async function openParts(model: string | URL | Uint8Array, options: ExplainerOptions): Promise<Parts> {
  const { executionProviders, threads } = options;
  const given = await sidecarOf(model, options.preprocess);
  const network = await Network.open(model, { executionProviders, threads }, given?.input.name);
  const notes: string[] = [];
  const assumed =
    !given && takesPictures(network.image) ? defaultPreprocessing(network.image.dims ?? []) : undefined;
  if (assumed) notes.push(assumed.sentence);
  const preprocessing = given?.input ?? assumed?.preprocessing;
  if (given?.input) checkFit(given.input, network);
  const scores = network.scores(options.output ?? given?.output);
  const { image, original, graph } = network;
  const inputs = { ...given?.inputs, ...options.inputs };
  const feeds = await openFeeds(graph, image.name, original.name, [scores.info.name], inputs);
  const fitting = defaultTarget({ name: scores.output, dims: scores.info.dims ?? [], link: scores.link });
  if (fitting?.note) notes.push(fitting.note);
  const named = given?.classes?.length;
  const count = classCount(scores);
  if (named !== undefined && count !== undefined && named !== count)
    notes.push(
      `The sidecar names ${named} classes, and the model has ${count} scores: the names may be another model's.`,
    );
  const { names, automatic } = layerNames(options.layer, given?.targetLayer);
  const layers = names.map((name) => network.layer(name, scores));
  for (const layer of layers)
    if (layer.activation !== undefined)
      notes.push(
        `Layer "${layer.name}" (${layer.opType}) comes before its activation "${layer.activation}"; maps are cleaner after it.`,
      );
  const backend = await openBackend(options.backend ?? 'auto', { threads });
  return {
    source: model,
    options,
    network,
    scores,
    layers,
    layerIsAutomatic: automatic,
    preprocessing,
    classes: given?.classes,
    notes,
    backend,
    feeds,
    channelAxis: channelAxisOf(preprocessing, image),
    defaultTarget: fitting?.spec,
  };
}

/** M, where it is known. */
function classCount({ info }: Scores): number | undefined {
  const rest = (info.dims ?? []).slice(1);
  return rest.length === 1 && typeof rest[0] === 'number' ? rest[0] : undefined;
}

/** [N, 1 or 3, H, W], or channels last. */
function takesPictures({ dims }: ValueInfo): boolean {
  return dims?.length === 4 && [dims[1], dims[3]].some((dim) => dim === 1 || dim === 3);
}

/** 'auto' is the sidecar's layer, where it names one. */
function layerNames(layer: ExplainerOptions['layer'], target: string | undefined) {
  const list = typeof layer === 'object' ? layer : [layer ?? 'auto'];
  const names = list.map((name) => (name === 'auto' ? (target ?? 'auto') : name));
  return { names, automatic: names.includes('auto') };
}

/** The sidecar that was named, or that lies beside the model. */
async function sidecarOf(
  model: string | URL | Uint8Array,
  given: ExplainerOptions['preprocess'],
): Promise<Sidecar | undefined> {
  if (typeof given === 'string') return readSidecar(given);
  if (given !== undefined) return checkSidecar(given);
  if (model instanceof Uint8Array) return undefined;
  const path = model instanceof URL && model.protocol === 'file:' ? fileURLToPath(model) : model;
  if (typeof path !== 'string') return undefined;
  const beside = path.replace(/(\.onnx)?$/i, '.json');
  return beside !== path && existsSync(beside) ? readSidecar(beside) : undefined;
}
