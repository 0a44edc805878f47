import { createRequire } from 'node:module';
import { dirname, join } from 'node:path';
import { arch, platform } from 'node:process';
import { type AddonTurboJpeg, loadAddon } from '../addon.js';

/** The npm package that carries the library for Linux: an optional peer, of which nothing else is used. */
const npmPackage = '@julusian/jpeg-turbo';

/** Paths and names under which libjpeg-turbo's shared library may be: the package's, then the system's. */
export function turboJpegLibraries(): string[] {
  if (platform === 'darwin')
    return ['/opt/homebrew/lib', '/usr/local/lib', '/opt/libjpeg-turbo/lib'].map((folder) =>
      join(folder, 'libturbojpeg.0.dylib'),
    );
  if (platform !== 'linux') return [];
  return [...packaged(), 'libturbojpeg.so.0'];
}

/** Linux comes with two C libraries; the wrong one does not load. */
function packaged(): string[] {
  try {
    const folder = dirname(createRequire(import.meta.url).resolve(`${npmPackage}/package.json`));
    return ['', '-musl'].map((libc) =>
      join(folder, 'prebuilds', `jpeg-turbo-linux-${arch}${libc}`, 'libturbojpeg.so.0'),
    );
  } catch {
    return [];
  }
}

/**
 * libjpeg-turbo as machine code: the same pixels as the one in WebAssembly, in a third of the time. Undefined where there
 * is no addon to reach it with, or no such library.
 */
export function openTurboJpeg(
  libraries: readonly string[] = turboJpegLibraries(),
): AddonTurboJpeg | undefined {
  const addon = loadAddon();
  if ('problems' in addon) return undefined;
  for (const library of libraries)
    try {
      return new addon.TurboJpeg(library);
    } catch {}
  return undefined;
}
