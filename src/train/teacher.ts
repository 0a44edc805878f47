import { basename } from 'node:path';
import { GradcamppError } from '../errors.js';
import { openParts } from '../explain/open-parts.js';
import { type Graph, subgraph, type ValueInfo, valueInfo } from '../graph/graph.js';
import type { Preprocessing } from '../image/preprocess.js';
import { DataType } from '../onnx/types.js';
import { inferValues } from '../runtime/infer.js';
import { openSession, type Session } from '../runtime/session.js';
import type { Tensor } from '../tensor.js';
import { attentionNodes } from './losses/attention-transfer.js';
import { mapNodes } from './maps.js';
import { NetworkBuilder } from './network-builder.js';

export interface TeacherOptions {
  /** The layer whose maps the student learns; default: the sidecar's, or chosen in the network. */
  readonly layer?: string;
  readonly method: string;
  /** What is computed beside the scores. */
  readonly map: boolean;
  readonly attention: boolean;
  readonly threads?: number;
}

/** What a teacher says of some pictures, one behind another. */
export interface Lesson {
  /** Before softmax, M each. */
  readonly scores: Float32Array;
  /** The raw map of each picture's own class, h · w each. */
  readonly maps?: Float32Array;
  /** Σ_k A_k², h · w each. */
  readonly attention?: Float32Array;
}

/** Where a lesson's parts are in the graph. */
interface Names {
  readonly image: string;
  readonly labels: string;
  readonly scores: string;
  readonly map?: string;
  readonly attention?: string;
}

/** A trained network that is asked for scores and maps. */
export class Teacher {
  readonly preprocessing: Preprocessing;
  /** Names, where they are known. */
  readonly classes: readonly string[] | undefined;
  /** M. */
  readonly classCount: number;
  readonly layer: string;
  /** The layer's spatial dims. */
  readonly mapDims: readonly number[];
  readonly #session: Session;
  readonly #names: Names;

  private constructor(
    parts: Pick<Teacher, 'preprocessing' | 'classes' | 'classCount' | 'layer' | 'mapDims'>,
    session: Session,
    names: Names,
  ) {
    this.preprocessing = parts.preprocessing;
    this.classes = parts.classes;
    this.classCount = parts.classCount;
    this.layer = parts.layer;
    this.mapDims = parts.mapDims;
    this.#session = session;
    this.#names = names;
  }

  static async open(path: string, options: TeacherOptions): Promise<Teacher> {
    const { layer, method, map, attention, threads } = options;
    const parts = await openParts(path, { layer, backend: 'reference', threads: 1 });
    try {
      const { network, scores, layers, layerProblem, preprocessing, classes } = parts;
      const name = basename(path);
      const classCount = scores.info.dims?.[1];
      if (scores.info.dims?.length !== 2 || typeof classCount !== 'number')
        throw refusal(
          name,
          `is no classifier: its scores have dims [${scores.info.dims?.join(', ') ?? '?'}]`,
        );
      if (!preprocessing) throw refusal(name, 'takes no pictures');
      if (layers.length === 0) throw layerProblem;
      const [own] = layers;
      const spatial = own.dims.slice(2);
      if (own.layout.channelAxis !== 1 || !spatial.every((dim): dim is number => typeof dim === 'number'))
        throw refusal(name, `has no layer of known size: "${own.name}" is [${own.dims.join(', ')}]`);
      const { image } = network;
      const other = network.graph.inputs.find((input) => input.name !== image.name);
      if (other) throw refusal(name, `takes "${other.name}" beside the picture`);
      const labels: ValueInfo = { name: 'labels', type: DataType.FLOAT, dims: ['N', classCount] };
      const known = { ...network.graph, inputs: [...network.graph.inputs, labels] };
      const b = new NetworkBuilder(known, { keepPaths: false });
      b.at('teacher');
      const names = {
        image: image.name,
        labels: labels.name,
        scores: scores.info.name,
        ...(map
          ? { map: mapNodes(b, { scores: scores.info.name, labels: labels.name, layer: own.name, method }) }
          : {}),
        ...(attention ? { attention: attentionNodes(b, own.name) } : {}),
      };
      const session = await openSession(await lesson(b.graph, names, map), { threads });
      return new Teacher(
        {
          preprocessing,
          classes: classes?.map((item) => item.name),
          classCount,
          layer: own.name,
          mapDims: spatial,
        },
        session,
        names,
      );
    } finally {
      await parts.network.close();
    }
  }

  /**
   * @param images [N, …input], preprocessed
   * @param labels the class of each picture
   */
  async run(images: Float32Array, dims: readonly number[], labels: readonly number[]): Promise<Lesson> {
    const { image, labels: hotName, scores, map, attention } = this.#names;
    const N = labels.length;
    const tensor = (data: Float32Array, rest: readonly number[]): Tensor => ({
      type: 'float32',
      dims: [N, ...rest],
      data,
    });
    const feeds: Record<string, Tensor> = { [image]: tensor(images, dims) };
    if (map !== undefined) feeds[hotName] = tensor(oneHot(labels, this.classCount), [this.classCount]);
    const results = await this.#session.run(feeds);
    const of = (name: string) => results[name].data as Float32Array;
    return {
      scores: of(scores),
      ...(map === undefined ? {} : { maps: of(map) }),
      ...(attention === undefined ? {} : { attention: of(attention) }),
    };
  }

  close(): Promise<void> {
    return this.#session.close();
  }
}

/** The class of each picture as 0 and 1, [N, M]. */
export function oneHot(labels: readonly number[], classes: number): Float32Array {
  const hot = new Float32Array(labels.length * classes);
  for (const [n, label] of labels.entries()) hot[n * classes + label] = 1;
  return hot;
}

async function lesson(graph: Graph, names: Names, readsLabels: boolean): Promise<Graph> {
  const wanted = [names.scores, names.map, names.attention].filter((name) => name !== undefined);
  const inputs = graph.inputs.filter(({ name }) => readsLabels || name !== names.labels);
  const known = await inferValues({ ...graph, outputs: wanted.map((name) => valueInfo(graph, name)) });
  return subgraph(
    known,
    inputs,
    wanted.map((name) => valueInfo(known, name)),
  );
}

function refusal(name: string, what: string): GradcamppError {
  return new GradcamppError(
    'UNSUPPORTED_MODEL',
    `"${name}" ${what}, so it cannot be a teacher: a classifier of pictures, with a sidecar beside it, can.`,
  );
}
