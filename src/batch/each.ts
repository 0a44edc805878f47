import { asOurs, type GradcamppError } from '../errors.js';
import { release } from '../memory.js';
import type { ExplainerCalls } from '../explain/network-explainer.js';
import type { Explanation } from '../explain/explanation.js';
import type { ImageInput, PreparedImage } from '../explain/input.js';
import type { Settings } from '../explain/explain-options.js';
import type { Target } from '../targets/index.js';
import { eachDuring, unwatched, type Watch } from '../watch.js';

/** One picture to explain. */
export interface Item {
  readonly input: ImageInput;
  /** What it is called in results and messages, where it is not a path. */
  readonly path?: string;
  /** Why it cannot be read, where that is known already. */
  readonly problem?: GradcamppError;
  /** Its own targets, instead of the settings'. */
  readonly targets?: Target | readonly Target[];
}

/** What became of one picture. */
export type Outcome = { readonly explanation: Explanation } | Failure;
export interface Failure {
  readonly path: string | undefined;
  readonly error: GradcamppError;
}

interface Ready {
  readonly image: PreparedImage;
  readonly targets: Item['targets'];
}

/**
 * Explains pictures in passes of `settings.batchSize`; one that cannot be explained is an outcome like the others.
 * A tensor file of several pictures has as many outcomes.
 */
export async function explainEach(
  explainer: ExplainerCalls,
  items: readonly Item[],
  settings: Settings,
  watch: Watch = unwatched,
): Promise<Outcome[][]> {
  const prepared = await watch.during('decode', () =>
    Promise.all(items.map((item) => prepareItem(explainer, item))),
  );
  const ready = prepared.flat().filter(isReady);
  const outcomes = await explainReady(explainer, ready, settings, watch);
  releaseTensors(ready);
  return prepared.map((list) => list.map((entry) => (isReady(entry) ? outcomes.shift()! : entry)));
}

/**
 * Explains the clips of a video in passes of `settings.batchSize`, while it is read. Where it cannot be read any further that is
 * the last outcome.
 */
export async function* explainClips(
  explainer: ExplainerCalls,
  clips: AsyncIterable<PreparedImage>,
  { path, targets }: Pick<Item, 'path' | 'targets'>,
  settings: Settings,
  watch: Watch = unwatched,
): AsyncGenerator<Outcome> {
  let group: Ready[] = [];
  const explain = async () => {
    const outcomes = await explainReady(explainer, group, settings, watch);
    releaseTensors(group);
    group = [];
    return outcomes;
  };
  try {
    for await (const image of eachDuring(watch, 'decode', clips)) {
      group.push({ image, targets });
      if (group.length === settings.batchSize) yield* await explain();
    }
    yield* await explain();
  } catch (error) {
    yield* await explain();
    yield { path, error: asOurs(error) as GradcamppError };
  }
}

/** Those without a picture or frames are the caller's. */
function releaseTensors(ready: readonly Ready[]): void {
  release(
    ready.flatMap(({ image: { picture, clip, tensor, crops } }) =>
      (picture ?? clip) ? [tensor, ...(crops?.views.map((view) => view.tensor) ?? [])] : [],
    ),
  );
}

async function prepareItem(
  explainer: ExplainerCalls,
  { input, path, problem, targets }: Item,
): Promise<(Ready | Failure)[]> {
  try {
    if (problem) throw problem;
    return (await explainer.prepare(input, path)).map((image) => ({ image, targets }));
  } catch (error) {
    return [
      {
        path: path ?? (typeof input === 'string' ? input : undefined),
        error: asOurs(error) as GradcamppError,
      },
    ];
  }
}

/** Together; where that fails, each alone, so that one bad picture spoils no other. */
async function explainReady(
  explainer: ExplainerCalls,
  ready: readonly Ready[],
  settings: Settings,
  watch: Watch,
): Promise<Outcome[]> {
  if (ready.length === 0) return [];
  const own = ready.some(({ targets }) => targets !== undefined)
    ? { ...settings, targetsPerImage: ready.map(({ targets }) => targets ?? explainer.targetsOf(settings)) }
    : settings;
  try {
    const images = ready.map(({ image }) => image);
    return (await explainer.explainPrepared(images, own, watch)).map((explanation) => ({ explanation }));
  } catch (error) {
    if (ready.length === 1) return [{ path: ready[0].image.path, error: asOurs(error) as GradcamppError }];
    const outcomes: Outcome[] = [];
    for (const one of ready) outcomes.push(...(await explainReady(explainer, [one], settings, watch)));
    return outcomes;
  }
}

function isReady(entry: Ready | Failure): entry is Ready {
  return 'image' in entry;
}
