import { basename } from 'node:path';
import { GradcamppError } from '../errors.js';
import type { Name } from '../graph/builder.js';
import { openParts } from '../explain/open-parts.js';
import { type Graph, subgraph, type ValueInfo, valueInfo } from '../graph/graph.js';
import type { Preprocessing } from '../image/preprocess.js';
import { DataType } from '../onnx/types.js';
import { inferValues } from '../runtime/infer.js';
import { openSession, type Session } from '../runtime/session.js';
import type { Tensor } from '../tensor.js';
import { attentionNodes } from './losses/attention-transfer.js';
import { classRows, type MapOptions, mapNodes } from './maps.js';
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
  /** The raw maps of each picture's own classes, `most` · h · w each: zero where there are fewer. */
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
  readonly #open: (most: number) => Promise<Asked>;
  /** By the number of classes that are explained of each picture. */
  readonly #asked = new Map<number, Promise<Asked>>();

  private constructor(
    parts: Pick<Teacher, 'preprocessing' | 'classes' | 'classCount' | 'layer' | 'mapDims'>,
    open: (most: number) => Promise<Asked>,
  ) {
    this.preprocessing = parts.preprocessing;
    this.classes = parts.classes;
    this.classCount = parts.classCount;
    this.layer = parts.layer;
    this.mapDims = parts.mapDims;
    this.#open = open;
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
      const graph = network.graph;
      const ask = async (most: number): Promise<Asked> => {
        const labels: ValueInfo = { name: 'labels', type: DataType.FLOAT, dims: ['N', most, classCount] };
        const values = new Map([...graph.values, [labels.name, labels] as const]);
        const known = { ...graph, inputs: [...graph.inputs, labels], values };
        const b = new NetworkBuilder(known, { keepPaths: false });
        b.at('teacher');
        const wanted = { scores: scores.info.name, layer: own.name, method };
        const names = {
          image: image.name,
          labels: labels.name,
          scores: scores.info.name,
          ...(map ? { map: mapsOfClasses(b, labels.name, wanted) } : {}),
          ...(attention ? { attention: attentionNodes(b, own.name) } : {}),
        };
        return { session: await openSession(await lesson(b.graph, names, map), { threads }), names };
      };
      return new Teacher(
        {
          preprocessing,
          classes: classes?.map((item) => item.name),
          classCount,
          layer: own.name,
          mapDims: spatial,
        },
        ask,
      );
    } finally {
      await parts.network.close();
    }
  }

  /**
   * @param images [N, …input], preprocessed
   * @param labels the classes of each picture
   * @param most so many of them are explained; rows of zeros where a picture has fewer
   */
  async run(
    images: Float32Array,
    dims: readonly number[],
    labels: readonly (readonly number[])[],
    most = 1,
  ): Promise<Lesson> {
    const asked = this.#asked.get(most) ?? this.#open(most);
    this.#asked.set(most, asked);
    const { session, names } = await asked;
    const { image, labels: hotName, scores, map, attention } = names;
    const N = labels.length;
    const tensor = (data: Float32Array, rest: readonly number[]): Tensor => ({
      type: 'float32',
      dims: [N, ...rest],
      data,
    });
    const feeds: Record<string, Tensor> = { [image]: tensor(images, dims) };
    if (map !== undefined) {
      const rows = oneHotRows(labels, most, this.classCount);
      feeds[hotName] = tensor(rows, [most, this.classCount]);
    }
    const results = await session.run(feeds);
    const of = (name: string) => results[name].data as Float32Array;
    return {
      scores: of(scores),
      ...(map === undefined ? {} : { maps: of(map) }),
      ...(attention === undefined ? {} : { attention: of(attention) }),
    };
  }

  async close(): Promise<void> {
    for (const asked of this.#asked.values()) await (await asked).session.close();
  }
}

/** A session that answers for so many classes of each picture. */
interface Asked {
  readonly session: Session;
  readonly names: Names;
}

/** The map of every class that a picture has, [N, P, …]. */
function mapsOfClasses(b: NetworkBuilder, labels: Name, options: Omit<MapOptions, 'labels'>): Name {
  const maps = classRows(b, labels).map((own) => mapNodes(b, { ...options, labels: own }));
  return maps.length > 1 ? b.op('Concat', maps, { axis: 1 }) : maps[0];
}

/** The classes of each picture as 0 and 1, [N, M]. */
export function manyHot(labels: readonly (readonly number[])[], classes: number): Float32Array {
  const hot = new Float32Array(labels.length * classes);
  for (const [n, own] of labels.entries()) for (const label of own) hot[n * classes + label] = 1;
  return hot;
}

/** The classes of each picture one by one, [N, most, M]: rows of zeros behind the last. */
export function oneHotRows(
  labels: readonly (readonly number[])[],
  most: number,
  classes: number,
): Float32Array {
  const rows = labels.flatMap((own) => Array.from({ length: most }, (_, p) => own.slice(p, p + 1)));
  return manyHot(rows, classes);
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
