import { invalid, oneOf, onlyKeys, text, wholeNumber } from '../check.js';
import { GradcamppError } from '../errors.js';
import { backendChoices, type BackendName, type Form, forms, mapMethods } from '../map/backend.js';
import type { SessionOptions } from '../runtime/session.js';
import type { Target } from './targets.js';

/** The map methods, and guided backpropagation alone and times the Grad-CAM++ map. */
export const methods = [...mapMethods, 'guided-grad-cam++', 'guided-backprop'] as const;
export type Method = (typeof methods)[number];

export interface ExplainerOptions {
  /** A layer's tensor or node name, several to average their maps, or 'auto' (default): the sidecar's, else the last activation. */
  readonly layer?: string | readonly string[];
  /** How pictures become the input: the path of a JSON sidecar or its content. Default: `<model>.json`, else ImageNet's. */
  readonly preprocess?: string | object;
  /** The output (or any value) that holds the scores. Default: the sidecar's, else the first float output. */
  readonly output?: string;
  /** Who computes the maps; default 'auto'. */
  readonly backend?: 'auto' | BackendName;
  /** ONNX Runtime execution providers; default ['cpu']. */
  readonly executionProviders?: SessionOptions['executionProviders'];
  /** Threads of one session and of the native backend; default: ONNX Runtime's choice. */
  readonly threads?: number;
}

export interface ExplainOptions {
  /** The same targets for every picture; default { top: 1 }. */
  readonly targets?: Target | readonly Target[];
  /** Targets of each picture apart, as many entries as pictures. */
  readonly targetsPerImage?: readonly (Target | readonly Target[])[];
  /** One method (default 'grad-cam++') or several, which then share the forward and backward passes. */
  readonly method?: Method | readonly (Method | Variant)[];
  /** Grad-CAM++ only; default 'exp'. */
  readonly form?: Form;
  /** Grad-CAM++ only; default false. */
  readonly alphaNormalization?: boolean;
  /** Grad-CAM++ only; default true. */
  readonly gradientRelu?: boolean;
  /** Pictures in one pass; default 1, since batches do not pay on a CPU. */
  readonly batchSize?: number;
  /** Regions of the map are bounded where it exceeds this part of its maximum; default 0.15. */
  readonly threshold?: number;
}

/** A method with all that belongs to it. */
export interface Variant {
  readonly method: Method;
  readonly form?: Form;
  readonly alphaNormalization?: boolean;
  readonly gradientRelu?: boolean;
}

export interface Settings {
  readonly targets: Target | readonly Target[];
  readonly targetsPerImage: readonly (Target | readonly Target[])[] | undefined;
  readonly variants: readonly Required<Variant>[];
  readonly batchSize: number;
  readonly threshold: number;
}

const explainerKeys = ['layer', 'preprocess', 'output', 'backend', 'executionProviders', 'threads'] as const;
export const explainKeys = [
  'targets',
  'targetsPerImage',
  'method',
  'form',
  'alphaNormalization',
  'gradientRelu',
  'batchSize',
  'threshold',
] as const;

export function checkExplainerOptions(options: ExplainerOptions): ExplainerOptions {
  onlyKeys('Explainer.open', options, explainerKeys);
  const { layer = 'auto', output, backend, executionProviders, threads } = options;
  const layers = Array.isArray(layer) ? layer : [layer];
  if (layers.length === 0 || layers.some((name) => typeof name !== 'string' || name === ''))
    throw invalid('layer', "'auto', a name or a list of names", layer);
  if (output !== undefined) text('output', output);
  if (backend !== undefined) oneOf('backend', backend, backendChoices);
  if (executionProviders !== undefined) checkProviders(executionProviders);
  if (threads !== undefined) wholeNumber('threads', threads, 1, 1024);
  return options;
}

function checkProviders(providers: unknown): void {
  const isProvider = (item: unknown) =>
    typeof (item !== null && typeof item === 'object' && 'name' in item ? item.name : item) === 'string';
  if (!Array.isArray(providers) || providers.length === 0 || !providers.every(isProvider))
    throw invalid('executionProviders', "a list of names such as ['cuda', 'cpu']", providers);
}

const variantKeys = ['method', 'form', 'alphaNormalization', 'gradientRelu'] as const;

/** Every option of `explain`, checked, with its default. */
export function settingsOf(options: ExplainOptions): Settings {
  onlyKeys('explain', options, explainKeys);
  const threshold = options.threshold ?? 0.15;
  if (!(typeof threshold === 'number' && threshold >= 0 && threshold < 1))
    throw invalid('threshold', 'a number from 0 to below 1', threshold);
  const { targets, targetsPerImage } = options;
  if (targets !== undefined && targetsPerImage !== undefined)
    throw new GradcamppError(
      'INVALID_OPTION',
      '"targets" and "targetsPerImage" exclude each other: give one.',
    );
  if (targetsPerImage !== undefined && !Array.isArray(targetsPerImage))
    throw invalid('targetsPerImage', 'a list with one entry an image', targetsPerImage);
  return {
    targets: targets ?? { top: 1 },
    targetsPerImage,
    variants: variantsOf(options),
    batchSize: wholeNumber('batchSize', options.batchSize ?? 1, 1, 4096),
    threshold,
  };
}

function variantsOf(options: ExplainOptions): Required<Variant>[] {
  const list = Array.isArray(options.method) ? options.method : [options.method ?? 'grad-cam++'];
  if (list.length === 0) throw invalid('method', `at least one of ${methods.join(', ')}`, list);
  const { form, alphaNormalization, gradientRelu } = options;
  const common = { form, alphaNormalization, gradientRelu };
  return list.map((item: Method | Variant) =>
    item !== null && typeof item === 'object' && !Array.isArray(item)
      ? checkVariant({ ...common, ...item })
      : checkVariant({ ...common, method: item as Method }),
  );
}

function checkVariant(variant: Variant): Required<Variant> {
  onlyKeys('method', variant, variantKeys);
  const method = oneOf('method', variant.method, methods);
  if (!method.endsWith('grad-cam++'))
    for (const key of ['form', 'alphaNormalization', 'gradientRelu'] as const)
      if (variant[key] !== undefined)
        throw new GradcamppError(
          'INVALID_OPTION',
          `"${key}" changes grad-cam++ alone; received it with method ${method}. Leave it out.`,
        );
  for (const key of ['alphaNormalization', 'gradientRelu'] as const)
    if (variant[key] !== undefined && typeof variant[key] !== 'boolean')
      throw invalid(key, 'true or false', variant[key]);
  return {
    method,
    form: oneOf('form', variant.form ?? 'exp', forms),
    alphaNormalization: variant.alphaNormalization ?? false,
    gradientRelu: variant.gradientRelu ?? true,
  };
}
