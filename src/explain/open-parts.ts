import { graphOf, isFloatValue } from '../graph/from-model.js';
import { type Graph, type ValueInfo, valueInfo } from '../graph/graph.js';
import type { Layer } from '../graph/layers.js';
import { classNamesOf } from '../graph/metadata.js';
import type { Scores } from '../graph/scores.js';
import { findSuppression } from '../graph/suppression.js';
import type { TokenGrid } from '../graph/tokens.js';
import { readChannels } from '../graph/axes.js';
import { assumedClips, clipLayoutOf, samplingFor } from '../clip/assumed.js';
import type { ClipPreprocessing } from '../clip/clip.js';
import { defaultPreprocessing } from '../image/imagenet.js';
import type { Preprocessing } from '../image/preprocess.js';
import type { ClassName, Sidecar } from '../image/sidecar.js';
import { GradcamppError } from '../errors.js';
import { isFloat } from '../onnx/types.js';
import { type ModelSource, readSource, sidecarOf } from './model-files.js';
import { openBackend, type OpenedBackend } from '../map/open-backend.js';
import { whatRuns } from '../runtime/session.js';
import { defaultTarget, outputOf, type Target } from '../targets/index.js';
import { type Feeds, openFeeds } from './feeds.js';
import { channelAxisOf, checkClipFit, checkFit } from './input.js';
import { type MadeNetwork, Network } from './network.js';
import { adaptPicture } from './picture-input.js';
import { networkFacts, ReadyTargets } from './ready-targets.js';
import type { ExplainerOptions } from './explain-options.js';

/** What an explainer is made of. */
export interface Parts {
  readonly source: ModelSource;
  readonly options: ExplainerOptions;
  readonly network: Network;
  readonly scores: Scores;
  readonly layers: readonly Layer[];
  readonly layerIsAutomatic: boolean;
  /** Why there is no layer, for methods that want one. */
  readonly layerProblem: GradcamppError | undefined;
  /** How pictures become the input; undefined where the model takes none. */
  readonly preprocessing: Preprocessing | undefined;
  /** The same of clips. */
  readonly clips: ClipPreprocessing | undefined;
  readonly classes: readonly ClassName[] | undefined;
  readonly notes: readonly string[];
  readonly backend: OpenedBackend;
  readonly feeds: Feeds;
  readonly channelAxis: number;
  readonly targets: ReadyTargets;
  readonly defaultTarget: Target | undefined;
  /** Of `notes`: how it was chosen. */
  readonly defaultNote: string | undefined;
}

/**
 * Reads a model and its sidecar, finds scores and layers, opens the backend.
 *
 * @param made what the model became a part of: it is opened in its place
 */
export async function openParts(
  source: ModelSource,
  options: ExplainerOptions,
  made?: MadeNetwork,
): Promise<Parts> {
  const { executionProviders, threads } = options;
  const given = await sidecarOf(source, options.preprocess);
  const inputs = { ...given?.inputs, ...options.inputs };
  const picture = { name: given?.input.name, fed: Object.keys(inputs) };
  const network = await Network.open(
    made ?? (await readSource(source)),
    { executionProviders, threads },
    picture,
  );
  const runs = await whatRuns({ executionProviders });
  const notes: string[] = runs === undefined ? [] : [runs];
  const assumed =
    !given && takesPictures(network.image)
      ? defaultPreprocessing(network.image.dims ?? [], isWhole(network.original))
      : undefined;
  if (assumed) notes.push(assumed.sentence);
  notes.push(...(given?.notes ?? []));
  const { clips, note } = clipsOf(network, given, options.frames);
  if (note !== undefined) notes.push(note);
  const preprocessing = clips ? undefined : (given?.input ?? assumed?.preprocessing);
  if (clips) checkClipFit(clips, network);
  else if (given?.input) checkFit(given.input, network);
  const { image, original, graph } = network;
  const channelAxis = channelAxisOf(preprocessing, image, clips);
  const chosen = options.output ?? given?.output;
  const fitted = fit(network, chosen, { given: given?.classes, channelAxis });
  const { scores, all, classes, fitting } = fitted;
  notes.push(...fitted.notes);
  const feeds = await openFeeds(graph, image.name, original.name, [scores.info.name], inputs);
  notes.push(...(network.graph.notes ?? []));
  const isChosen = chosen !== undefined;
  const targets = new ReadyTargets({ network, scores, feeds, preprocessing, classes, channelAxis, isChosen });
  const named = given?.classes?.length;
  const count = classCount(scores);
  if (named !== undefined && count !== undefined && named !== count)
    notes.push(
      `The sidecar names ${named} classes, and the model has ${count} scores: the names may be another model's.`,
    );
  const { names, automatic } = layerNames(options.layer, given?.targetLayer);
  const { layers, problem } = layersOf(network, names, all, options.tokens);
  for (const { obstacle } of layers)
    if (obstacle !== undefined) notes.push(`${obstacle} So a layer behind it is explained.`);
  for (const layer of layers)
    if (layer.activation !== undefined)
      notes.push(
        `Layer "${layer.name}" (${layer.opType}) comes before its activation "${layer.activation}"; maps are cleaner after it.`,
      );
  for (const { name, isEarly } of layers)
    if (isEarly)
      notes.push(
        `Layer "${name}" is the last that everything goes through, but most of the network lies behind it; "gradcampp inspect" shows deeper layers, of which several can be named together.`,
      );
  for (const layer of layers)
    if (!layer.isRead)
      notes.push(
        `Layer "${layer.name}": only tokens beside the patches are read behind it, so the patches have no gradient; name a layer before the last attention.`,
      );
  const ofOneStep = layers.find(hasOneStep);
  if (clips && clips.sampling.count > 1 && ofOneStep) {
    const finer = network.layers(all, options.tokens).find((layer) => !hasOneStep(layer));
    const advice = finer ? `; "${finer.name}" has ${finer.layout.grid[0] || 'more'}` : '';
    notes.push(
      `Layer "${ofOneStep.name}" has one step along time, so all frames of a clip have the same map${advice}.`,
    );
  }
  const backend = await openBackend(options.backend ?? 'auto', { threads });
  return {
    source,
    options,
    network,
    scores,
    layers,
    layerIsAutomatic: automatic,
    layerProblem: problem,
    preprocessing,
    clips,
    classes,
    notes,
    backend,
    feeds,
    channelAxis,
    targets,
    defaultTarget: fitting?.spec,
    defaultNote: fitted.defaultNote,
  };
}

/**
 * Whether a model takes clips, by its sidecar and the dims of its input: known before anything else of it is looked at.
 *
 * @throws GradcamppError as opening does
 */
export async function takesClips(
  model: ModelSource,
  { preprocess, inputs }: Pick<ExplainerOptions, 'preprocess' | 'inputs'>,
): Promise<boolean> {
  const given = await sidecarOf(model, preprocess);
  if (given?.clips?.layout !== undefined) return true;
  const fed = Object.keys({ ...given?.inputs, ...inputs });
  const { graph, image } = adaptPicture(graphOf(await readSource(model)), { name: given?.input.name, fed });
  return clipLayoutOf(image.dims ?? [], readChannels(graph, image.name)) !== undefined;
}

/** How clips become the input of a network that takes them; undefined where it does not. */
function clipsOf(
  { graph, image, original }: Network,
  given: Sidecar | undefined,
  frames: ExplainerOptions['frames'],
): { readonly clips?: ClipPreprocessing; readonly note?: string } {
  const dims = image.dims ?? [];
  const layout = given?.clips?.layout ?? clipLayoutOf(dims, readChannels(graph, image.name));
  if (layout === undefined) {
    const asked = frames ? '"frames"' : given?.clips && '"input.frames" in the sidecar';
    if (asked === undefined) return {};
    throw new GradcamppError(
      'INVALID_OPTION',
      `${asked} says how clips are taken from a video, and the model's "${original.name}" takes [${dims.map((dim) => dim || '?').join(', ')}], which is no clip with 1 or 3 channels.`,
    );
  }
  const sampling = { ...given?.clips?.sampling, ...frames };
  if (frames?.stride !== undefined) delete sampling.clips;
  if (frames?.clips !== undefined) delete sampling.stride;
  const assumed = given ? undefined : assumedClips(layout, dims);
  const frame = given?.input ?? (assumed as NonNullable<typeof assumed>).frame;
  const channels = layout === 'NTHWC' ? ('NHWC' as const) : ('NCHW' as const);
  return {
    clips: { layout, frame: { ...frame, layout: channels }, sampling: samplingFor(sampling, layout, dims) },
    note: assumed?.sentence,
  };
}

/** The scores, and what is explained of them: the output that looks like scores, or the one that a detector's objects are in. */
function fit(
  network: Network,
  chosen: string | undefined,
  { given, channelAxis }: { given: readonly ClassName[] | undefined; channelAxis: number },
) {
  const { graph, image } = network;
  const at = (output: string | undefined) => {
    const scores = network.scores(output);
    const classes = given ?? ownClasses(network, scores);
    const isChosen = chosen !== undefined;
    const fitting = defaultTarget(networkFacts(scores, { network, classes, channelAxis, isChosen }));
    return { scores, classes, fitting };
  };
  const found = at(chosen ?? (hasFloats(graph) ? undefined : findSuppression(graph, image.name)?.scores));
  const { fitting } = found;
  const other = fitting && outputOf(fitting.spec);
  const best = other === undefined ? found : at(other);
  const notes = fitting?.note === undefined ? [] : [fitting.note];
  const { joins, isWhole } = best.fitting ?? {};
  if (other === undefined && !isWhole) notes.push(...found.scores.notes);
  return {
    ...best,
    all: joins ? network.scores(network.join(joins).output) : best.scores,
    notes,
    defaultNote: fitting?.note,
  };
}

/** Whether an output holds scores; the only one of a detector may hold the indices that it selects. */
function hasFloats(graph: Graph): boolean {
  const made = new Set(graph.nodes.flatMap((node) => node.outputs));
  return graph.outputs.some(({ name }) => made.has(name) && isFloatValue(valueInfo(graph, name)));
}

/** A network may have no layer that can be chosen: methods that need none still explain it. */
function layersOf(
  network: Network,
  names: readonly string[],
  scores: Scores,
  tokens: TokenGrid | undefined,
): { layers: Layer[]; problem: GradcamppError | undefined } {
  try {
    return { layers: names.map((name) => network.layer(name, scores, tokens)), problem: undefined };
  } catch (error) {
    const isChoice = names.length === 1 && names[0] === 'auto';
    if (isChoice && error instanceof GradcamppError && error.code === 'UNSUPPORTED_MODEL')
      return { layers: [], problem: error };
    throw error;
  }
}

/** Of a layer of clips: whether it no longer tells frames apart. */
function hasOneStep({ layout: { grid } }: Layer): boolean {
  return grid.length === 3 && grid[0] === 1;
}

/** Class names that the model brings along, if it has as many scores. */
function ownClasses({ graph }: Network, scores: Scores): ClassName[] | undefined {
  const lists = [scores.classNames, classNamesOf(graph)];
  const count = classCount(scores);
  const names = lists.find((list) => list !== undefined && (count === undefined || list.length === count));
  return names?.map((name) => ({ name }));
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

function isWhole({ type }: ValueInfo): boolean {
  return type !== undefined && !isFloat(type);
}
