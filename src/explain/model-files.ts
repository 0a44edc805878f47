import { existsSync } from 'node:fs';
import { dirname, join, resolve } from 'node:path';
import { fileURLToPath } from 'node:url';
import { checkSidecar, readLabels, readSidecar, type Sidecar } from '../image/sidecar.js';
import type { Model } from '../onnx/model.js';
import { readModel } from '../onnx/read.js';
import type { ExplainerOptions } from './explain-options.js';

/** A path, a file URL, or the bytes of an ONNX file. */
export type ModelSource = string | URL | Uint8Array;

export function readSource(source: ModelSource): Promise<Model> {
  return readModel(source);
}

/**
 * The sidecar that was named, or that lies beside the model: `<model>.json`, else Hugging Face's `preprocessor_config.json` and
 * `config.json`, beside the model or in the folder above.
 */
export async function sidecarOf(
  model: ModelSource,
  given: ExplainerOptions['preprocess'],
): Promise<Sidecar | undefined> {
  if (typeof given === 'string') return readSidecar(given);
  if (given !== undefined) return checkSidecar(given);
  if (model instanceof Uint8Array) return undefined;
  const path = model instanceof URL && model.protocol === 'file:' ? fileURLToPath(model) : model;
  if (typeof path !== 'string') return undefined;
  const beside = path.replace(/(\.onnx)?$/i, '.json');
  if (beside !== path && existsSync(beside)) return readSidecar(beside);
  const folder = [dirname(path), dirname(dirname(resolve(path)))].find((above) =>
    existsSync(join(above, 'preprocessor_config.json')),
  );
  if (folder === undefined) return undefined;
  const file = join(folder, 'preprocessor_config.json');
  const sidecar = await readSidecar(file);
  const config = join(folder, 'config.json');
  const classes = existsSync(config) ? await readLabels(config) : undefined;
  const said = `Preprocessing${classes ? ' and class names' : ''} from ${JSON.stringify(file)}.`;
  return { ...sidecar, classes, notes: [said, ...(sidecar.notes ?? [])] };
}
