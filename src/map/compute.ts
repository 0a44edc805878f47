import { invalid, oneOf, onlyKeys, wholeNumber } from '../check.js';
import { GradcamppError } from '../errors.js';
import { sizeOf } from '../tensor.js';
import { forms } from '../methods/grad-cam++.js';
import {
  type BackendName,
  type MapBackend,
  type MapRequest,
  type MapResult,
  type MapSettings,
  mapMethods,
  needsMoments,
} from './backend.js';

/** Eq. 19 of the paper: the exponential form, α as it is, gradients through a ReLU. */
export const defaultSettings: MapSettings = {
  method: 'grad-cam++',
  form: 'exp',
  alphaNormalization: false,
  gradientRelu: true,
};

/** A request whose settings may be left out: `defaultSettings` fills them in. */
export type MapInput = Omit<MapRequest, keyof MapSettings> & Partial<MapSettings>;

/** Something that can compute maps, or that chooses who does (`openBackend('auto')`). */
export interface BackendChoice {
  choose(request: MapRequest): Promise<{ readonly backend: MapBackend; readonly reason: string }>;
}

export interface ComputedMaps extends MapResult {
  /** Which backend computed this, and why that one. */
  readonly backend: BackendName;
  readonly reason: string;
}

/**
 * Checks and completes a request, refuses numbers that are not finite, and computes it. Everything a backend may
 * rely on is established here, once.
 *
 * @param known `isFinite`: the caller has proof that all numbers are finite, so they need not be read again
 */
export async function computeMaps(
  backend: MapBackend | BackendChoice,
  input: MapInput,
  known: { readonly isFinite?: boolean } = {},
): Promise<ComputedMaps> {
  const request = checkRequest(input);
  const chosen = 'choose' in backend ? await backend.choose(request) : { backend, reason: 'asked for' };
  if (!chosen.backend.checksFinite && !known.isFinite) {
    const bad = notFinite(request);
    if (bad) throw bad;
  }
  const { raw, maps, empty } = await chosen.backend.compute(request);
  return { raw, maps, empty, backend: chosen.backend.name, reason: chosen.reason };
}

const requestKeys = [
  'images',
  'channels',
  'layer',
  'size',
  'activations',
  'gradients',
  'moments',
  'weights',
  'method',
  'form',
  'alphaNormalization',
  'gradientRelu',
] as const satisfies readonly (keyof MapRequest)[];

/** The request with its defaults, if every length fits the dims. */
export function checkRequest(input: MapInput): MapRequest {
  onlyKeys('the map stage', input, requestKeys);
  const request = completed(input);
  oneOf('method', request.method, mapMethods);
  oneOf('form', request.form, forms);
  for (const name of ['alphaNormalization', 'gradientRelu'] as const)
    if (typeof request[name] !== 'boolean') throw invalid(name, 'true or false', request[name]);

  wholeNumber('images', request.images, 1);
  wholeNumber('channels', request.channels, 1);
  checkDims('layer', request.layer);
  checkDims('size', request.size);
  if (request.size.length !== request.layer.length)
    throw invalid('size', `as many dims as the layer has, ${request.layer.length}`, request.size);

  const elements = request.images * request.channels * sizeOf(request.layer);
  checkArray('activations', request.activations, elements);
  if (request.method === 'cam') {
    if (!Array.isArray(request.weights) || request.weights.length === 0)
      throw invalid('weights', 'one array a target for the method cam', request.weights);
    request.weights.forEach((array, target) =>
      checkArray(`weights[${target}]`, array, request.images * request.channels),
    );
    return request;
  }
  if (!Array.isArray(request.gradients) || request.gradients.length === 0)
    throw invalid('gradients', 'one array a target', request.gradients);
  request.gradients.forEach((array, target) => checkArray(`gradients[${target}]`, array, elements));
  if (needsMoments(request)) {
    if (!request.moments) throw invalid('moments', 'given for the softmax form', request.moments);
    for (const name of ['mean', 'variance', 'third'] as const)
      checkArray(`moments.${name}`, request.moments[name], elements);
  }
  return request;
}

/** The request with its defaults. Written out: copying objects would cost more than the sums of a small map. */
function completed(input: MapInput): MapRequest {
  const { method = defaultSettings.method, form = defaultSettings.form } = input;
  const { alphaNormalization = defaultSettings.alphaNormalization } = input;
  const { gradientRelu = defaultSettings.gradientRelu } = input;
  const { images, channels, layer, size, activations, gradients, moments, weights } = input;
  return {
    images,
    channels,
    layer,
    size,
    activations,
    gradients: method === 'cam' ? [] : gradients,
    moments,
    weights,
    method,
    form,
    alphaNormalization,
    gradientRelu,
  };
}

function checkDims(name: string, dims: readonly number[]): void {
  if (!Array.isArray(dims) || dims.length < 1 || dims.length > 3)
    throw invalid(name, '1 to 3 dims', dims, 'A map has one to three axes.');
  dims.forEach((dim, axis) => wholeNumber(`${name}[${axis}]`, dim, 1));
}

function checkArray(name: string, array: unknown, length: number): void {
  if (!(array instanceof Float32Array) || array.length !== length)
    throw invalid(
      name,
      `a Float32Array of ${length} elements`,
      array instanceof Float32Array ? `${array.length} elements` : array,
    );
}

/** The error that says which array of the request holds NaN or Infinity and where, or undefined. */
export function notFinite(request: MapRequest): GradcamppError | undefined {
  for (const [name, array] of arraysOf(request)) {
    if (isFinite(array)) continue;
    const index = array.findIndex((value) => !Number.isFinite(value));
    return new GradcamppError(
      'RUNTIME',
      `"${name}" must hold finite numbers; received ${array[index]} at index ${index} of ${array.length}. ` +
        'Check that the input is finite and that the model does not overflow float32 on it.',
    );
  }
  return undefined;
}

function* arraysOf(request: MapRequest): Generator<[string, Float32Array]> {
  yield ['activations', request.activations];
  for (const [target, array] of request.gradients.entries()) yield [`gradients[${target}]`, array];
  if (request.method === 'cam')
    for (const [target, array] of request.weights!.entries()) yield [`weights[${target}]`, array];
  if (needsMoments(request))
    for (const [name, array] of Object.entries(request.moments!)) yield [`moments.${name}`, array];
}

/** The float64 sum of float32 numbers cannot overflow, so it is finite exactly where all of them are. */
function isFinite(array: Float32Array): boolean {
  let s0 = 0;
  let s1 = 0;
  let s2 = 0;
  let s3 = 0;
  const end = array.length - (array.length % 4);
  for (let i = 0; i < end; i += 4) {
    s0 += array[i];
    s1 += array[i + 1];
    s2 += array[i + 2];
    s3 += array[i + 3];
  }
  for (let i = end; i < array.length; i++) s0 += array[i];
  return Number.isFinite(s0 + s1 + s2 + s3);
}
