import * as v from 'valibot';
import { didYouMean } from '../check.js';
import { GradcamppError, show } from '../errors.js';
import { besideFile, readText, whyUnreadable } from '../files.js';
import { type ClipLayout, clipLayouts, type FrameSampling, samplingLimits } from './frame-sampling.js';
import { fromPreprocessorConfig, isPreprocessorConfig } from './preprocessor-config.js';
import { channelOrders, interpolations, layouts, type Preprocessing, resizeModes } from './preprocess.js';

/** One class, in the order of the scores; `wnid` is the WordNet id of ImageNet classes. */
export interface ClassName {
  readonly name: string;
  readonly wnid?: string;
}

/** What a `<model>.json` beside a model says, checked, defaults filled in; docs/preprocessing.md. */
export interface Sidecar {
  readonly input: Preprocessing;
  /** Of a network that takes clips: where its axes lie (`input.layout` is then that of a frame), and which frames are taken. */
  readonly clips?: { readonly layout?: ClipLayout; readonly sampling?: FrameSampling };
  /** The score tensor's name; undefined: found in the model. */
  readonly output?: string;
  readonly classes?: readonly ClassName[];
  /** The layer to explain; undefined: chosen automatically. */
  readonly targetLayer?: string;
  readonly alternativeLayers: readonly string[];
  /** What the user should know of it. */
  readonly notes?: readonly string[];
  /** Values of the model's inputs beside the picture: a number, numbers, or a .npy file. */
  readonly inputs?: Readonly<Record<string, number | readonly number[] | string>>;
}

const text = v.pipe(v.string(), v.nonEmpty());
const length = v.pipe(v.number(), v.integer(), v.minValue(1), v.maxValue(65_536));
const perChannel = v.pipe(v.array(v.pipe(v.number(), v.finite())), v.minLength(1), v.maxLength(3));

const wholeTo = (most: number) =>
  v.optional(v.pipe(v.number(), v.integer(), v.minValue(1), v.maxValue(most)));
const framesSchema = v.strictObject({
  count: wholeTo(samplingLimits.count),
  interval: wholeTo(samplingLimits.interval),
  rate: v.optional(v.pipe(v.number(), v.gtValue(0), v.maxValue(samplingLimits.rate))),
  clips: wholeTo(samplingLimits.clips),
  stride: wholeTo(samplingLimits.stride),
  crops: v.optional(v.picklist([1, samplingLimits.crops])),
});

const inputSchema = v.strictObject({
  name: v.optional(text),
  layout: v.optional(v.picklist([...layouts, ...clipLayouts])),
  frames: v.optional(framesSchema),
  size: v.strictTuple([length, length]),
  resize: v.optional(length),
  resizeMode: v.optional(v.picklist(resizeModes), 'shorter-edge'),
  interpolation: v.optional(v.picklist(interpolations), 'pillow-bilinear'),
  channels: v.optional(v.picklist(channelOrders), 'RGB'),
  range: v.optional(v.picklist([1, 255]), 1),
  mean: v.optional(perChannel),
  std: v.optional(perChannel),
});
const classSchema = v.union([text, v.strictObject({ name: text, wnid: v.optional(text) })]);
const classesSchema = v.union([
  v.pipe(v.array(classSchema), v.minLength(1)),
  v.pipe(
    v.record(v.pipe(v.string(), v.regex(/^\d+$/)), text), // {"0": name}, as exporters write it
    v.check((names) => Object.keys(names).every((_, i) => String(i) in names)),
    v.transform((names) => Object.keys(names).map((_, i) => names[i])),
    v.minLength(1),
  ),
]);
const sidecarSchema = v.strictObject({
  input: inputSchema,
  output: v.optional(text),
  classes: v.optional(v.union([text, classesSchema])),
  targetLayer: v.optional(text),
  alternativeLayers: v.optional(v.array(text), []),
  inputs: v.optional(v.record(text, v.union([v.number(), v.array(v.number()), text]))),
});

/** What each key must be, in words, and every key that there is. */
const expected: Readonly<Record<string, string>> = {
  input: 'an object that holds at least "size"',
  'input.name': 'the name of the model input',
  'input.layout': `one of ${[...layouts, ...clipLayouts].join(', ')}`,
  'input.frames': 'an object of count, interval, rate, clips, stride and crops, numbers above 0',
  'input.frames.count': 'a number above 0',
  'input.frames.interval': 'a number above 0',
  'input.frames.rate': 'a number above 0',
  'input.frames.clips': 'a number above 0',
  'input.frames.stride': 'a number above 0',
  'input.frames.crops': '1 or 3',
  'input.size': '[height, width], two whole numbers from 1 to 65536',
  'input.resize': 'a whole number from 1 to 65536, the shorter edge before the crop',
  'input.resizeMode': `one of ${resizeModes.join(', ')}`,
  'input.interpolation': `one of ${interpolations.join(', ')}`,
  'input.channels': `one of ${channelOrders.join(', ')}`,
  'input.range': '1 or 255',
  'input.mean': 'an array of numbers, one a channel',
  'input.std': 'an array of positive numbers, one a channel',
  output: 'the name of the score tensor',
  classes: 'an array of names, {"0": name, …}, or the name of a JSON or text file that holds them',
  targetLayer: 'the name of a layer',
  alternativeLayers: 'an array of names of layers',
  inputs: 'an object: a number, numbers or the name of a .npy file for each input beside the picture',
};
const classKeys = ['name', 'wnid'];

/** Reads and checks a sidecar file. Any problem is one `INVALID_OPTION` sentence that names file and key. */
export async function readSidecar(path: string): Promise<Sidecar> {
  return checkSidecar(await readJson(path), path, path);
}

/**
 * The same for a value that is in memory. `source` is what messages call it; files that it names are looked for beside the
 * file `path`.
 */
export async function checkSidecar(
  value: unknown,
  source = 'preprocess',
  path = 'preprocess.json',
): Promise<Sidecar> {
  if (Array.isArray(value)) throw fault(source, `must hold an object; received ${show(value)}`);
  if (isPreprocessorConfig(value)) {
    const { preprocessing, notes } = fromPreprocessorConfig(value);
    return { input: complete(preprocessing, source), alternativeLayers: [], notes };
  }
  const result = v.safeParse(sidecarSchema, value);
  if (!result.success) throw explain(source, value, result.issues.find(isUnknownKey) ?? result.issues[0]);
  const { input, classes, inputs, ...rest } = result.output;
  const beside =
    inputs &&
    Object.fromEntries(
      Object.entries(inputs).map(([name, own]) => [
        name,
        typeof own === 'string' ? besideFile(path, own) : own,
      ]),
    );
  const { layout, frames: sampling, ...picture } = input;
  const ofClips = layout !== undefined && isClipLayout(layout) ? layout : undefined;
  if (sampling?.clips !== undefined && sampling.stride !== undefined)
    throw fault(
      source,
      'has "clips" and "stride" in "input.frames", and clips are either spread or slide: give one',
    );
  const frame = {
    ...picture,
    layout: ofClips ? frameLayout[ofClips] : ((layout ?? 'NCHW') as Preprocessing['layout']),
  };
  const sidecar = {
    ...rest,
    ...(beside ? { inputs: beside } : {}),
    ...(ofClips || sampling ? { clips: { layout: ofClips, sampling } } : {}),
    input: complete(frame, source),
  };
  if (classes === undefined) return sidecar;
  if (typeof classes !== 'string')
    return { ...sidecar, classes: (classes as (string | ClassName)[]).map(asClass) };
  return {
    ...sidecar,
    classes: await readClasses(
      besideFile(path, classes),
      ` It is named by "classes" in ${JSON.stringify(source)}.`,
    ),
  };
}

/**
 * Class names in a file: JSON (an array of names or of {name, wnid}, or {"0": name, …}), or text with a name a line. `origin`
 * ends the message where it cannot be read.
 */
export async function readClasses(path: string, origin = ''): Promise<ClassName[]> {
  if (/\.(txt|names|labels)$/i.test(path)) return namesIn(await textOf(path, origin), path);
  const value = await readJson(path, origin);
  const result = v.safeParse(classesSchema, value, { abortEarly: true });
  if (result.success) return (result.output as (string | ClassName)[]).map(asClass);
  throw fault(
    path,
    `must hold an array of names or of {name, wnid}, or {"0": name, …}; received ${show(value)}`,
  );
}

/** The class names in Hugging Face's `config.json` (`id2label`); undefined where it has none. */
export async function readLabels(path: string): Promise<ClassName[] | undefined> {
  const value = await readJson(path);
  const labels =
    value !== null && typeof value === 'object' ? (value as { id2label?: unknown }).id2label : undefined;
  const result = v.safeParse(classesSchema, labels);
  return result.success ? (result.output as (string | ClassName)[]).map(asClass) : undefined;
}

function asClass(item: string | ClassName): ClassName {
  return typeof item === 'string' ? { name: item } : item;
}

/** Where the channels of a frame lie. */
const frameLayout: Readonly<Record<ClipLayout, Preprocessing['layout']>> = {
  NCTHW: 'NCHW',
  NTCHW: 'NCHW',
  NTHWC: 'NHWC',
};

function isClipLayout(layout: string): layout is ClipLayout {
  return (clipLayouts as readonly string[]).includes(layout);
}

type Given = Omit<Preprocessing, 'mean' | 'std'> & Partial<Pick<Preprocessing, 'mean' | 'std'>>;

function complete(input: Given, source: string): Preprocessing {
  const count = input.channels === 'gray' ? 1 : 3;
  const mean = input.mean ?? Array<number>(count).fill(0);
  const std = input.std ?? Array<number>(count).fill(1);
  for (const [key, list] of Object.entries({ mean, std }))
    if (list.length !== count)
      throw fault(
        source,
        `"input.${key}" must hold ${count} numbers, one for each channel of ${input.channels}; received ${show(list)}`,
      );
  if (std.some((value) => value <= 0))
    throw fault(source, `"input.std" must be ${expected['input.std']}; received ${show(std)}`);
  return { ...input, mean, std };
}

/** A name a line; empty lines at the end do not count. */
function namesIn(text: string, path: string): ClassName[] {
  const names = text
    .trimEnd()
    .split(/\r?\n/)
    .map((line) => line.trim());
  const missing = names.indexOf('');
  if (missing >= 0) throw fault(path, `must hold a class name a line; line ${missing + 1} is empty`);
  return names.map((name) => ({ name }));
}

function textOf(path: string, origin: string): Promise<string> {
  return readText(path).catch((cause: unknown) => {
    throw fault(path, `cannot be read: ${whyUnreadable(cause)}.${origin}`);
  });
}

async function readJson(path: string, origin = ''): Promise<unknown> {
  const text = await textOf(path, origin);
  try {
    return JSON.parse(text);
  } catch (cause) {
    throw fault(path, `is not JSON: ${(cause as Error).message.replaceAll(/\s+/g, ' ')}`);
  }
}

/** A misspelt key is the better news than the missing one that it was meant to be. */
function isUnknownKey(issue: v.BaseIssue<unknown>): boolean {
  return issue.type === 'strict_object' && issue.expected === 'never';
}

/** One of valibot's complaints as a sentence: an unknown key with the closest known ones, or a bad value. */
function explain(source: string, value: unknown, issue: v.BaseIssue<unknown>): GradcamppError {
  const path = (issue.path ?? []).map((item) => String(item.key));
  if (path.length === 0) return fault(source, `must hold an object; received ${show(value)}`);
  if (isUnknownKey(issue)) {
    const siblings = knownKeys(path.slice(0, -1).join('.'));
    const near = didYouMean(path[path.length - 1], siblings) || `Known: ${siblings.join(', ')}.`;
    return fault(source, `has an unknown key "${path.join('.')}". ${near}`);
  }
  const steps = path.slice(0, path[0] === 'input' ? 2 : 1); // the whole list, not its third item
  const key = steps.join('.');
  const received = steps.reduce((part, step) => (part as Record<string, unknown>)?.[step], value);
  if (received === undefined) return fault(source, `lacks "${key}", ${expected[key]}`);
  return fault(source, `has a bad "${key}": it must be ${expected[key]}; received ${show(received)}`);
}

function knownKeys(parent: string): string[] {
  if (parent.startsWith('classes')) return classKeys;
  const prefix = parent === '' ? '' : `${parent}.`;
  return Object.keys(expected)
    .filter((key) => key.startsWith(prefix) && !key.slice(prefix.length).includes('.'))
    .map((key) => key.slice(prefix.length));
}

function fault(source: string, problem: string): GradcamppError {
  const end = problem.endsWith('.') ? '' : '.';
  return new GradcamppError('INVALID_OPTION', `${JSON.stringify(source)} ${problem}${end}`);
}
