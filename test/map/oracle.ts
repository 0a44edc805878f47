import { existsSync, readdirSync, readFileSync } from 'node:fs';
import type { MapMethod, MapRequest } from '../../src/map/backend.js';
import { defaultSettings } from '../../src/map/compute.js';

const folder = new URL('../../../shared/oracle/', import.meta.url);
const oracleMethods = ['grad-cam', 'grad-cam++', 'xgrad-cam', 'hires-cam', 'layer-cam'] as const;

export interface OracleCase {
  readonly name: string;
  /** Per method: the request, and PyTorch's float64 maps in the result's order (target by target), as float32. */
  load(): { method: MapMethod; request: MapRequest; raw: Float32Array; map: Float32Array }[];
}

/** Maps that PyTorch's autograd computed in float64 for small networks; none where the folder is missing. */
export function oracleCases(): OracleCase[] {
  if (!existsSync(folder)) return [];
  return readdirSync(folder, { withFileTypes: true })
    .filter((entry) => entry.isDirectory())
    .map(({ name }) => ({ name, load: () => loadCase(new URL(`${name}/`, folder)) }));
}

function loadCase(at: URL): ReturnType<OracleCase['load']> {
  const activations = readNpy(new URL('activations.npy', at));
  const gradients = readNpy(new URL('gradients.npy', at));
  const input = readNpy(new URL('input.npy', at));
  const [images, channels, ...layer] = activations.dims;
  const targets = gradients.dims[1];
  const request: MapRequest = {
    ...defaultSettings,
    images,
    channels,
    layer,
    size: input.dims.slice(2),
    activations: activations.data,
    gradients: byTarget(gradients.data, images, targets),
  };
  return oracleMethods.map((method) => {
    const [raw, map] = ['raw', 'map'].map((kind) => {
      const parts = byTarget(readNpy(new URL(`${method}.${kind}.npy`, at)).data, images, targets);
      return Float32Array.from(parts.flatMap((part) => [...part]));
    });
    return { method, request: { ...request, method }, raw, map };
  });
}

/** [N, targets, …] as one array [N, …] a target. */
function byTarget(data: Float32Array, images: number, targets: number): Float32Array[] {
  const part = data.length / (images * targets);
  return Array.from({ length: targets }, (_, target) => {
    const out = new Float32Array(images * part);
    for (let image = 0; image < images; image++) {
      const from = (image * targets + target) * part;
      out.set(data.subarray(from, from + part), image * part);
    }
    return out;
  });
}

/** NumPy's format 1.0, little-endian float32 in C order: all that the oracle folder holds. */
function readNpy(url: URL): { dims: number[]; data: Float32Array } {
  const bytes = readFileSync(url);
  const length = bytes.readUInt16LE(8);
  const header = bytes.toString('latin1', 10, 10 + length);
  if (!header.includes("'<f4'") || !header.includes("'fortran_order': False"))
    throw new Error(`${url.pathname}: ${header}`);
  const dims = /'shape': \(([^)]*)\)/
    .exec(header)![1]
    .split(',')
    .filter((s) => s.trim())
    .map(Number);
  return { dims, data: new Float32Array(Uint8Array.from(bytes.subarray(10 + length)).buffer) };
}
