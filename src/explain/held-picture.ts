import { GradcamppError } from '../errors.js';
import type { MapMethod } from '../map/backend.js';
import type { HeldMaps } from '../map/webgpu/held.js';
import { goalsOf, outputOf } from '../targets/index.js';
import type { Goal } from '../targets/target.js';
import { unwatched } from '../watch.js';
import { heldMaps } from './answers.js';
import { variantsOf } from './automatic-method.js';
import {
  type Context,
  explainRows,
  explanationFrom,
  factsOf,
  forwardPass,
  openFor,
  type Pictures,
  releaseBatch,
  rowFound,
  targetOf,
} from './explain-batch.js';
import type { MethodSettings, Settings } from './explain-options.js';
import type { Explanation, TargetExplanation } from './explanation.js';
import { Progress } from './progress.js';
import { isFused } from './stays-on-gpu.js';
import { TargetEvidence } from './target-evidence.js';

/** What is known of an explanation whose maps nobody has read. */
export type UnreadExplanation = Omit<Explanation, 'targets'> & {
  /** One for each target and method, as in an explanation. */
  readonly targets: readonly Pick<TargetExplanation, 'target' | 'method'>[];
};

/** An explained picture whose activations, gradients and maps are on the GPU. */
export interface HeldPicture {
  readonly explanation: UnreadExplanation;
  /**
   * The map of one of the explanation's targets, or what another method makes of the same gradients: at most one dispatch, and
   * nothing is read.
   *
   * @param index among the explanation's targets
   * @throws GradcamppError INVALID_OPTION where the kernel does not know the method
   */
  maps(index: number, method?: MethodSettings): Promise<HeldMaps>;
  /** The whole explanation: its maps are read. */
  read(): Promise<Explanation>;
  release(): Promise<void>;
}

/** Explains a picture and reads nothing but its scores; undefined where not all of it stays on the GPU, on one layer and output. */
export async function holdPicture(
  context: Context,
  pictures: Pictures,
  given: Settings,
): Promise<HeldPicture | undefined> {
  const [targets] = pictures.targets;
  const [output] = targets.map(outputOf);
  if (context.layers.length !== 1 || targets.some((target) => outputOf(target) !== output)) return undefined;
  const scores = output === undefined ? context.scores : context.network.scores(output);
  const classes = output === undefined ? context.classes : undefined;
  const ready = await openFor(context, scores, given, targets);
  if (!('isHeld' in ready.passes)) return undefined;
  const progress = new Progress(undefined);
  const batch = await forwardPass(context, pictures, ready.settings, {
    ...ready,
    progress,
    watch: unwatched,
  });
  const own = { ...ready, batch, scores, classes, output };
  const [image] = pictures.images;
  let [row] = batch.rows;
  let shown: { readonly goal: Goal; readonly evidence: TargetEvidence; readonly variant: MethodSettings }[];
  try {
    row = (await image.judged?.(scores)) ?? row;
    const goals = goalsOf(targets, row, factsOf(batch, 0, scores, classes)).map(({ goal }) => goal);
    const methods = variantsOf(ready.settings.variants, goals);
    shown = goals.flatMap((goal) => {
      const [evidence] = TargetEvidence.of(batch, [[goal]]);
      return methods.of(goal).map((v) => ({ goal, evidence, variant: methods.all[v] }));
    });
  } catch (error) {
    releaseBatch(batch);
    throw error;
  }
  const made = new Map<string, Promise<HeldMaps>>();
  const unread = { ...rowFound(row, output, scores), targets: [], values: undefined };
  return {
    explanation: {
      ...explanationFrom(image, [unread], targets),
      targets: shown.map(({ goal, variant }) => ({
        target: targetOf(goal, row, output),
        method: variant.method,
      })),
    },
    maps: (index, other) => {
      const { evidence, variant } = shown[index];
      const asked = other ?? variant;
      if (!isFused(asked))
        throw new GradcamppError(
          'INVALID_OPTION',
          `"method" ${asked.method} takes more than the gradients that are there: show the picture with it.`,
        );
      const key = JSON.stringify([
        shown.findIndex((one) => one.evidence === evidence),
        asked.method,
        asked.settings,
      ]);
      const found =
        made.get(key) ??
        heldMaps(batch, [evidence], { layer: 0, method: asked.method as MapMethod, variant: asked });
      made.set(key, found);
      return found;
    },
    read: async () => explanationFrom(image, await explainRows(context, pictures, own), targets),
    release: async () => {
      for (const maps of await Promise.allSettled(made.values()))
        if (maps.status === 'fulfilled') maps.value.release();
      for (const { evidence } of shown) await evidence.release();
      releaseBatch(batch);
    },
  };
}
