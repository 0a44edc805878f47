import { existsSync, mkdirSync, mkdtempSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { brotliDecompressSync } from 'node:zlib';

/**
 * The software GPU that the development dependency @sparticuz/chromium carries (Linux x64 only): SwiftShader and the
 * Vulkan loader, unpacked once under node_modules/.cache. A process finds it if it *starts* with this environment,
 * because the dynamic linker reads LD_LIBRARY_PATH at the start. Undefined on other platforms.
 */
export function swiftshaderEnvironment(): { VK_DRIVER_FILES: string; LD_LIBRARY_PATH: string } | undefined {
  if (process.platform !== 'linux' || process.arch !== 'x64') return undefined;
  const folder = unpack();
  return { VK_DRIVER_FILES: join(folder, 'vk_swiftshader_icd.json'), LD_LIBRARY_PATH: folder };
}

/**
 * Vitest's global setup: workers are forked after it and inherit the environment. A machine's own GPU is used instead
 * where VK_DRIVER_FILES names its driver, or with TEST_GPU=1.
 */
export default function setup(): void {
  if (process.env.TEST_GPU === '1' || process.env.VK_DRIVER_FILES) return;
  const environment = swiftshaderEnvironment();
  if (!environment) return;
  const { LD_LIBRARY_PATH: before } = process.env;
  Object.assign(process.env, environment);
  if (before) process.env.LD_LIBRARY_PATH = `${environment.LD_LIBRARY_PATH}:${before}`;
}

function unpack(): string {
  const bin = join(packageFolder('@sparticuz/chromium'), 'bin');
  const cache = fileURLToPath(new URL('../../node_modules/.cache/gradcampp/', import.meta.url));
  const { version } = JSON.parse(readFileSync(join(bin, '../package.json'), 'utf8'));
  const folder = join(cache, `swiftshader-${version}`);
  if (existsSync(folder)) return folder;
  mkdirSync(cache, { recursive: true });
  // Another process may unpack at the same time: each works in a folder of its own, the first rename wins.
  const draft = mkdtempSync(join(cache, 'swiftshader-'));
  const archive = brotliDecompressSync(readFileSync(join(bin, 'swiftshader.tar.br')));
  for (const [name, content] of tarFiles(archive)) writeFileSync(join(draft, name), content, { mode: 0o755 });
  try {
    renameSync(draft, folder);
  } catch (error) {
    rmSync(draft, { recursive: true });
    if (!existsSync(folder)) throw error;
  }
  return folder;
}

/** The folder of an installed package, wherever in it the module lies that the name leads to. */
function packageFolder(name: string): string {
  let folder = dirname(createRequire(import.meta.url).resolve(name));
  while (!existsSync(join(folder, 'bin'))) folder = dirname(folder);
  return folder;
}

/** The regular files of a flat POSIX ustar archive: 512-byte headers, name at 0, octal size at 124, type at 156. */
function* tarFiles(archive: Buffer): Generator<[name: string, content: Buffer]> {
  for (let at = 0; at < archive.length && archive[at] !== 0; ) {
    const field = (start: number, length: number) =>
      archive.toString('latin1', at + start, at + start + length).split('\0', 1)[0];
    const size = Number.parseInt(field(124, 12), 8);
    const type = field(156, 1);
    const name = field(0, 100).replace(/^\.\//, '');
    if (type === '0' || type === '') yield [name, archive.subarray(at + 512, at + 512 + size)];
    at += 512 + Math.ceil(size / 512) * 512;
  }
}
