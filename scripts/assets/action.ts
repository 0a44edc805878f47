import type { Builder, Name } from '../../src/graph/builder.js';
import type { Graph } from '../../src/graph/graph.js';
import { floatConstant } from '../../src/onnx/constant.js';
import { DataType } from '../../src/onnx/types.js';
import type { Tensor } from '../../src/tensor.js';
import { crossEntropy } from '../../src/train/losses/cross-entropy.js';
import { Trainer } from '../../src/train/trainer.js';
import { weightsOf } from '../../src/train/training-form.js';
import { type Action, actions, drawClip, type DrawnClip, frameCount } from './clips.js';
import { fit, type Drawn, type Recipe } from './fit.js';
import { classifier, Layers, mean, std } from './network.js';
import { Random } from './random.js';

/** Clips are `clipSize` × `clipSize`. */
export const clipSize = 40;

/** The last convolution's output, the layer that is explained: as many steps in time as the clip has frames. */
export const lastClipActivation = 'relu4';

export interface ActionRecipe extends Recipe {
  /** Weight of the mean of the last activations in the loss: light up only where and when it helps. */
  readonly activationPenalty: number;
  /** Weight of the sum of the classifier's |weights|, which else make up for small activations. */
  readonly classifierPenalty: number;
}

interface Unit {
  readonly inputs: number;
  readonly outputs: number;
  /** Along time, height and width. */
  readonly kernel: readonly [number, number, number];
  readonly stride?: number;
  /** Where the bias of the normalisation begins; default 0. At −1 few positions light up: those that stand out. */
  readonly bias?: number;
}

/** Layers of networks of clips. */
export class ClipLayers extends Layers {
  /** Convolution, batch normalisation, ReLU; keeps every frame, and the size but for its stride. */
  unit(name: string, input: Name, { inputs, outputs, kernel, stride = 1, bias = 0 }: Unit): Name {
    const pads = kernel.map((length) => (length - 1) / 2);
    const convolved = this.op(
      'Conv',
      [input, this.weight(`conv${name}`, [outputs, inputs, ...kernel])],
      { strides: [1, stride, stride], pads: [...pads, ...pads] },
      `conv${name}`,
    );
    return this.relu(`relu${name}`, this.normalized(`norm${name}`, convolved, outputs, bias));
  }

  /** Batch normalisation, by the statistics of each batch while it is trained. */
  normalized(name: string, input: Name, channels: number, bias: number): Name {
    const filled = (what: string, value: number) => {
      this.constants.set(
        `${name}.${what}`,
        floatConstant(new Float32Array(channels).fill(value), [channels]),
      );
      return `${name}.${what}`;
    };
    const statistics = [filled('weight', 1), filled('bias', bias), filled('mean', 0), filled('variance', 1)];
    return this.op('BatchNormalization', [input, ...statistics], { training_mode: 1 }, name);
  }
}

/** What acts is small and short: the mean over a clip is of few places, and this makes up for it. */
const evidence = 16;

/** What follows each other: space is halved twice, time never. */
const units: Readonly<Record<string, Unit>> = {
  1: { inputs: 3, outputs: 24, kernel: [1, 7, 7], stride: 4 },
  2: { inputs: 24, outputs: 32, kernel: [3, 3, 3] },
  3: { inputs: 32, outputs: 32, kernel: [1, 3, 3] },
  4: { inputs: 32, outputs: 48, kernel: [3, 1, 1], bias: -1 },
};

/**
 * A small 3-D network, untrained: convolutions over space and time (R(2+1)D's and C3D's: Tran et al., arXiv 1711.11248 and
 * 1412.0767) without a stride in time, so that every frame keeps a map of its own; global average pooling, one linear layer.
 */
export function untrainedAction(seed: number): Graph {
  const b = new ClipLayers(seed);
  let x: Name = 'image';
  for (const [name, unit] of Object.entries(units)) x = b.unit(name, x, unit);
  const pooled = b.op('GlobalAveragePool', [x], {}, 'pool');
  const features = b.op('Flatten', [b.scale(pooled, evidence)], {}, 'features');
  b.op('Gemm', [features, ...b.weights('classifier', [actions.length, 48])], { transB: 1 }, 'scores');
  return b.network('action', 'scores', [actions.length], [3, frameCount, clipSize, clipSize]);
}

/** The clips of a recipe, as large as the network sees them. */
export function drawClips({ firstPicture, pictures }: Recipe): DrawnClip[] {
  return Array.from({ length: pictures }, (_, i) => drawClip(firstPicture + i, clipSize));
}

/** What an action becomes of a clip that is changed so, and the other way round; others stay what they are. */
type Swapped = readonly (readonly [Action, Action])[];
const inMirror: Swapped = [['moves left', 'moves right']];
const onItsHead: Swapped = [['moves up', 'moves down']];
const backwards: Swapped = [['approaches', 'recedes'], ...inMirror, ...onItsHead];

function swapped(action: Action, pairs: Swapped): Action {
  const pair = pairs.find((one) => one.includes(action));
  return pair?.find((other) => other !== action) ?? action;
}

/** Trains a network with the gradients of src/autodiff; the same recipe gives the same weights on one machine. */
export async function trainAction(
  untrained: Graph,
  clips: readonly DrawnClip[],
  recipe: ActionRecipe,
  report: (line: string) => void,
): Promise<Graph> {
  const loss = (b: Builder) =>
    b.op('Sum', [
      crossEntropy(b, 'scores', 'labels'),
      b.scale(b.op('ReduceMean', [lastClipActivation], { keepdims: 0 }), recipe.activationPenalty),
      b.scale(b.op('ReduceSum', [b.op('Abs', [classifier])], { keepdims: 0 }), recipe.classifierPenalty),
    ]);
  const trainer = await Trainer.open(untrained, {
    weights: weightsOf(untrained),
    inputs: [{ name: 'labels', type: DataType.FLOAT, dims: ['N', actions.length] }],
    loss,
    threads: 1,
  });
  const random = new Random(recipe.seed);
  await fit(trainer, recipe, (drawn) => batchOf(clips, drawn, random), random, report);
  return trainer.trained();
}

/** How a clip is shown. */
interface View {
  readonly isMirrored: boolean;
  readonly isOnItsHead: boolean;
  readonly isBackwards: boolean;
}

/** Clips with their actions; half of them are upside down, half run backwards. */
function batchOf(clips: readonly DrawnClip[], drawn: readonly Drawn[], random: Random) {
  const size = 3 * frameCount * clipSize * clipSize;
  const image = new Float32Array(drawn.length * size);
  const labels = new Float32Array(drawn.length * actions.length);
  for (const [n, { index, isMirrored }] of drawn.entries()) {
    const view = { isMirrored, isOnItsHead: random.next() < 0.5, isBackwards: random.next() < 0.5 };
    putClip(clips[index].frames, image.subarray(n * size, (n + 1) * size), view);
    labels[n * actions.length + actions.indexOf(actionIn(clips[index].action, view))] = 1;
  }
  const dims = [drawn.length, 3, frameCount, clipSize, clipSize];
  return {
    image: { type: 'float32', dims, data: image },
    labels: { type: 'float32', dims: [drawn.length, actions.length], data: labels },
  } satisfies Record<string, Tensor>;
}

function actionIn(action: Action, { isMirrored, isOnItsHead, isBackwards }: View): Action {
  const changes = [isMirrored && inMirror, isOnItsHead && onItsHead, isBackwards && backwards];
  return changes.reduce<Action>((seen, pairs) => (pairs ? swapped(seen, pairs) : seen), action);
}

/** A clip as the network's input, [3, T, H, W]. */
export function tensorOf({ frames }: Pick<DrawnClip, 'frames'>): Float32Array {
  const tensor = new Float32Array(3 * frameCount * clipSize * clipSize);
  putClip(frames, tensor, { isMirrored: false, isOnItsHead: false, isBackwards: false });
  return tensor;
}

/** Writes frames as the network's input [3, T, H, W]. */
function putClip(
  frames: readonly Uint8Array[],
  into: Float32Array,
  { isMirrored, isOnItsHead, isBackwards }: View,
): void {
  const last = clipSize - 1;
  const plane = clipSize * clipSize;
  for (let t = 0; t < frameCount; t++) {
    const pixels = frames[isBackwards ? frameCount - 1 - t : t];
    for (let y = 0, to = t * plane; y < clipSize; y++)
      for (let x = 0; x < clipSize; x++, to++) {
        const from = 3 * ((isOnItsHead ? last - y : y) * clipSize + (isMirrored ? last - x : x));
        for (let c = 0; c < 3; c++) into[c * frameCount * plane + to] = (pixels[from + c] / 255 - mean) / std;
      }
  }
}
