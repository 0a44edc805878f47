import { gradientObstacle, hasRules } from '../autodiff/obstacle.js';
import { GradcamppError, messageOf } from '../errors.js';
import type { Scores } from '../graph/scores.js';
import { ownMethod, readsOf, type Target } from '../targets/index.js';
import { defaultMethod, type Method, type Settings, settingsOf } from './explain-options.js';
import type { Wanted } from './layout.js';
import type { Network } from './network.js';

interface Opened {
  readonly network: Network;
  readonly layers: readonly Wanted[];
  /** Why there is no layer. */
  readonly layerProblem: GradcamppError | undefined;
}

/**
 * The settings for a network, its scores and the targets found in them: where no method was named, the one that the targets ask
 * for takes the place of the default one. Where there is no gradient for that, because an operator has no rule or lets none through,
 * it is a method that needs none, which says why: recipro-cam, which explains the target and runs the network behind the layer
 * alone, once a position; without a layer it is rise.
 */
export async function fitting(
  opened: Opened,
  scores: Scores,
  settings: Settings,
  targets: readonly Target[],
): Promise<Settings> {
  if (!settings.variants.some(({ isAutomatic }) => isAutomatic)) return settings;
  const own = ownMethod(targets) as Method | undefined;
  const obstacle = await obstacleOf(opened, scores, readsOf(targets));
  if (obstacle === undefined) return own === undefined ? settings : withMethod(settings, own);
  const method = opened.layers.length > 0 ? 'recipro-cam' : 'rise';
  const instead = `${obstacle} So ${method}, which needs no gradient, takes the place of ${own ?? defaultMethod}.`;
  return withMethod(settings, method, instead);
}

function withMethod(settings: Settings, method: Method, instead?: string): Settings {
  const variants = settings.variants.map((variant) => {
    if (!variant.isAutomatic) return variant;
    const [own] = settingsOf({ method: [{ method, ...variant.modifiers }] }).variants;
    return instead === undefined ? own : { ...own, instead };
  });
  return { ...settings, variants };
}

/** Why there is no gradient at the layers; at the picture, where there is no layer. */
async function obstacleOf(
  { network, layers, layerProblem }: Opened,
  scores: Scores,
  reads: readonly string[],
): Promise<string | undefined> {
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
    await network.differentiator(layers, scores, { reads }); // which is kept: a rule may not know this form of its operator
    return undefined;
  } catch (error) {
    if (!(error instanceof GradcamppError) || error.code !== 'UNSUPPORTED_MODEL') throw error;
    return messageOf(error.cause ?? error);
  }
}
