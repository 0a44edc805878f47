import { gradientObstacle, hasRules } from '../autodiff/obstacle.js';
import { GradcamppError, messageOf } from '../errors.js';
import type { Layer } from '../graph/layers.js';
import type { Scores } from '../graph/scores.js';
import type { OpenedBackend } from '../map/open-backend.js';
import { methodOptions } from '../methods/index.js';
import { readsOf, type Target } from '../targets/index.js';
import type { Goal } from '../targets/target.js';
import {
  defaultMethod,
  type Method,
  type MethodSettings,
  type Settings,
  settingsOf,
} from './explain-options.js';
import type { Wanted } from './layout.js';
import type { Network } from './network.js';
import { staysOnGpu } from './stays-on-gpu.js';

interface Opened {
  readonly network: Network;
  readonly layers: readonly (Wanted & Pick<Layer, 'dims'>)[];
  /** Why there is no layer. */
  readonly layerProblem: GradcamppError | undefined;
  readonly backend: Pick<OpenedBackend, 'asked'>;
}

/**
 * The settings for a network, its scores and the targets found in them: where no method was named and there is no gradient for the
 * default one, because an operator has no rule or lets none through, a method that needs none takes its place and says why. It is
 * recipro-cam, which explains the target and runs the network behind the layer alone, once a position; rise without a layer, or
 * where that has more positions than rise takes masks.
 */
export async function fitting(
  opened: Opened,
  scores: Scores,
  settings: Settings,
  targets: readonly Target[],
): Promise<Settings> {
  if (!settings.variants.some(({ isAutomatic }) => isAutomatic)) return settings;
  const obstacle = await obstacleOf(opened, scores, readsOf(targets), settings);
  if (obstacle === undefined) return settings;
  const method = opened.layers.length > 0 && opened.layers.every(isCoarse) ? 'recipro-cam' : 'rise';
  const instead = `${obstacle} So ${method}, which needs no gradient, takes the place of ${defaultMethod}.`;
  const variants = settings.variants.map((variant) =>
    variant.isAutomatic ? { ...inPlaceOf(variant, method), instead } : variant,
  );
  return { ...settings, variants };
}

/** Whether it has no more positions than rise takes masks. Sizes that depend on the picture count as one. */
function isCoarse({ dims }: Pick<Layer, 'dims'>): boolean {
  const sizes = dims.slice(2).map((dim) => (typeof dim === 'number' ? dim : 1));
  return sizes.reduce((product, size) => product * size, 1) <= methodOptions.masks.default;
}

function inPlaceOf({ modifiers }: MethodSettings, method: Method): MethodSettings {
  const [own] = settingsOf({ method: [{ method, ...modifiers }] }).variants;
  return own;
}

/**
 * The methods of goals, some of which have one of their own where none was named.
 *
 * @returns all methods that are wanted, and the places among them of those that explain a goal, in the order of the variants
 */
export function variantsOf(
  variants: readonly MethodSettings[],
  goals: readonly Goal[],
): { readonly all: readonly MethodSettings[]; readonly of: (goal: Goal) => readonly number[] } {
  const all: MethodSettings[] = [];
  const places = new Map<string, number>();
  const placeOf = (variant: MethodSettings, v: number, method: string | undefined) => {
    const key = `${v} ${method}`;
    const place = places.get(key) ?? all.length;
    if (place === all.length) all.push(method === undefined ? variant : inPlaceOf(variant, method as Method));
    places.set(key, place);
    return place;
  };
  const of = ({ method }: Goal) =>
    variants.map((variant, v) => placeOf(variant, v, variant.isAutomatic ? method : undefined));
  goals.forEach(of);
  return { all, of };
}

/** Why there is no gradient at the layers; at the picture, where there is no layer. */
async function obstacleOf(
  opened: Opened,
  scores: Scores,
  reads: readonly string[],
  settings: Settings,
): Promise<string | undefined> {
  const { network, layers, layerProblem } = opened;
  const { graph } = network;
  const output = scores.info.name;
  const names = (layerProblem ? [network.image] : layers).map(({ name }) => name);
  if (!names.every((name) => hasRules(graph, name, output)))
    return network.once(['obstacle', names, output], async () => {
      const found = names.map((name) => gradientObstacle(graph, name, output));
      return found.find((obstacle) => obstacle !== undefined);
    });
  if (layerProblem) return undefined;
  try {
    // Which is kept: a rule may not know this form of its operator.
    if (await staysOnGpu(opened, settings)) await network.held(layers, scores, reads);
    else await network.differentiator(layers, scores, { reads });
    return undefined;
  } catch (error) {
    if (!(error instanceof GradcamppError) || error.code !== 'UNSUPPORTED_MODEL') throw error;
    return messageOf(error.cause ?? error);
  }
}
