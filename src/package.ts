import { readFileSync } from 'node:fs';
import { GradcamppError } from './errors.js';

interface Manifest {
  readonly version: string;
  readonly dependencies: Readonly<Record<string, string>>;
}

/** What this package's own package.json says, which lies above src/ and dist/. */
export const { version, dependencies } = ownManifest();

/** Workers, shaders and assets lie beside package.json: where a bundler has taken the code from there, nothing would be found. */
function ownManifest(): Manifest {
  try {
    const manifest = JSON.parse(readFileSync(new URL('../package.json', import.meta.url), 'utf8'));
    if (manifest.name === 'gradcampp') return manifest;
  } catch {
    // said below
  }
  throw new GradcamppError(
    'INVALID_OPTION',
    'gradcampp has been bundled into another file, and does not find its workers, shaders and assets from there. Leave it outside of the bundle, as --external:gradcampp does for esbuild.',
  );
}
