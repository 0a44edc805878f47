// Programs that import the package, bundled as README.md says, and type-checked down to the declarations of what they import.
import assert from 'node:assert/strict';
import { execFileSync, spawnSync } from 'node:child_process';
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { build } from 'esbuild';

const root = new URL('../../', import.meta.url);
const readme = readFileSync(new URL('README.md', root), 'utf8');

/** What README.md tells to leave out of a bundle. */
const external = [...readme.matchAll(/--external:([\w@/-]+)/g)].map(([, name]) => name);
const native = ['onnxruntime-node', 'sharp', 'webgpu'];

const program = (picture) => `
  import { Explainer, version } from 'gradcampp';
  import { differentiate } from 'gradcampp/autodiff';
  import picture from '${picture}';
  async function main() {
    const explainer = await Explainer.open('shapes.onnx');
    const [{ targets: [best] }] = await explainer.explain([picture]);
    const names = [];
    for await (const { explanation, error } of explainer.explainAll([picture, picture, picture], { workers: 2 }))
      names.push(error ? error.message : explanation.targets[0].target.name);
    const gradient = await differentiate('shapes.onnx', { wrt: explainer.network.image.name });
    await explainer.close();
    console.log(JSON.stringify({ version, best: best.target.name, names, outputs: gradient.graph.outputs.length }));
  }
  main();
`;

/** Bundles a program with a picture in it for Node, as ES module and as CommonJS, and runs it. */
export async function checkBundles(home, picture) {
  assert.notEqual(external.length, 0, 'README.md says what to leave outside');
  writeFileSync(join(home, 'bundled.js'), program(picture));
  const { version } = JSON.parse(readFileSync(new URL('package.json', root), 'utf8'));
  for (const format of ['esm', 'cjs']) {
    const outfile = join(home, `out/${format}.${format === 'esm' ? 'mjs' : 'cjs'}`);
    const options = {
      absWorkingDir: home, entryPoints: ['bundled.js'], outfile, bundle: true, platform: 'node', target: 'node20', format,
      loader: { '.png': 'binary', '.node': 'empty' }, logLevel: 'silent',
    };
    await build({ ...options, external });
    const { best, names, outputs, ...rest } = JSON.parse(execFileSync('node', [outfile], { cwd: home, encoding: 'utf8' }));
    assert.deepEqual({ names, outputs, ...rest }, { names: [best, best, best], outputs: 2, version });

    await build({ ...options, external: native });
    const { status, stderr } = spawnSync('node', [outfile], { cwd: home, encoding: 'utf8' });
    assert.notEqual(status, 0);
    assert.match(stderr, /GradcamppError: gradcampp has been bundled into another file.*--external:gradcampp/);
  }
}

/** Bundles a page and its worker as docs/web.md says; nothing of Node's may be left in either. */
export async function checkPage(home) {
  writeFileSync(join(home, 'page.js'), `import { Explainer } from 'gradcampp/web'; globalThis.Explainer = Explainer;`);
  const { outputFiles } = await build({
    absWorkingDir: home, entryPoints: { page: 'page.js', worker: 'gradcampp/web/worker' }, outdir: 'page', bundle: true, splitting: true,
    format: 'esm', platform: 'browser', external: ['onnxruntime-web/*'], write: false, logLevel: 'silent',
  });
  const names = outputFiles.map(({ path }) => path.split(/[\\/]/).at(-1));
  assert(names.includes('page.js') && names.includes('worker.js'), names.join(', '));
  for (const { path, text } of outputFiles) assert.doesNotMatch(text, /(?:from|import\(|require\()\s*["'](?:node:|sharp|onnxruntime-node)/, path);
}

/** Compiles a program against the declarations of every entry, these included (skipLibCheck: false). */
export function checkTypes(home) {
  const { devDependencies } = JSON.parse(readFileSync(new URL('package.json', root), 'utf8'));
  execFileSync('npm', ['install', '--no-audit', '--no-fund', `@types/node@${devDependencies['@types/node']}`], { cwd: home });
  writeFileSync(join(home, 'typed.ts'), `
    import { Explainer, type Explanation, type PictureResult } from 'gradcampp';
    import { differentiate } from 'gradcampp/autodiff';
    import { evaluate } from 'gradcampp/evaluate';
    export async function first(path: string): Promise<Explanation | undefined> {
      const explainer = await Explainer.open('shapes.onnx');
      let result: PictureResult | undefined;
      for await (result of explainer.explainAll([path])) break;
      await differentiate('shapes.onnx', { wrt: 'image' });
      await evaluate('faithfulness', { model: 'shapes.onnx', images: [path], method: ['grad-cam++'], out: 'out' });
      return result?.explanation;
    }
    // @ts-expect-error: a path is no number
    first(1);
  `);
  const tsc = fileURLToPath(new URL('node_modules/typescript/bin/tsc', root));
  const strict = ['--noEmit', '--strict', '--skipLibCheck', 'false', '--target', 'es2022', '--module', 'nodenext'];
  const { status, stdout } = spawnSync('node', [tsc, ...strict, '--types', 'node', 'typed.ts'], { cwd: home, encoding: 'utf8' });
  assert.equal(status, 0, stdout);
}
