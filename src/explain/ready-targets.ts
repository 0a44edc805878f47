import { GradcamppError, show } from '../errors.js';
import { readText, whyUnreadable } from '../files.js';
import { isFloatValue } from '../graph/from-model.js';
import { valueInfo } from '../graph/graph.js';
import type { Scores } from '../graph/scores.js';
import { findSuppression } from '../graph/suppression.js';
import { readNpy } from '../image/npy.js';
import type { Preprocessing } from '../image/preprocess.js';
import type { ClassName } from '../image/sidecar.js';
import { goalsOf, outputOf, prepareTarget, readsOf, type Target } from '../targets/index.js';
import type { NetworkFacts, Output, Ready, Row, Tools } from '../targets/target.js';
import type { Feeds } from './feeds.js';
import { type ImageInput, prepareImages } from './input.js';
import { readMask } from './mask-file.js';
import type { Network } from './network.js';
import { predictRow } from './predict-row.js';
import { rowSize } from './rows.js';

function unreadable(path: string, reason: string): GradcamppError {
  return new GradcamppError('INVALID_TARGET', `${show(path)} cannot be read: ${reason}.`);
}

interface Opened {
  readonly network: Network;
  readonly scores: Scores;
  readonly feeds: Feeds;
  readonly preprocessing: Preprocessing | undefined;
  readonly classes: readonly ClassName[] | undefined;
  readonly channelAxis: number;
  /** Whether the user named the scores. */
  readonly isChosen: boolean;
}

/** Targets of an opened network, made ready for pictures: what they name is read once. */
export class ReadyTargets {
  readonly #opened: Opened;
  readonly #made = new WeakMap<object, Promise<Ready<Target>>>();

  constructor(opened: Opened) {
    this.#opened = opened;
  }

  async ready(targets: readonly Target[]): Promise<Target[]> {
    return (await Promise.all(targets.map((target) => this.#ready(target)))).map(({ spec }) => spec);
  }

  /**
   * Refuses targets that no picture can have, as far as dims are known before the network runs.
   *
   * @returns what the user should know of them
   */
  async check(targets: readonly Target[]): Promise<string[]> {
    const notes: string[] = [];
    for (const target of targets) {
      const { spec, note } = await this.#ready(target);
      if (note !== undefined) notes.push(note);
      const scores = this.scoresOf(outputOf(spec));
      const row = this.#emptyRow(scores.info.name);
      if (!row || readsOf([spec]).some((name) => !this.#emptyRow(name))) continue;
      const { classes, channelsLast, size } = this.facts(scores);
      goalsOf([spec], row, {
        classes,
        channelsLast,
        link: scores.link,
        size: size.map((dim) => (typeof dim === 'number' ? dim : 1)),
        output: (name) => this.#emptyRow(name) as Row,
        isBlank: true,
      });
    }
    return notes;
  }

  /** The scores behind an output; undefined: those that were found in the model. */
  scoresOf(output: string | undefined): Scores {
    return output === undefined ? this.#opened.scores : this.#opened.network.scores(output);
  }

  /** What is known where an output is explained. Names of classes are those of the model's scores. */
  facts(scores: Scores): NetworkFacts {
    const { name } = this.#opened.scores.info;
    const isOwn = scores.info.name === name || (scores.parts?.includes(name) ?? false);
    return networkFacts(scores, {
      ...this.#opened,
      classes: isOwn ? this.#opened.classes : undefined,
      isChosen: this.#opened.isChosen || !isOwn,
    });
  }

  #ready(target: Target): Promise<Ready<Target>> {
    const known = typeof target === 'object' ? this.#made.get(target) : undefined;
    if (known) return known;
    const scores = this.scoresOf(outputOf(target));
    const made = prepareTarget(target, this.facts(scores), this.#tools(scores));
    if (typeof target === 'object') this.#made.set(target, made);
    return made;
  }

  #tools(scores: Scores): Tools {
    const { network, preprocessing } = this.#opened;
    return {
      numbers: async (path) => {
        const { data, dims } = await readNpy(path);
        return { data: Float32Array.from(data, Number), dims };
      },
      mask: (path) => readMask(path, network, preprocessing),
      text: async (path) => {
        return readText(path).catch((cause: unknown) => {
          throw unreadable(path, whyUnreadable(cause));
        });
      },
      join: (outputs) => network.join(outputs),
      rowOf: async (picture) => {
        const [image] = await prepareImages(picture as ImageInput, preprocessing, network);
        return predictRow(this.#opened, image, scores);
      },
    };
  }

  /** Zeros with the dims of a value; undefined where these are only known when the network runs. */
  #emptyRow(name: string): Row | undefined {
    const { dims } = valueInfo(this.#opened.network.graph, name);
    const size = dims === undefined ? 0 : rowSize(dims);
    const own = (dims ?? []).slice(1) as number[];
    return size === 0 ? undefined : { data: new Float32Array(size), dims: own.length === 0 ? [1] : own };
  }
}

/** What is known of a network, where an output is explained. */
export function networkFacts(
  scores: Scores,
  {
    network,
    classes,
    channelAxis,
    isChosen,
  }: Pick<Opened, 'network' | 'classes' | 'channelAxis' | 'isChosen'>,
): NetworkFacts {
  const { graph, image, producer } = network;
  const made = new Set(graph.nodes.flatMap((node) => node.outputs));
  const floats = graph.outputs.filter(({ name }) => made.has(name) && isFloatValue(valueInfo(graph, name)));
  const found = findSuppression(graph, image.name);
  const suppression =
    found &&
    ({
      scores: outputFacts(network.scores(found.scores), network),
      boxes: found.boxes,
      // PyTorch has x first, TensorFlow and ONNX itself y first.
      format: found.isCentred ? 'cxcywh' : /torch/i.test(producer) ? 'xyxy' : 'yxyx',
    } as const);
  return {
    output: outputFacts(scores, network),
    isChosen,
    outputs: floats.map(({ name }) => outputFacts(network.scores(name), network)),
    ...(suppression ? { suppression } : {}),
    size: (image.dims ?? []).slice(1).filter((_, axis) => axis !== channelAxis),
    channelsLast: channelAxis > 0,
    classes,
    metadata: graph.metadata,
  };
}

function outputFacts(
  { output, info, link, steppedOver, isEmbedding = false, areFeatures = false }: Scores,
  { fixedBatch }: Network,
): Output {
  const { dims = [] } = info;
  const isRow = fixedBatch === 1 && dims.length === 1 && dims[0] !== 1; // [M] without N
  return {
    name: output,
    value: info.name,
    dims: isRow ? [1, ...dims] : dims,
    link,
    isStepped: steppedOver !== undefined,
    isEmbedding,
    areFeatures,
  };
}
