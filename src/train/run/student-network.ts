import { existsSync } from 'node:fs';
import { basename } from 'node:path';
import { didYouMean, invalid } from '../../check.js';
import { GradcamppError } from '../../errors.js';
import { descendants, type Graph, type Node, valueInfo } from '../../graph/graph.js';
import { automaticLayer, namedLayer } from '../../graph/layers.js';
import { findScores } from '../../graph/scores.js';
import type { Preprocessing } from '../../image/preprocess.js';
import { readModel } from '../../onnx/read.js';
import { inferValues } from '../../runtime/infer.js';
import { prepareGraph } from '../../runtime/prepare.js';
import { buildStudent } from '../students/index.js';
import { forTraining, forUse, weightsOf } from '../training-form.js';

export interface StudentRequest {
  /** A name, or the path of an ONNX file. */
  readonly student: string;
  readonly width: number;
  readonly classes: number;
  readonly preprocessing: Preprocessing;
  /** The layer whose maps are compared; undefined: found. */
  readonly layer: string | undefined;
  readonly seed: number;
  /** The layer behind which weights are learned; undefined: all are. */
  readonly trainFrom?: string | undefined;
}

/** What is trained. */
export interface StudentNetwork {
  /** In training form. */
  readonly graph: Graph;
  readonly image: string;
  readonly scores: string;
  readonly layer: string;
  /** What is learned. */
  readonly weights: readonly string[];
  /** What the user should know: a sentence each. */
  readonly notes: readonly string[];
}

/** Whether a student is a file. */
export function isFile(student: string): boolean {
  return /\.onnx$/i.test(student) || existsSync(student);
}

/** Builds the student, or reads it. */
export async function studentNetwork(request: StudentRequest): Promise<StudentNetwork> {
  const { student, classes, preprocessing, layer, seed, width } = request;
  const channels = preprocessing.channels === 'gray' ? 1 : 3;
  const read = isFile(student)
    ? await prepareGraph(await readModel(student))
    : buildStudent(student, { classes, size: preprocessing.size, channels, width, seed });
  const isLearned = behind(read, request.trainFrom);
  const graph = isFile(student) ? forTraining(read, isLearned) : forTraining(forUse(read), isLearned);
  const known = await inferValues(forUse(graph));
  const [image, ...others] = known.inputs;
  const name = basename(student);
  if (image === undefined || others.length > 0)
    throw refusal(name, `has ${known.inputs.length} inputs, and one, the picture, is expected`);
  const scores = findScores(known).info;
  const dims = valueInfo(known, scores.name).dims;
  if (dims?.length !== 2 || dims[1] !== classes)
    throw refusal(name, `has scores of dims [${dims?.join(', ') ?? '?'}], and [N, ${classes}] is expected`);
  const made =
    preprocessing.layout === 'NCHW' ? [channels, ...preprocessing.size] : [...preprocessing.size, channels];
  const takes = image.dims?.slice(1) ?? [];
  if (takes.length !== 3 || made.some((dim, i) => typeof takes[i] === 'number' && takes[i] !== dim))
    throw refusal(name, `takes pictures of dims [${takes.join(', ')}], and they are [${made.join(', ')}]`);
  if (typeof image.dims?.[0] === 'number')
    throw refusal(name, `takes ${image.dims[0]} pictures at once; export it with a batch of any size`);
  const search = { graph: known, image: image.name, scores: scores.name };
  const hasNormalisation = known.nodes.some(({ opType }) => opType.endsWith('Normalization'));
  const notes = hasNormalisation
    ? []
    : [
        `Student "${name}" has no normalisation: exporters fold it into convolutions. It is trained without, which wants a lower --learning-rate, of about a tenth; torch.onnx.export with training=TRAINING, do_constant_folding=False and dynamo=False keeps it.`,
      ];
  const own = layer === undefined ? automaticLayer(search) : namedLayer(layer, search);
  const weights = weightsOf(graph, isLearned);
  if (weights.length === 0)
    throw refusal(
      name,
      request.trainFrom === undefined
        ? 'has no weights that are learned'
        : `has no weights behind "${request.trainFrom}"`,
    );
  return { graph, image: image.name, scores: scores.name, layer: own.name, weights, notes };
}

/** Whether a node lies behind a value; all do where none is named. */
function behind(graph: Graph, layer: string | undefined): (node: Node) => boolean {
  if (layer === undefined) return () => true;
  const names = graph.nodes.flatMap(({ outputs }) => outputs.filter(Boolean));
  if (!names.includes(layer))
    throw invalid('trainFrom', 'the name of a value of the student', layer, didYouMean(layer, names));
  const reached = descendants(graph, [layer]);
  return ({ outputs }) => !outputs.includes(layer) && outputs.some((output) => reached.has(output));
}

function refusal(name: string, what: string): GradcamppError {
  return new GradcamppError('UNSUPPORTED_MODEL', `Student "${name}" ${what}.`);
}
