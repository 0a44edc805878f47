// npm run build, after the compiler: the library, the command and what workers run are loaded from a few files instead of
// two hundred, which is a third of the time that a worker takes to start. They are in dist/bundled, and the files that
// package.json and the pools name only lead there.
import { copyFileSync, existsSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { dirname, join, relative, sep } from 'node:path';
import { fileURLToPath } from 'node:url';
import { rolldown } from 'rolldown';
import { forPages } from './for-pages.mjs';

const root = fileURLToPath(new URL('..', import.meta.url));
const dist = join(root, 'dist');
const bundled = join(dist, 'bundled');
const entries = {
  index: 'index.js',
  differentiate: 'differentiate.js',
  evaluate: 'evaluate/index.js',
  train: 'train/index.js',
  serve: 'serve/index.js',
  main: 'cli/main.js',
  worker: 'batch/worker.js',
  'measure-worker': 'evaluate/measure-worker.js',
  'train-worker': 'train/train-worker.js',
  'loader-worker': 'train/loader-worker.js',
};
/** Packages of many small modules; all others are loaded where they are installed. */
const packages = ['@bufbuild/protobuf', '@commander-js/extra-typings', 'commander', 'valibot'];

const asPath = (path) => path.split(sep).join('/');
/** A page has no folder of packages: all that it loads is bundled, but ONNX Runtime. */
const ofPages = [...packages, '@huggingface/tokenizers'];

/** Neither a file of ours, nor of those packages, nor a helper of the bundler's. */
const isInstalled = (id, bundledPackages = packages) =>
  !/^[./]|^[A-Z]:|^@oxc-project\//i.test(id) &&
  !bundledPackages.some((name) => id === name || id.startsWith(`${name}/`));

/** `import.meta.url` stays that of the file that the compiler wrote: what lies beside it is found from there. */
const ownUrl = {
  name: 'own-url',
  transform(code, id) {
    if (!id.startsWith(dist) || !code.includes('import.meta.url')) return null;
    const url = `new URL(${JSON.stringify(asPath(relative(bundled, id)))}, import.meta.url).href`;
    return code.replaceAll('import.meta.url', url);
  },
};

/** Licences of packages that modules are from; where one has no file of it, what its modules begin with. */
function licences(modules) {
  const headers = new Map();
  for (const id of modules) {
    const name = /.*[\\/]node_modules[\\/]((?:@[^\\/]+[\\/])?[^\\/]+)/.exec(id)?.[1];
    if (!name) continue;
    if (!headers.has(name)) headers.set(name, new Set());
    headers.get(name).add(/^(?:\/\/.*\r?\n)*/.exec(readFileSync(id, 'utf8'))[0]);
  }
  return [...headers].sort().map(([name, texts]) => {
    const folder = join(root, 'node_modules', name);
    const { version, license } = JSON.parse(readFileSync(join(folder, 'package.json'), 'utf8'));
    const file = ['LICENSE', 'LICENSE.md'].map((own) => join(folder, own)).find(existsSync);
    return `${name} ${version}: ${license}\n\n${file ? readFileSync(file, 'utf8') : [...texts].join('\n')}`;
  });
}

rmSync(bundled, { recursive: true, force: true });
const bundle = await rolldown({
  input: Object.fromEntries(Object.entries(entries).map(([name, file]) => [name, join(dist, file)])),
  platform: 'node',
  external: (id) => isInstalled(id),
  plugins: [ownUrl],
});
const { output } = await bundle.write({
  dir: bundled,
  format: 'esm',
  chunkFileNames: '[name]-[hash].js',
  // Read by every worker: what says nothing to it takes time, and one character beyond Latin-1 doubles a file's memory.
  comments: { legal: false, annotation: true, jsdoc: false }, // licences are in LICENSES.txt
  charset: 'ascii',
});
await bundle.close();

const web = await rolldown({
  input: { index: join(dist, 'web/index.js'), worker: join(dist, 'web/worker.js') },
  platform: 'browser',
  external: (id) => isInstalled(id, ofPages),
  plugins: [forPages],
});
const { output: webOutput } = await web.write({
  dir: join(bundled, 'web'),
  format: 'esm',
  chunkFileNames: '[name]-[hash].js',
  comments: { legal: false, annotation: true, jsdoc: false },
  minify: true,
});
await web.close();

// The explorer's page, whose worker lies beside it.
const page = await rolldown({
  input: { explore: join(dist, 'explore/page/main.js'), worker: join(dist, 'web/worker.js') },
  platform: 'browser',
  external: (id) => id.startsWith('onnxruntime-web'),
  plugins: [forPages],
  transform: { define: { 'process.env.NODE_ENV': '"production"' } },
});
const { output: pageOutput } = await page.write({
  dir: join(bundled, 'explore'),
  format: 'esm',
  chunkFileNames: '[name]-[hash].js',
  comments: { legal: false, annotation: true, jsdoc: false },
  minify: true,
});
await page.close();
const styles = ['assets/report/base.css', 'node_modules/uplot/dist/uPlot.min.css', 'assets/explore/explore.css'];
writeFileSync(
  join(bundled, 'explore/explore.css'),
  styles.map((name) => readFileSync(join(root, name), 'utf8')).join('\n'),
);
copyFileSync(join(root, 'assets/explore/index.html'), join(bundled, 'explore/index.html'));

const { dependencies, peerDependencies } = JSON.parse(readFileSync(join(root, 'package.json'), 'utf8'));
const known = Object.keys({ ...dependencies, ...peerDependencies });
const inNode = (id) => id.startsWith('node:') || known.some((name) => id === name || id.startsWith(`${name}/`));
for (const [folder, chunks, isThere] of [
  ['', output, inNode],
  ['web/', webOutput, (id) => id.startsWith('onnxruntime-web/')],
  ['explore/', pageOutput, (id) => id.startsWith('onnxruntime-web/')],
]) {
  const files = new Set(chunks.map(({ fileName }) => fileName));
  for (const { fileName, imports = [], dynamicImports = [] } of chunks)
    for (const id of [...imports, ...dynamicImports])
      if (!files.has(id) && !isThere(id))
        throw new Error(`dist/bundled/${folder}${fileName} imports "${id}", which nobody will have there`);
}

for (const [name, file] of Object.entries(entries)) {
  const path = join(dist, file);
  const [shebang = ''] = /^#!.*\n/.exec(readFileSync(path, 'utf8')) ?? [];
  const to = asPath(relative(dirname(path), join(bundled, `${name}.js`)));
  writeFileSync(path, `${shebang}export * from '${to.startsWith('.') ? to : `./${to}`}';\n`);
}
const modules = [...output, ...webOutput, ...pageOutput].flatMap((chunk) => Object.keys(chunk.modules ?? {}));
writeFileSync(join(bundled, 'LICENSES.txt'), licences(modules).join(`\n${'-'.repeat(80)}\n\n`));
