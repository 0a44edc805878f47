import { existsSync, readFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { dirname, join } from 'node:path';
import { pathToFileURL } from 'node:url';
import { GradcamppError } from '../errors.js';

/** Files of onnxruntime-web, by address: its modules, and the WebAssembly that lies beside them. */
const runtimeFiles = [
  'ort.wasm.bundle.min.mjs',
  'ort-wasm-simd-threaded.mjs',
  'ort-wasm-simd-threaded.wasm',
  'ort.webgpu.bundle.min.mjs',
  'ort-wasm-simd-threaded.asyncify.mjs',
  'ort-wasm-simd-threaded.asyncify.wasm',
] as const;

export const runtimeModules = { wasm: `ort/${runtimeFiles[0]}`, webgpu: `ort/${runtimeFiles[3]}` };

/** The versions that were tested; package.json has the same range. */
const tested = /^1\.30\./;
const install = 'npm install onnxruntime-web@~1.30.0';

/**
 * Where onnxruntime-web is installed: in the project that the command runs in, else beside gradcampp.
 *
 * @param from folders in which it is looked for
 * @returns its files, by address relative to the page
 * @throws GradcamppError RUNTIME with what to install
 */
export function installedRuntime(
  from: readonly string[] = [pathToFileURL(join(process.cwd(), 'package.json')).href, import.meta.url],
): Map<string, string> {
  const folder = from.map(folderFrom).find((found) => found !== undefined);
  if (folder === undefined)
    throw new GradcamppError(
      'RUNTIME',
      `The explorer runs networks in the browser by onnxruntime-web, which is not installed: ${install}, and call the command again.`,
    );
  const { version } = JSON.parse(readFileSync(join(folder, '../package.json'), 'utf8')) as {
    version: string;
  };
  const missing = runtimeFiles.find((name) => !existsSync(join(folder, name)));
  if (!tested.test(version) || missing !== undefined)
    throw new GradcamppError(
      'RUNTIME',
      `The explorer runs networks by onnxruntime-web 1.30; installed is ${version}${missing === undefined || !tested.test(version) ? '' : `, without ${missing}`}: ${install}, and call the command again.`,
    );
  return new Map(runtimeFiles.map((name) => [`ort/${name}`, join(folder, name)]));
}

function folderFrom(url: string): string | undefined {
  try {
    return dirname(createRequire(url).resolve('onnxruntime-web'));
  } catch {
    return undefined;
  }
}
