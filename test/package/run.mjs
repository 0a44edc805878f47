// The package as a stranger gets it: packed, installed in an empty folder without its development tools, run there.
// Usage: node test/package/run.mjs
import assert from 'node:assert/strict';
import { execFileSync, spawnSync } from 'node:child_process';
import { cpSync, existsSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { checkBundles, checkPage, checkTypes } from './bundles.mjs';

const root = fileURLToPath(new URL('../../', import.meta.url));
const home = mkdtempSync(join(tmpdir(), 'gradcampp-package-'));
const run = (command, args, options = {}) =>
  execFileSync(command, args, { cwd: home, encoding: 'utf8', stdio: ['ignore', 'pipe', 'inherit'], ...options });

try {
  const [{ filename, files }] = JSON.parse(run('npm', ['pack', '--json', '--pack-destination', home], { cwd: root }));
  const names = files.map((file) => file.path);
  for (const name of ['dist/index.js', 'dist/index.d.ts', 'dist/cli/main.js', 'shaders/map.wgsl', 'dist/web/index.d.ts', 'dist/bundled/web/worker.js', 'LICENSE', 'README.md'])
    assert(names.includes(name), `${name} is missing from the package`);
  for (const name of names) assert(!/^(src|test|bench)\//.test(name), `${name} does not belong into the package`);

  writeFileSync(join(home, 'package.json'), JSON.stringify({
    name: 'stranger', private: true, type: 'module',
    allowScripts: { 'onnxruntime-node': false, webgpu: false, gradcampp: false },
  }));
  run('npm', ['install', '--no-audit', '--no-fund', join(home, filename)]);

  cpSync(join(root, 'assets/pictures'), join(home, 'pictures'), { recursive: true });
  cpSync(join(root, 'assets/shapes.onnx'), join(home, 'shapes.onnx'));
  cpSync(join(root, 'assets/shapes.json'), join(home, 'shapes.json'));
  const pictures = readdirSync(join(home, 'pictures')).filter((name) => name.endsWith('.png'));

  const gradcampp = (...args) => run('npx', ['--no-install', 'gradcampp', ...args]);
  assert.match(gradcampp('--help'), /gradcampp explain cat\.jpg/);
  assert.match(gradcampp('inspect', 'shapes.onnx'), /best first/);
  gradcampp('explain', 'pictures', '--model', 'shapes.onnx', '--out', 'maps', '--save', 'overlay,npy', '--quiet');
  const lines = readFileSync(join(home, 'maps/results.jsonl'), 'utf8').trim().split('\n').map((line) => JSON.parse(line));
  assert.equal(lines.length, pictures.length);
  for (const line of lines) assert(!line.error && line.target.probability > 0, JSON.stringify(line));

  const jpeg = // 24 × 16
    '/9j/4AAQSkZJRgABAQAAAQABAAD/2wBDAAYEBQYFBAYGBQYHBwYIChAKCgkJChQODwwQFxQYGBcUFhYaHSUfGhsjHBYWICwgIyYnKSopGR8tMC0oMCUoKSj/2wBDAQcHBwoIChMKChMoGhYaKCgoKCgoKCgoKCgoKCgoKCgoKCgoKCgoKCgoKCgoKCgoKCgoKCgoKCgoKCgoKCgoKCj/wAARCAAQABgDASIAAhEBAxEB/8QAGAAAAgMAAAAAAAAAAAAAAAAAAAcEBgj/xAAZEAABBQAAAAAAAAAAAAAAAAAABAYiMaH/xAAWAQEBAQAAAAAAAAAAAAAAAAAFAwf/xAApEQAAAgQPAQAAAAAAAAAAAAAAEQQFBhMBAxIWISIjMTNBYYKRotHi/9oADAMBAAIRAxEAPwBLoG3UML8gbdQwZCBt1DCQgbdQwolL2bWbx5tKTyZnpcBlE0r4qSILdA26hgGhkDbqGABRiurY/X6GroTW2UHo/9k=';
  writeFileSync(join(home, 'small.jpg'), jpeg, 'base64');
  gradcampp('explain', 'small.jpg', '--model', 'shapes.onnx', '--out', 'of-jpeg', '--quiet');
  assert(existsSync(join(home, 'of-jpeg/small.overlay.jpg')), 'JPEG is read and written');

  for (const [i, picture] of pictures.slice(0, 6).entries())
    cpSync(join(home, 'pictures', picture), join(home, 'classes', i % 2 ? 'a' : 'b', picture));
  const small = ['--width', '0.25', '--size', '16', '--batch', '2', '--epochs', '1', '--validation', '0.3'];
  gradcampp('train', '--data', 'classes', ...small, '--out', 'trained', '--quiet');
  assert(existsSync(join(home, 'trained/student.onnx')), 'a process of the package trains');

  writeFileSync(join(home, 'program.mjs'), `
    import { Explainer, GradcamppError } from 'gradcampp';
    import { differentiate } from 'gradcampp/autodiff';
    import { buildStudent } from 'gradcampp/train';
    const explainer = await Explainer.open('shapes.onnx');
    const [explanation] = await explainer.explain(['pictures/${pictures[0]}']);
    await explainer.close();
    const gradient = await differentiate('shapes.onnx', { wrt: explainer.network.image.name });
    console.log(explanation.targets[0].map.dims.length, gradient.graph.outputs.length, GradcamppError.name, buildStudent('resnet-8', { classes: 2, size: [8, 8] }).outputs[0].name);
  `);
  assert.equal(run('node', ['program.mjs']).trim(), '2 2 GradcamppError scores');

  await checkBundles(home, `./pictures/${pictures[0]}`);
  await checkPage(home);
  checkTypes(home);

  writeFileSync(join(home, 'text.onnx'), 'not a model');
  const bad = spawnSync('npx', ['--no-install', 'gradcampp', 'explain', 'pictures', '--model', 'text.onnx'], { cwd: home, encoding: 'utf8' });
  assert.equal(bad.status, 1);
  assert.match(bad.stderr, /^gradcampp: "text\.onnx" is not an ONNX model/m);
  console.log(`package test passed: ${filename}, ${names.length} files, ${pictures.length} pictures explained`);
} finally {
  rmSync(home, { recursive: true, force: true });
}
