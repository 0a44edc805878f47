import { invalid, onlyKeys } from '../check.js';
import { GradcamppError } from '../errors.js';
import type { TokenGrid } from '../graph/tokens.js';
import { defaultMaxPixels } from '../image/pixels.js';
import { type FrameSampling, samplingLimits } from '../image/frame-sampling.js';
import { backendChoices } from '../map/backend.js';
import {
  type MethodName,
  type MethodOptions,
  methodNamed,
  methodNames,
  methodOptions,
  optionsOf,
} from '../methods/index.js';
import type { PeerName } from '../methods/compat/index.js';
import type { Modifiers } from '../methods/common/modifiers.js';
import {
  asTyped,
  choice,
  count,
  number,
  type OptionsOf,
  onlyOneOf,
  option,
  readOptions,
  type Stage,
  text,
  yesOrNo,
} from '../options.js';
import { parseTarget, type Target } from '../targets/index.js';
import type { Tensor } from '../tensor.js';

export type Method = MethodName;
export const defaultMethod = 'grad-cam++' satisfies Method;

/** A value of an input beside the picture: a number, numbers, a tensor, or the path of a .npy file. */
export type InputValue = number | readonly number[] | Tensor | string;

/** What a model is opened with. */
export const explainerOptions = {
  /** A layer's tensor or node name, several to combine their maps, or 'auto' (default): the sidecar's, else the last activation. */
  layer: option(checkLayer, {
    help: 'the layer to explain; several are combined',
    otherwise: 'auto',
    flag: '--layer <name>',
    many: true,
    parse: asTyped,
  }),
  /** Where the patches of a transformer's tokens lie, {grid: [h, w], prefix, suffix}; default: found in the model. */
  tokens: option(checkTokens, {
    help: 'grid of the tokens, and how many come before (and behind) it, as 14x14+1',
    otherwise: 'found',
    flag: '--tokens <grid>',
    parse: parseTokens,
  }),
  /** How pictures become the input: the path of a JSON sidecar or its content. Default: `<model>.json`, else ImageNet's. */
  preprocess: option((value) => value as string | object, {
    help: 'JSON sidecar',
    otherwise: '<model>.json, else ImageNet preprocessing',
    flag: '--preprocess <file>',
    parse: asTyped,
  }),
  /** Of networks that take clips: which frames of a video make one, and which crops of them, {count, interval, rate, clips, stride, crops}; default: the sidecar's. */
  frames: option(checkFrames, {
    help: 'frames of a video that make a clip: how many, and interval, rate, clips or stride, and crops, as 16,interval=2,stride=16',
    otherwise: "the sidecar's, else those the network takes, spread over the video",
    flag: '--frames <sampling>',
    parse: parseFrames,
  }),
  /** The output (or any value) that holds the scores. Default: the sidecar's, else the one that looks like scores. */
  output: text({
    help: 'the output that holds the scores',
    otherwise: 'found',
    flag: '--output <name>',
    parse: asTyped,
  }),
  /** Values of the model's inputs beside the picture, by name; the same for every picture, or a row each. */
  inputs: option(checkInputs, {
    help: 'value of an input beside the picture, NAME=NUMBER or NAME=FILE.npy',
    otherwise: "the sidecar's",
    flag: '--feed <name=value>',
    many: 'repeat',
    parse: asTyped,
  }),
  /** Pictures of more pixels are refused, before memory is taken for them. Default 100 million. */
  maxPixels: count({
    from: 1,
    default: defaultMaxPixels,
    help: 'pixels that a picture may have',
    flag: '--max-pixels <n>',
  }),
  /** Who computes the maps; default 'auto'. */
  backend: choice(backendChoices, {
    help: 'auto, reference, native or webgpu',
    otherwise: 'auto',
    flag: '--backend <name>',
    parse: asTyped,
  }),
  /** ONNX Runtime execution providers; default ['cpu']. */
  executionProviders: option(checkProviders, {
    help: 'ONNX Runtime execution provider: cpu, cuda, webgpu …',
    otherwise: 'cpu',
    flag: '--provider <name>',
    many: true,
    parse: asTyped,
  }),
  /** Threads of one session and of the native backend; default: ONNX Runtime's choice, and 1 in workers. */
  threads: count({
    from: 1,
    to: 1024,
    help: 'threads of one session',
    otherwise: '1',
    flag: '--threads <n>',
  }),
} satisfies Stage;

export type ExplainerOptions = OptionsOf<typeof explainerOptions>;

/** A method with options of its own. */
export type Variant = { readonly method: Method } & MethodOptions;

/** How the maps of several layers become one. */
export const layerCombinations = ['mean', 'max', 'product'] as const;

const ownExplainOptions = {
  /** The same targets for every picture; default: what fits the output, { top: 1 } for a classifier. */
  targets: option((value) => value as Target | readonly Target[], {
    help: 'what to explain, KIND:WHAT (gradcampp explain --help lists them)',
    otherwise: 'the best class, or what fits the output',
    flag: '--target <kind:what>',
    many: 'repeat',
    parse: parseTarget,
  }),
  /** Targets of each picture apart, as many entries as pictures. */
  targetsPerImage: option(checkPerImage, { help: 'targets of each picture apart' }),
  /**
   * One method or several, which then share the forward and backward passes. 'auto' (default) is 'grad-cam++', of a line of
   * text 'grad-cam' and of its characters 'layer-cam', and where the network has no gradient a method that needs none:
   * 'recipro-cam', or 'rise' where there is no layer, or a fine one.
   */
  method: option((value) => value as 'auto' | Method | readonly ('auto' | Method | Variant)[], {
    help: `auto (${defaultMethod}, of a line of text grad-cam and of its characters layer-cam, or where there is no gradient a method that needs none), or of ${methodNames.join(', ')}`,
    otherwise: 'auto',
    flag: '--method <name>',
    many: true,
    parse: asTyped,
  }),
  /** Layers of this call, in place of those that were opened: the name of a tensor or node, or several. */
  layer: option(checkLayer, { help: 'layers of this call' }),
  /** Whether each of several layers has a map of its own, in their order within a method; default false: they are combined. */
  eachLayer: yesOrNo({ default: false, help: 'a map of each layer' }),
  /** Whether results hold what maps are made of: the layer's activations and their gradients. Default false. */
  evidence: yesOrNo({ default: false, help: 'activations and gradients beside the maps' }),
  /** How the normalised maps of several layers become one: their mean (default), maximum or product. */
  combine: choice(layerCombinations, {
    default: 'mean',
    help: 'maps of several layers: mean, max or product',
    flag: '--combine <how>',
  }),
  /** Pictures in one pass; default 1, since batches do not pay on a CPU. */
  batchSize: count({
    from: 1,
    to: 4096,
    default: 1,
    help: 'pictures in one pass',
    otherwise: '1 on the CPU, 8 elsewhere',
    flag: '--batch <n>',
  }),
  /** Regions of the map are bounded where it exceeds this part of its maximum; default 0.15. */
  threshold: number({
    from: 0,
    below: 1,
    default: 0.15,
    help: 'of the maximum, for the boxes in results.jsonl',
    flag: '--threshold <number>',
  }),
} satisfies Stage;

/** What pictures are explained with: the same for every method, and the methods' own. */
export const explainOptions = { ...ownExplainOptions, ...methodOptions };
export type ExplainOptions = OptionsOf<typeof ownExplainOptions> & MethodOptions;
export const explainKeys: readonly string[] = Object.keys(explainOptions);

/** A method and its settings, as plain data. */
export interface MethodSettings {
  readonly method: Method;
  /** The method's own. */
  readonly settings: Readonly<Record<string, unknown>>;
  readonly modifiers: Modifiers;
  /** Whether another method may take its place, where it cannot explain the network: none was named. */
  readonly isAutomatic?: boolean;
  /** Why this method took the place of the default one. */
  readonly instead?: string;
}

/** Every option of `explain`, checked, with its default. */
export interface Settings {
  /** Undefined: what fits the output. */
  readonly targets: Target | readonly Target[] | undefined;
  readonly targetsPerImage: readonly (Target | readonly Target[])[] | undefined;
  readonly variants: readonly MethodSettings[];
  /** Undefined: those that were opened. */
  readonly layer: string | readonly string[] | undefined;
  readonly eachLayer: boolean;
  readonly evidence: boolean;
  readonly combine: (typeof layerCombinations)[number];
  readonly batchSize: number;
  readonly threshold: number;
}

export function checkExplainerOptions(options: ExplainerOptions): ExplainerOptions {
  const read = readOptions('Explainer.open', explainerOptions, options);
  return Object.fromEntries(Object.entries(read).filter(([, value]) => value !== undefined));
}

export function settingsOf(options: ExplainOptions): Settings {
  onlyKeys('explain', options, explainKeys);
  onlyOneOf(options, ['targets', 'targetsPerImage']);
  const own = readOptions(
    'explain',
    ownExplainOptions,
    Object.fromEntries(Object.entries(options).filter(([key]) => key in ownExplainOptions)),
  );
  const variants = variantsOf(options);
  for (const { modifiers } of variants)
    if (own.eachLayer && (modifiers.aug || modifiers.compat !== undefined))
      throw new GradcamppError(
        'INVALID_OPTION',
        `"eachLayer" and "${modifiers.aug ? 'aug' : 'compat'}" exclude each other: explain one "layer" after the other.`,
      );
  return { ...own, variants };
}

/** Every method with its own settings. An option that none of the methods has is refused. */
function variantsOf(options: ExplainOptions): MethodSettings[] {
  const list = (Array.isArray(options.method) ? options.method : [options.method ?? 'auto']) as readonly (
    | 'auto'
    | Method
    | Variant
  )[];
  if (list.length === 0) throw invalid('method', `at least one of ${methodNames.join(', ')}`, list);
  const common = Object.fromEntries(
    Object.entries(options).filter(([key, value]) => key in methodOptions && value !== undefined),
  );
  const unused = new Set(Object.keys(common));
  const variants = list.map((item) => {
    const isVariant = item !== null && typeof item === 'object' && !Array.isArray(item);
    const { method: name, ...given } = isVariant
      ? item
      : { method: item === 'auto' ? defaultMethod : (item as Method) };
    const method = methodNamed(name);
    const own: Readonly<Record<string, unknown>> = Object.fromEntries(
      Object.entries(given).filter(([, value]) => value !== undefined),
    );
    const wanted = own.compat ?? common.compat;
    const peer = wanted === undefined ? undefined : methodOptions.compat.check(wanted, 'compat');
    const stage = optionsOf(method, peer);
    const known = Object.keys(stage);
    for (const key of known) unused.delete(key);
    for (const key of Object.keys(own))
      if (!known.includes(key) && key in methodOptions) throw changesOthers(key, [{ method: name, peer }]);
    const fitting = Object.fromEntries(Object.entries(common).filter(([key]) => known.includes(key)));
    const read = readOptions(`method ${name}`, stage, { ...fitting, ...own } as never);
    const { aug, eigen, compat, ...settings } = read as Readonly<Record<string, unknown>>;
    const modifiers: Modifiers = {
      ...(aug ? { aug: true } : {}),
      ...(eigen ? { eigen: true } : {}),
      ...(compat === undefined ? {} : { compat: compat as PeerName }),
    };
    const named = { method: method.name as Method, settings, modifiers };
    const isFree = item === 'auto' && Object.keys(fitting).every((key) => key === 'aug'); // nothing that another has not
    return isFree ? { ...named, isAutomatic: true } : named;
  });
  const [useless] = unused;
  if (useless !== undefined)
    throw changesOthers(
      useless,
      variants.map(({ method, modifiers }) => ({ method, peer: modifiers.compat })),
    );
  return variants;
}

function changesOthers(
  key: string,
  received: readonly { readonly method: string; readonly peer: PeerName | undefined }[],
): GradcamppError {
  const having = methodNames.filter((name) => key in optionsOf(methodNamed(name)));
  const theirs = received.filter(({ method, peer }) => peer !== undefined && having.includes(method));
  const names = having.length > 1 ? `${having.slice(0, -1).join(', ')} and ${having.at(-1)}` : having[0];
  const why =
    theirs.length > 0
      ? `is no option of ${theirs.map(({ method, peer }) => `${peer}'s ${method}`).join(' and ')} ("compat")`
      : `changes ${names} alone; received it with method ${received.map(({ method }) => method).join(', ')}`;
  return new GradcamppError('INVALID_OPTION', `"${key}" ${why}. Leave it out.`);
}

function checkLayer(value: unknown): string | readonly string[] {
  const layers = Array.isArray(value) ? value : [value];
  if (layers.length === 0 || layers.some((name) => typeof name !== 'string' || name === ''))
    throw invalid('layer', "'auto', a name or a list of names", value);
  return value as string | readonly string[];
}

const tokensExpected = 'a grid and the tokens before it, { grid: [14, 14], prefix: 1 } or 14x14+1';

function checkTokens(value: unknown): TokenGrid {
  const isCount = (item: unknown, least: number) => Number.isSafeInteger(item) && (item as number) >= least;
  if (value === null || typeof value !== 'object' || Array.isArray(value))
    throw invalid('tokens', tokensExpected, value);
  onlyKeys('tokens', value, ['grid', 'prefix', 'suffix']);
  const { grid, prefix = 0, suffix = 0 } = value as TokenGrid;
  const isGrid =
    Array.isArray(grid) && grid.length > 0 && grid.length < 4 && grid.every((size) => isCount(size, 1));
  if (!isGrid || !isCount(prefix, 0) || !isCount(suffix, 0)) throw invalid('tokens', tokensExpected, value);
  return { grid, prefix, suffix };
}

/** `14x14+1`; what is none stays as it was typed, for the check. */
function parseTokens(typed: string): TokenGrid | string {
  const [, sizes, prefix, suffix] =
    /^(\d+(?:[x×]\d+){0,2})(?:\+(\d+))?(?:\+(\d+))?$/.exec(typed.trim()) ?? [];
  if (sizes === undefined) return typed;
  return { grid: sizes.split(/[x×]/).map(Number), prefix: Number(prefix ?? 0), suffix: Number(suffix ?? 0) };
}

const framesExpected =
  '{ count: 16, interval: 2, rate: 25, clips: 3 } (or stride for clips) or 16,interval=2';

function checkFrames(value: unknown): FrameSampling {
  if (value === null || typeof value !== 'object' || Array.isArray(value))
    throw invalid('frames', framesExpected, value);
  onlyKeys('frames', value, Object.keys(samplingLimits));
  onlyOneOf(value, ['clips', 'stride'], 'clips are either spread over the video or slide');
  for (const [key, most] of Object.entries(samplingLimits)) {
    const own = (value as Readonly<Record<string, unknown>>)[key];
    const isFit =
      typeof own === 'number' &&
      own > 0 &&
      own <= most &&
      (key === 'rate' || Number.isInteger(own)) &&
      (key !== 'crops' || own !== 2);
    if (own !== undefined && !isFit)
      throw invalid(
        `frames.${key}`,
        ({ rate: `a number up to ${most}`, crops: '1 or 3' } as Record<string, string>)[key] ??
          `a whole number from 1 to ${most}`,
        own,
      );
  }
  return value;
}

/** `16,interval=2`; what is none stays as it was typed, for the check. */
function parseFrames(typed: string): FrameSampling | string {
  const entries = typed.split(',').map((part) => part.trim().split('='));
  if (entries.some((entry, i) => entry.length > 2 || (entry.length === 1 && i > 0))) return typed;
  return Object.fromEntries(
    entries.map((entry) => [entry.length === 1 ? 'count' : entry[0], Number(entry.at(-1))]),
  );
}

function checkPerImage(value: unknown): readonly (Target | readonly Target[])[] {
  if (Array.isArray(value)) return value;
  throw invalid('targetsPerImage', 'a list with one entry an image', value);
}

/** An object of values, or the command line's list of NAME=VALUE. */
function checkInputs(value: unknown): Readonly<Record<string, InputValue>> {
  if (Array.isArray(value)) return Object.fromEntries(value.map(parseInput));
  if (value === null || typeof value !== 'object')
    throw invalid('inputs', 'an object of values by input name', value);
  return value as Readonly<Record<string, InputValue>>;
}

function parseInput(typed: unknown): [string, InputValue] {
  const [, name, value] = /^([^=]+)=(.+)$/s.exec(String(typed)) ?? [];
  if (name === undefined) throw invalid('feed', 'NAME=NUMBER or NAME=FILE.npy', typed);
  const numbers = value.split(',').map(Number);
  if (numbers.some(Number.isNaN)) return [name, value];
  return [name, numbers.length === 1 ? numbers[0] : numbers];
}

function checkProviders(value: unknown): readonly (string | { name: string })[] {
  const isProvider = (item: unknown) =>
    typeof (item !== null && typeof item === 'object' && 'name' in item ? item.name : item) === 'string';
  if (Array.isArray(value) && value.length > 0 && value.every(isProvider)) return value;
  throw invalid('executionProviders', "a list of names such as ['cuda', 'cpu']", value);
}
