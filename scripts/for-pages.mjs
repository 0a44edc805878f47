// What a page loads of dist/: a plugin of the bundler.
import { existsSync, readFileSync } from 'node:fs';
import { dirname, join } from 'node:path';

/** What a page loads instead: NAME.web.js in place of NAME.js, shaders as text. */
export const forPages = {
  name: 'for-pages',
  resolveId(id, importer) {
    if (!id.startsWith('.') || !importer) return null;
    const path = join(dirname(importer), id);
    const own = path.replace(/\.js$/, '.web.js');
    if (path !== own && existsSync(own)) return own;
    return id.endsWith('.wgsl') ? path : null;
  },
  load(id) {
    return id.endsWith('.wgsl') ? `export default ${JSON.stringify(readFileSync(id, 'utf8'))};` : null;
  },
};
