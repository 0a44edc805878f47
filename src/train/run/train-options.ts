import { outOption, reuseOptions } from '../../batch/run-options.js';
import { asTyped, choice, choices, count, number, option, text, yesOrNo } from '../../options.js';
import { invalid } from '../../check.js';
import type { ClassWeights } from '../data/class-weights.js';
import { augmentationNames } from '../data/augmentations/index.js';
import { normalizations } from '../maps.js';
import { optimizerNames } from '../optimizers/index.js';
import { scheduleNames } from '../schedules/index.js';
import { studentNames } from '../students/index.js';

const folder = (help: string, flag: string) =>
  text({ expected: 'the path of a folder', help, flag, parse: asTyped });

const pictures = (help: string, flag: string) =>
  text({ expected: 'the path of a folder, a list, an array or shards', help, flag, parse: asTyped });

/** A term of the loss is left out at weight 0. */
const weight = (otherwise: number, help: string, flag: string) =>
  number({ from: 0, to: 1e6, default: otherwise, help, flag });

function classWeights(value: unknown, name: string): ClassWeights {
  const isList = Array.isArray(value) && value.length > 0;
  if (value === 'balanced' || (isList && value.every((one) => Number.isFinite(one) && one > 0 && one <= 1e6)))
    return value as ClassWeights;
  throw invalid(name, 'balanced, or a number above 0 for each class', value);
}

/** What every training run takes. */
export const trainOptions = {
  student: text({
    default: 'resnet-8',
    expected: `one of ${studentNames.join(', ')}, or the path of an ONNX file`,
    help: `what is trained: ${studentNames.join(', ')}, or an ONNX file`,
    flag: '--student <name>',
  }),
  width: number({
    above: 0,
    to: 64,
    default: 1,
    help: 'a factor of every number of channels of a student that is built',
    flag: '--width <factor>',
  }),
  size: count({
    from: 8,
    to: 1024,
    help: 'side of the input of a student that is built without a teacher',
    otherwise: 'that of the first picture, at most 64',
    flag: '--size <pixels>',
  }),
  data: pictures(
    'pictures and their classes: a folder with a folder for each class, a list (.csv, .tsv, .jsonl), an array (.npy), tar shards',
    '--data <path>',
  ),
  test: pictures('the same, of pictures that the result is measured on', '--test <path>'),
  classesPerPicture: choice(['one', 'several'], {
    help: 'whether pictures of a list, an array or shards have one class or several',
    otherwise: 'as the labels say',
    flag: '--classes-per-picture <one|several>',
  }),
  skipUnreadable: yesOrNo({
    default: false,
    help: 'train without pictures that cannot be read; else they are listed and nothing is trained',
    flag: '--skip-unreadable',
  }),
  classWeights: option(classWeights, {
    help: 'how much each class counts in the loss of the labels: balanced, or a number for each',
    otherwise: 'all the same',
    flag: '--class-weights <balanced|a,b,…>',
    parse: (typed) =>
      typed === 'balanced' ? typed : typed.split(',').map((item) => Number(item.trim() || Number.NaN)),
  }),
  limit: count({
    from: 1,
    help: 'pictures of each class at most, drawn at random; for a first try',
    otherwise: 'all',
    flag: '--limit <n>',
  }),
  validation: number({
    from: 0,
    below: 1,
    default: 0.1,
    help: 'share of the pictures that is kept for choosing, and never trained on',
    flag: '--validation <share>',
  }),
  epochs: count({ from: 1, default: 30, help: 'times that every picture is seen', flag: '--epochs <n>' }),
  batch: count({ from: 2, default: 64, help: 'pictures of one step', flag: '--batch <n>' }),
  optimizer: choice(optimizerNames, {
    default: 'sgd',
    help: `how weights move: ${optimizerNames.join(', ')}`,
    flag: '--optimizer <name>',
  }),
  learningRate: number({
    above: 0,
    to: 100,
    help: 'learning rate at its highest',
    otherwise: '0.1 for sgd, 0.001 for others',
    flag: '--learning-rate <rate>',
  }),
  momentum: number({ from: 0, below: 1, default: 0.9, help: 'momentum of sgd', flag: '--momentum <share>' }),
  nesterov: yesOrNo({ default: true, help: 'plain momentum, not Nesterov’s', flag: '--no-nesterov' }),
  weightDecay: number({
    from: 0,
    to: 1,
    default: 5e-4,
    help: 'decay of kernels and matrices, not of biases and normalisation',
    flag: '--weight-decay <factor>',
  }),
  clip: number({
    above: 0,
    help: 'longest gradient of a step, of all weights together',
    otherwise: 'any',
    flag: '--clip <length>',
  }),
  schedule: choice(scheduleNames, {
    default: 'cosine',
    help: `how the learning rate changes: ${scheduleNames.join(', ')}`,
    flag: '--schedule <name>',
  }),
  warmUp: number({
    from: 0,
    below: 1,
    default: 0,
    help: 'share of all steps over which the learning rate rises',
    flag: '--warm-up <share>',
  }),
  smoothing: number({
    from: 0,
    below: 1,
    default: 0,
    help: 'label smoothing of the cross entropy',
    flag: '--smoothing <share>',
  }),
  augment: choices(augmentationNames, {
    default: ['crop', 'flip'],
    many: true,
    help: `changes of pictures: ${augmentationNames.join(', ')}`,
    flag: '--augment <names>',
  }),
  views: count({
    from: 1,
    to: 1000,
    default: 4,
    help: 'augmented views of each picture where they come again: what the teacher, or what is before --train-from, says of each is kept',
    flag: '--views <n>',
  }),
  seeds: count({
    from: 1,
    to: 1000,
    default: 1,
    help: 'students that are trained, from other weights and in other orders each',
    flag: '--seeds <n>',
  }),
  masks: folder(
    'masks of the pictures of --data, named like them: white where the class may be seen',
    '--masks <dir>',
  ),
  reasons: weight(0, 'weight of the penalty on the map outside the masks', '--right-reasons <weight>'),
  trainFrom: text({
    parse: asTyped,
    help: 'a layer of a student that is a file: what is before it stays as it is',
    otherwise: 'all is trained',
    flag: '--train-from <layer>',
  }),
  method: text({ default: 'grad-cam++', help: 'the map that is compared', flag: '--method <name>' }),
  layer: text({ help: 'the student’s layer', otherwise: 'found in the network', flag: '--layer <name>' }),
  baseline: yesOrNo({
    default: true,
    help: 'do not train the same network from the labels alone beside it',
    flag: '--no-baseline',
  }),
  /** Several students on the same pictures, by name: the terms of each, over those of the run. For programs. */
  arms: option((value) => value as Readonly<Record<string, Partial<Terms>>>, {
    help: 'several students with their terms, by name',
  }),
  workers: count({
    to: 1024,
    help: 'processes that train, one student each at a time; 0 for none',
    otherwise: 'the cores',
    flag: '--workers <n>',
  }),
  loaders: count({
    to: 64,
    help: 'threads that make views of pictures while steps run, beside each student; 0 for none',
    otherwise: '1, or 0 with --workers 0',
    flag: '--loaders <n>',
  }),
  cache: text({
    expected: 'the path of a folder',
    parse: asTyped,
    help: 'where decoded pictures and what the teacher says of them are kept, for other runs too',
    otherwise: '.cache in the output folder',
    flag: '--cache <dir>',
  }),
  ...outOption('gradcampp-train'),
  ...reuseOptions,
};

/** What distilling takes beside. */
export const distillOptions = {
  teacher: text({
    expected: 'the path of an ONNX file',
    parse: asTyped,
    help: 'the trained network to learn from, with its sidecar beside it',
    flag: '--teacher <file>',
  }),
  labels: weight(1, 'weight of the cross entropy of the labels', '--labels <weight>'),
  interpret: weight(
    2,
    'weight of the explanation loss: look where the teacher looks',
    '--interpret <weight>',
  ),
  kd: weight(1, 'weight of Hinton’s distillation of the scores', '--kd <weight>'),
  temperature: number({
    above: 0,
    to: 1000,
    default: 4,
    help: 'temperature of the scores',
    flag: '--temperature <t>',
  }),
  attention: weight(0, 'weight of attention transfer', '--attention <weight>'),
  normalization: choice(normalizations, {
    default: 'l2',
    help: `how maps are made comparable: ${normalizations.join(', ')}`,
    flag: '--normalization <name>',
  }),
  form: choice(['squared', 'cosine'], {
    default: 'squared',
    help: 'the distance of maps: squared or cosine',
    flag: '--form <name>',
  }),
  teacherLayer: text({
    help: 'the teacher’s layer',
    otherwise: 'its sidecar’s, or found in the network',
    flag: '--teacher-layer <name>',
  }),
};

/** The loss of one arm. */
export interface Terms {
  readonly labels: number;
  readonly interpret: number;
  readonly kd: number;
  readonly temperature: number;
  readonly attention: number;
  /** Of the penalty on the map outside the masks. */
  readonly reasons: number;
  readonly method: string;
  readonly normalization: (typeof normalizations)[number];
  readonly form: 'squared' | 'cosine';
  /** Maps are another picture's: what they cannot teach. */
  readonly placebo?: boolean;
}
