import { fileURLToPath } from 'node:url';
import { invalid, onlyKeys } from '../check.js';
import { asOurs, GradcamppError } from '../errors.js';
import type { NetworkExplainer } from '../explain/network-explainer.js';
import type { Explanation } from '../explain/explanation.js';
import { explainKeys, type ExplainOptions, settingsOf } from '../explain/explain-options.js';
import { choice, count, option, type OptionsOf, readOptions, type Stage, yesOrNo } from '../options.js';
import { drive } from './drive.js';
import {
  type ExplanationsInit,
  explanationsService,
  type SentOutcome,
} from './workers/explanations-service.js';
import type { Item } from './each.js';
import type { Opened } from './workers/open-explainer.js';
import { type WorkforceOptions, workforceOptions, workforceSettingsOf } from './run-options.js';
import { checkImages, type Entry, inGroups, type PictureInput } from './inputs/stream-items.js';
import { TaskError } from './workers/task-error.js';
import { ownBuffers } from '../transfer.js';
import { defaultBatch, startWorkforce, type Workforce } from './workers/workforce.js';

/** How a stream of pictures is worked on. */
const streamOptions = {
  /** Results in the order of the pictures (default), or as they come. */
  order: choice(['input', 'completion'], { default: 'input', help: 'the order of results' }),
  /**
   * Passes that are in flight, or done and not taken yet: each holds pictures and maps. Default twice what the workers
   * hold. No more is taken from the stream.
   */
  inFlight: count({ from: 1, help: 'passes in flight' }),
  /** Hand the buffers of pixels and tensors to the workers instead of copying them; the caller's are then empty. Default false. */
  transfer: yesOrNo({ default: false, help: 'hand buffers over' }),
  /** Ends the loop with the signal's reason, once the pictures in flight are done; their results are lost. */
  signal: option(
    (value, name): AbortSignal => {
      if (value instanceof AbortSignal) return value;
      throw invalid(name, 'an AbortSignal', value);
    },
    { help: 'ends the loop' },
  ),
};

export type ExplainAllOptions = Omit<ExplainOptions, 'targetsPerImage'> &
  WorkforceOptions &
  OptionsOf<typeof streamOptions>;

/** What became of the picture `index` of the stream, counted from 0. A .npy of several tensors has several results. */
export type PictureResult =
  | { readonly index: number; readonly explanation: Explanation; readonly error?: undefined }
  | { readonly index: number; readonly explanation?: undefined; readonly error: GradcamppError };

/** See `Explainer.explainAll`, the way in. */
export async function* explainAll(
  explainer: NetworkExplainer,
  images: Iterable<PictureInput> | AsyncIterable<PictureInput>,
  options: ExplainAllOptions = {},
): AsyncGenerator<PictureResult> {
  checkImages(images);
  const { stream, workforce, explain, batchSize } = await check(options, explainer).catch(
    (error: unknown) => {
      throw asOurs(error);
    },
  );
  stream.signal?.throwIfAborted();
  const team: Team = startWorkforce(
    {
      script: new URL('./worker.js', import.meta.url),
      init: initOf(explainer, explain),
      openHere: () => explanationsService(explainer, settingsOf(explain)),
    },
    workforce,
  );
  try {
    await team.ready;
    const window = stream.inFlight ?? 2 * team.depth;
    for await (const results of drive({
      groups: inGroups(images, batchSize),
      run: (group) => explainGroup(explainer, team, group, stream.transfer),
      failed: ({ index }, error) =>
        error instanceof TaskError ? [{ index, error: ownError(error) }] : undefined,
      limit: Math.min(team.depth, window),
      window,
      order: stream.order,
      signal: stream.signal,
    }))
      yield* results;
  } catch (error) {
    throw stream.signal?.aborted && error === stream.signal.reason ? error : asOurs(error);
  } finally {
    await team.close();
  }
}

type Team = Workforce<readonly Item[], SentOutcome[][], Opened>;

/** The results of each picture of a group. */
async function explainGroup(
  explainer: NetworkExplainer,
  team: Team,
  group: readonly Entry[],
  isTransferred: boolean,
): Promise<PictureResult[][]> {
  const items = group.flatMap((entry) => ('item' in entry ? [entry.item] : []));
  const transfer = isTransferred && team.size > 0 ? [...ownBuffers(items)] : [];
  const run = () => team.run(items, { transfer, share: items.length });
  const isHere = team.size === 0; // then the service itself uses the explainer
  const outcomes = items.length === 0 ? [] : await (isHere ? run() : explainer.use(run));
  let next = 0;
  return group.map((entry) =>
    'error' in entry ? [entry] : outcomes[next++].map((outcome) => resultOf(entry.index, outcome)),
  );
}

function resultOf(index: number, outcome: SentOutcome): PictureResult {
  if ('explanation' in outcome) return { index, explanation: outcome.explanation };
  return { index, error: new GradcamppError(outcome.error.code, outcome.error.message) };
}

/** Without what the workforce needs to know. */
function ownError({ code, message }: TaskError): GradcamppError {
  return new GradcamppError(code, message);
}

const allKeys = [...explainKeys, ...Object.keys(workforceOptions), ...Object.keys(streamOptions)];

async function check(options: ExplainAllOptions, explainer: NetworkExplainer) {
  onlyKeys('explainAll', options, allKeys);
  if ('targetsPerImage' in options)
    throw new GradcamppError(
      'INVALID_OPTION',
      '"targetsPerImage" cannot be used with a stream: give {image, targets} in place of a picture.',
    );
  const part = (keys: readonly string[]) =>
    Object.fromEntries(Object.entries(options).filter(([key]) => keys.includes(key)));
  const read = <S extends Stage>(stage: S) =>
    readOptions('explainAll', stage, part(Object.keys(stage)) as OptionsOf<S>);
  const given: ExplainOptions = part(explainKeys);
  const batchSize = given.batchSize ?? explainer.network.fixedBatch ?? defaultBatch(explainer.options);
  const explain = { ...given, batchSize };
  await explainer.checkTargets(settingsOf(explain));
  return {
    stream: read(streamOptions),
    workforce: workforceSettingsOf(part(Object.keys(workforceOptions))),
    explain,
    batchSize,
  };
}

/** What workers open to explain as this explainer does. The bytes of a model are shared among them. */
function initOf({ source, options }: NetworkExplainer, explain: ExplainOptions): ExplanationsInit {
  let model: string | Uint8Array;
  if (source instanceof URL) model = fileURLToPath(source);
  else if (source instanceof Uint8Array) {
    model = new Uint8Array(new SharedArrayBuffer(source.length));
    model.set(source);
  } else model = source;
  return { kind: 'explanations', model, open: options, explain };
}
