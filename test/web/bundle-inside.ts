import { mkdtempSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { rolldown } from 'rolldown';
import { forPages } from '../../scripts/for-pages.mjs';

/** inside.mjs bundled for a page, in a folder that is the caller's to remove. */
export async function bundleInside(): Promise<string> {
  const folder = mkdtempSync(join(tmpdir(), 'gradcampp-inside-'));
  const input = fileURLToPath(new URL('inside.mjs', import.meta.url));
  const bundle = await rolldown({
    input,
    platform: 'browser',
    external: /^onnxruntime-web/,
    plugins: [forPages],
  });
  await bundle.write({ dir: folder, format: 'esm' });
  return folder;
}
