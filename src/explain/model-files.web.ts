import { GradcamppError } from '../errors.js';
import { checkSidecar, readSidecar, type Sidecar } from '../image/sidecar.js';
import { type Model, modelFrom } from '../onnx/model.js';
import type { ExplainerOptions } from './explain-options.js';

/** In a page: the bytes of a model, and those of the files that it keeps tensors in, by the names that it gives them. */
export interface ModelBytes {
  readonly bytes: Uint8Array;
  readonly name: string;
  readonly externalData: ReadonlyMap<string, Uint8Array>;
}
export type ModelSource = ModelBytes;

/** The sidecar that is given: a page looks for none, since that would ask a server. See model-files.ts. */
export async function sidecarOf(
  _source: ModelSource,
  preprocess: ExplainerOptions['preprocess'],
): Promise<Sidecar | undefined> {
  if (typeof preprocess === 'string') return readSidecar(preprocess);
  return preprocess && checkSidecar(preprocess);
}

export function readSource({ bytes, name, externalData }: ModelSource): Promise<Model> {
  return modelFrom(bytes, name, async (location, tensor) => {
    const file = externalData.get(location) ?? externalData.get(location.replace(/^\.\//, ''));
    if (file) return file;
    throw new GradcamppError(
      'INVALID_MODEL',
      `The model keeps tensor "${tensor}" in a file "${location}": give it as "externalData", { ${JSON.stringify(location)}: a URL, a Blob or bytes }.`,
    );
  });
}
