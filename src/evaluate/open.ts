import { existsSync } from 'node:fs';
import { basename } from 'node:path';
import { GradcamppError } from '../errors.js';
import { NetworkExplainer } from '../explain/network-explainer.js';
import { clipDims, type PreparedImage as Input } from '../explain/input.js';
import { rowsOf } from '../explain/rows.js';
import { clipChannelAxis } from '../clip/assumed.js';
import type { ClipPreprocessing } from '../clip/clip.js';
import {
  type ExplainerOptions,
  settingsOf,
  type Variant as MethodVariant,
} from '../explain/explain-options.js';
import type { Target } from '../targets/index.js';
import { probabilitiesOf } from '../targets/common/probabilities.js';
import { isOfScores } from '../targets/target.js';
import { hashFile } from '../files.js';
import { modelFile } from '../graph/model-file.js';
import { linkName } from '../graph/scores.js';
import type { Pixels } from '../image/pixels.js';
import { cropToInput, type Preprocessing } from '../image/preprocess.js';
import { dependencies, version } from '../package.js';
import { sizeOf } from '../tensor.js';
import { inParts, type OnStep } from '../explain/progress.js';
import { sheetOf } from './report/frame-sheet.js';
import { explainedTargets, type RowsOfPictures } from './explained-targets.js';
import { shuffleConstants, weightGroups } from './sanity/randomize.js';
import type { Explained, ExplainedTarget, PreparedImage, Subject, Variant } from './subject.js';

/** A network under evaluation, from a model file. Variants that name a layer get an explainer of their own, once. */
export async function openSubject(model: string, options: ExplainerOptions = {}): Promise<Subject> {
  const explainer = await NetworkExplainer.open(model, options);
  const description = await describe(model, explainer);
  const { graph } = explainer.network;
  const groups = weightGroups(graph, explainer.scores.info.name);
  const sidecar = options.preprocess ?? sidecarBeside(model);
  const openRandomized = async (indexes: readonly number[], seed: number): Promise<Subject> => {
    const names = indexes.flatMap((index) => groups[index].constants);
    const bytes = modelFile(shuffleConstants(graph, names, seed)).toBytes();
    const open = (layer: ExplainerOptions['layer']): Promise<NetworkExplainer> =>
      NetworkExplainer.open(bytes, { ...options, ...(sidecar ? { preprocess: sidecar } : {}), layer });
    return subjectOf(await open(explainer.layers), { description, openLayer: open });
  };
  return {
    ...subjectOf(explainer, {
      description,
      openLayer: (layer) => NetworkExplainer.open(model, { ...options, layer }),
    }),
    randomization: { groups: groups.map((group) => group.name), open: openRandomized },
  };
}

/** The sidecar that is found beside a model, for the same model as bytes. */
function sidecarBeside(model: string): string | undefined {
  const path = model.replace(/(\.onnx)?$/i, '.json');
  return existsSync(path) ? path : undefined;
}

export interface SubjectParts {
  readonly description: Subject['description'];
  /** Opens the same model at another layer, for variants that name one. */
  readonly openLayer: (layer: string) => Promise<NetworkExplainer>;
}

/** A `Subject` over an explainer, which it closes. */
export function subjectOf(explainer: NetworkExplainer, { description, openLayer }: SubjectParts): Subject {
  const { network, scores, clips } = explainer;
  if (clips) checkSampling(clips);
  const preprocessing = explainer.preprocessing ?? clips?.frame;
  const dims = inputDims(explainer);
  const channelAxis = clips
    ? clipChannelAxis(clips.layout)
    : preprocessing?.layout === 'NHWC'
      ? dims.length - 1
      : 0;
  const channels = dims[channelAxis];
  const size = dims.filter((_, axis) => axis !== channelAxis);
  const own = (scores.info.dims ?? []).slice(1);
  const count = isOfScores(own) ? sizeOf(own as number[]) : (explainer.classes?.length ?? 0);
  const classes = Array.from({ length: count }, (_, i) => explainer.classes?.[i]?.name ?? `class ${i}`);
  const others = new Map<string, Promise<NetworkExplainer>>();
  const explainerAt = (layer: string | undefined): Promise<NetworkExplainer> | NetworkExplainer => {
    if (layer === undefined) return explainer;
    const opened = others.get(layer) ?? openLayer(layer);
    others.set(layer, opened);
    return opened;
  };

  /** A model with a fixed N gets full batches, the last one padded. */
  const rowsOfPictures: RowsOfPictures = async (tensors, images, of) => {
    const length = tensors.length / images;
    const step = network.fixedBatch ?? images;
    const rows = [];
    for (let start = 0; start < images; start += step) {
      const real = Math.min(step, images - start);
      let data = tensors.subarray(start * length, (start + real) * length);
      if (real < step) {
        const padded = new Float32Array(step * length);
        padded.set(data);
        data = padded;
      }
      const input = { type: 'float32', dims: [step, ...dims], data } as const;
      const feeds = { ...explainer.feeds.of(0, 1, 1, step), [network.image.name]: input };
      const values = await explainer.use(() => network.predict(feeds, of));
      rows.push(...rowsOf(values, step).slice(0, real));
    }
    return rows;
  };
  /** [N, M] */
  const predict = async (tensors: Float32Array, images: number): Promise<Float32Array> => {
    const rows = await rowsOfPictures(tensors, images, scores);
    const result = new Float32Array(images * count);
    for (const [i, { data }] of rows.entries()) result.set(probabilities(data), i * count);
    return result;
  };
  const probabilities = (row: Float32Array): Float32Array => {
    const found = isOfScores(own) ? probabilitiesOf(row, scores.link) : undefined;
    if (found) return found;
    throw new GradcamppError(
      'UNSUPPORTED_MODEL',
      `Evaluations compare class probabilities; "${scores.info.name}" of ${network.name} holds ${count} scores without a softmax or sigmoid.`,
    );
  };

  const explain = async (
    { image: name, tensor }: Pick<PreparedImage, 'image' | 'tensor'>,
    variants: readonly Variant[],
    targets?: readonly Target[],
    onStep?: OnStep,
  ): Promise<Explained> => {
    const part = inParts(onStep);
    const image = { type: 'float32', dims, data: tensor } as const;
    let asked = targets ?? [explainer.targetsOf(settingsOf({})) as Target];
    let explained: ExplainedTarget[] | undefined;
    const maps: Explained['maps'][number][] = variants.map(() => []);
    // Without variants the control, which runs nothing, finds the targets.
    const all = variants.length > 0 ? variants : [{ name: 'random', method: 'random' } as const];
    for (const layer of new Set(all.map((variant) => variant.layer))) {
      const own = all.filter((variant) => variant.layer === layer);
      const at = await explainerAt(layer);
      const settings = settingsOf({ method: own.map(methodOf), targets: asked });
      const prepared = await at.prepare(image, name);
      const [explanation] = await at.explainPrepared(prepared, settings, undefined, part());
      if (!explained) {
        const found = { image: prepared[0], explanation, size };
        explained = await explainedTargets(explainer, found, asked, rowsOfPictures);
        asked = [...new Set(explained.map(({ again }) => again))];
        if (explained.length === 0) break;
      }
      for (const [v, variant] of own.entries())
        if (variants.includes(variant))
          maps[variants.indexOf(variant)] = explained.map((_, t) => {
            const { data, empty } = explanation.targets[t * own.length + v].map;
            return { data, empty };
          });
    }
    return { targets: explained ?? [], maps };
  };

  return {
    classes,
    wnids: explainer.classes?.map(({ wnid }) => wnid),
    layout: { channels, positions: sizeOf(size), run: sizeOf(dims.slice(channelAxis + 1)) },
    takesClips: clips !== undefined,
    size,
    layer: layerDims(explainer, explainer.layers[0]),
    classMaps: ({ layer }) =>
      (layer === undefined ? explainer.layers : [layer]).filter(
        (name) => network.layer(name, scores).isClassMap,
      ),
    black: blackOf(preprocessing, channels),
    description,
    prepare: async (image) => preparedOf(image, (await explainer.prepare(image))[0], size, preprocessing),
    explain,
    predict,
    close: async () => {
      await explainer.close();
      for (const other of others.values()) await (await other).close();
    },
  };
}

/** Numbers and tests are by video: its clips are not independent. */
function checkSampling({ sampling: { clips = 1, stride, crops = 1 } }: ClipPreprocessing): void {
  if (clips === 1 && stride === undefined && crops === 1) return;
  const several = crops === 1 ? `clips=${clips}` : `crops=${crops}`;
  const received = stride === undefined ? several : `stride=${stride}`;
  throw new GradcamppError(
    'INVALID_OPTION',
    `Evaluations take one clip of a video and one crop of it ("frames" or --frames with clips=1, crops=1); received ${received}.`,
  );
}

function methodOf({ name: _, layer: __, ...method }: Variant): MethodVariant {
  return method;
}

function preparedOf(
  image: string,
  { tensor, picture, frames, geometry, clip }: Input,
  size: readonly number[],
  preprocessing: Preprocessing | undefined,
): PreparedImage {
  const [height, width] = size.slice(-2);
  const input = { width, height };
  if (frames && geometry && preprocessing)
    return {
      image,
      tensor,
      view: () =>
        sheetOf(
          frames.map((frame) => cropToInput(frame, preprocessing)),
          size,
        ),
      geometry: { picture: { width: frames[0].width, height: frames[0].height }, crop: geometry, input },
      ...(clip ? { clip } : {}),
    };
  if (!picture || !geometry || !preprocessing)
    return {
      image,
      tensor,
      view: () => viewOfTensor(tensor, width, height),
      geometry: { picture: input, crop: { x: 0, y: 0, ...input }, input },
    };
  return {
    image,
    tensor,
    view: () => cropToInput(picture, preprocessing),
    geometry: { picture: { width: picture.width, height: picture.height }, crop: geometry, input },
  };
}

/** A tensor without a picture: its first plane in grey, least to greatest. */
function viewOfTensor(tensor: Float32Array, width: number, height: number): Pixels {
  const plane = tensor.subarray(0, width * height);
  const low = plane.reduce((a, b) => Math.min(a, b), Infinity);
  const high = plane.reduce((a, b) => Math.max(a, b), -Infinity);
  const data = new Uint8Array(plane.length * 3);
  plane.forEach((value, i) =>
    data.fill(high > low ? ((value - low) / (high - low)) * 255 : 0, i * 3, i * 3 + 3),
  );
  return { data, width, height, channels: 3 };
}

/** Dims of the input without N, which an evaluation needs as numbers: all pictures are masked alike. */
function inputDims({ preprocessing, clips, network }: NetworkExplainer): number[] {
  if (clips) return clipDims(clips);
  if (preprocessing) {
    const channels = preprocessing.channels === 'gray' ? 1 : 3;
    return preprocessing.layout === 'NHWC'
      ? [...preprocessing.size, channels]
      : [channels, ...preprocessing.size];
  }
  const dims = network.image.dims?.slice(1) ?? [];
  if (dims.length >= 2 && dims.every((dim): dim is number => typeof dim === 'number')) return dims;
  throw new GradcamppError(
    'UNSUPPORTED_MODEL',
    `Evaluations need the input's dims; ${network.name} has [${network.image.dims?.join(', ') ?? 'unknown'}]. Describe the input in a sidecar file.`,
  );
}

function layerDims({ network, scores }: NetworkExplainer, layer: string): number[] {
  const dims = network.layer(layer, scores).dims.slice(2);
  if (dims.every((dim): dim is number => typeof dim === 'number')) return dims;
  throw new GradcamppError(
    'UNSUPPORTED_MODEL',
    `Evaluations need the layer's dims; "${layer}" has [${dims.join(', ')}]. Fix the input's dims in the model.`,
  );
}

function blackOf(preprocessing: Preprocessing | undefined, channels: number): number[] {
  return Array.from({ length: channels }, (_, c) =>
    preprocessing ? -preprocessing.mean[c] / preprocessing.std[c] : 0,
  );
}

async function describe(model: string, explainer: NetworkExplainer): Promise<Subject['description']> {
  const { preprocessing, clips, layers, scores } = explainer;
  return [
    ['model', basename(model)],
    ['SHA-256 of the model file', await hashFile(model)],
    ['layer', layers.map((layer) => `${layer} [${layerDims(explainer, layer).join(', ')}]`).join(', ')],
    ['scores', `${scores.info.name}, probabilities by ${linkName(scores.link)}`],
    ['preprocessing', JSON.stringify(preprocessing ?? clips) ?? 'none: tensors'],
    ['gradcampp', version],
    ['ONNX Runtime', dependencies['onnxruntime-node']],
  ];
}
