import { fileURLToPath } from 'node:url';
import { invalid, oneOf, onlyKeys, wholeNumber } from '../check.js';
import { GradcamppError } from '../errors.js';
import type { Explainer } from '../explain/explainer.js';
import type { Explanation } from '../explain/explanation.js';
import type { ImageInput } from '../explain/input.js';
import { explainKeys, type ExplainOptions, settingsOf } from '../explain/options.js';
import type { Target } from '../targets/index.js';
import type { Item } from './each.js';
import { type ExplanationsInit, explanationsService, type SentOutcome } from './explanations-service.js';
import { concurrently } from './ordered.js';
import { KillerError } from './pool.js';
import { ownBuffers } from './transfer.js';
import {
  checkWorkforce,
  defaultBatch,
  startWorkforce,
  type Workforce,
  workforceKeys,
  type WorkforceOptions,
} from './workforce.js';

export interface ExplainAllOptions extends Omit<ExplainOptions, 'targetsPerImage'>, WorkforceOptions {
  /** Results in the order of the pictures (default), or as they come. */
  readonly order?: 'input' | 'completion';
  /**
   * Passes that are in flight, or done and not taken yet: each holds pictures and maps. Default twice what the workers
   * hold. No more is taken from the stream.
   */
  readonly inFlight?: number;
  /** Hand the buffers of pixels and tensors to the workers instead of copying them; the caller's are then empty. Default false. */
  readonly transfer?: boolean;
  /** Ends the loop with the signal's reason, once the pictures in flight are done; their results are lost. */
  readonly signal?: AbortSignal;
}

/** A picture, or one with targets of its own. */
export type PictureInput =
  | ImageInput
  | { readonly image: ImageInput; readonly targets: Target | readonly Target[] };

/** What became of the picture `index` of the stream, counted from 0. A .npy of several tensors has several results. */
export type PictureResult =
  | { readonly index: number; readonly explanation: Explanation; readonly error?: undefined }
  | { readonly index: number; readonly explanation?: undefined; readonly error: GradcamppError };

/** See `Explainer.explainAll`, the way in. */
export async function* explainAll(
  explainer: Explainer,
  images: Iterable<PictureInput> | AsyncIterable<PictureInput>,
  options: ExplainAllOptions = {},
): AsyncGenerator<PictureResult> {
  checkImages(images);
  const { order, inFlight, transfer, signal, workforce, explain, batchSize } = check(options, explainer);
  const init = initOf(explainer, explain);
  const here = () => explanationsService(explainer, settingsOf(explain));
  const team: Workforce<readonly Item[], SentOutcome[][]> = startWorkforce(init, here, workforce);
  const work = async ({ start, items }: Group): Promise<PictureResult[]> => {
    const handedOver = transfer && team.size > 0 ? [...ownBuffers(items)] : [];
    try {
      const outcomes = await team.run(items, handedOver);
      return outcomes.flatMap((list, i) => list.map((outcome) => resultOf(start + i, outcome)));
    } catch (error) {
      if (!(error instanceof KillerError)) throw error;
      if (items.length === 1 || transfer) return items.map((_, i) => ({ index: start + i, error }));
      const alone = items.map((item, i) => work({ start: start + i, items: [item] }));
      return (await Promise.all(alone)).flat();
    }
  };
  try {
    await team.ready;
    const window = inFlight ?? 2 * team.depth;
    const concurrency = { limit: Math.min(team.depth, window), window, order, signal };
    for await (const results of concurrently(inGroups(images, batchSize), work, concurrency)) yield* results;
  } finally {
    await team.close();
  }
}

/** A path and bytes are iterable too, by characters and bytes. */
function checkImages(images: unknown): void {
  const isIterable =
    images !== null &&
    typeof images === 'object' &&
    !ArrayBuffer.isView(images) &&
    (Symbol.iterator in images || Symbol.asyncIterator in images);
  if (!isIterable)
    throw invalid(
      'images',
      'an iterable or async iterable of pictures',
      images,
      'Put one picture into a list.',
    );
}

const allKeys = [...explainKeys, ...workforceKeys, 'order', 'inFlight', 'transfer', 'signal'];

function check(options: ExplainAllOptions, explainer: Explainer) {
  onlyKeys('explainAll', options, allKeys);
  const {
    order = 'input',
    inFlight,
    transfer = false,
    signal,
    workers,
    isolation,
    timeout,
    ...rest
  } = options;
  if (inFlight !== undefined) wholeNumber('inFlight', inFlight, 1);
  if (typeof transfer !== 'boolean') throw invalid('transfer', 'true or false', transfer);
  if (signal !== undefined && !(signal instanceof AbortSignal))
    throw invalid('signal', 'an AbortSignal', signal);
  if ('targetsPerImage' in rest)
    throw new GradcamppError(
      'INVALID_OPTION',
      '"targetsPerImage" cannot be used with a stream: give {image, targets} in place of a picture.',
    );
  const batchSize = rest.batchSize ?? explainer.network.fixedBatch ?? defaultBatch(explainer.options);
  const explain: ExplainOptions = { ...rest, batchSize };
  explainer.checkTargets(settingsOf(explain));
  return {
    order: oneOf('order', order, ['input', 'completion']),
    inFlight,
    transfer,
    signal,
    workforce: checkWorkforce({ workers, isolation, timeout }),
    explain,
    batchSize,
  };
}

/** What workers open to explain as this explainer does. The bytes of a model are shared among them. */
function initOf({ source, options }: Explainer, explain: ExplainOptions): ExplanationsInit {
  let model: string | Uint8Array;
  if (source instanceof URL) model = fileURLToPath(source);
  else if (source instanceof Uint8Array) {
    model = new Uint8Array(new SharedArrayBuffer(source.length));
    model.set(source);
  } else model = source;
  return { kind: 'explanations', model, open: options, explain };
}

interface Group {
  readonly start: number;
  readonly items: readonly Item[];
}

/** Pictures by `size`, the last group may be smaller. */
async function* inGroups(
  images: Iterable<PictureInput> | AsyncIterable<PictureInput>,
  size: number,
): AsyncGenerator<Group> {
  let start = 0;
  let items: Item[] = [];
  for await (const image of images) {
    items.push(itemOf(image));
    if (items.length < size) continue;
    yield { start, items };
    start += items.length;
    items = [];
  }
  if (items.length > 0) yield { start, items };
}

/** URLs do not travel between threads. */
function itemOf(picture: PictureInput): Item {
  const hasTargets = picture !== null && typeof picture === 'object' && 'targets' in picture;
  const { image, targets } = hasTargets ? picture : { image: picture, targets: undefined };
  return {
    input: image instanceof URL && image.protocol === 'file:' ? fileURLToPath(image) : image,
    targets,
  };
}

function resultOf(index: number, outcome: SentOutcome): PictureResult {
  if ('explanation' in outcome) return { index, explanation: outcome.explanation };
  return { index, error: new GradcamppError(outcome.error.code, outcome.error.message) };
}
