import { invalid } from '../check.js';
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

/** A model and its sidecar, where one is given: a page looks for none, since that would ask a server. See model-files.ts. */
export async function openFiles(
  { bytes, name, externalData }: ModelSource,
  preprocess: ExplainerOptions['preprocess'],
): Promise<{ readonly model: Model; readonly sidecar: Sidecar | undefined }> {
  if (!(bytes instanceof Uint8Array))
    throw invalid('model', 'a URL, a Blob or bytes', bytes, '', 'INVALID_MODEL');
  const sidecar =
    typeof preprocess === 'string'
      ? await readSidecar(preprocess)
      : preprocess && (await checkSidecar(preprocess));
  const model = await modelFrom(bytes, name, async (location, tensor) => {
    const file = externalData.get(location) ?? externalData.get(location.replace(/^\.\//, ''));
    if (file) return file;
    throw new GradcamppError(
      'INVALID_MODEL',
      `The model keeps tensor "${tensor}" in a file "${location}": give it as "externalData", { ${JSON.stringify(location)}: a URL, a Blob or bytes }.`,
    );
  });
  return { model, sidecar };
}
