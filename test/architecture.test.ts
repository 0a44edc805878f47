import { readdirSync, readFileSync } from 'node:fs';
import { join, relative } from 'node:path';
import { fileURLToPath } from 'node:url';
import { expect, test } from 'vitest';

const root = fileURLToPath(new URL('../src/', import.meta.url));

/** Files that every part may use. */
const base = [
  'errors',
  'decode-text',
  'sha256',
  'check',
  'options',
  'tensor',
  'memory',
  'files',
  'random-stream',
  'transfer',
  'upsample',
  'html',
  'ticks',
  'package',
  'watch',
  'dawn',
  'in-turn',
];

/** What each part of src/ may import: parts of src/ (beside the base), and packages. docs/architecture.md says why. */
const allowed: Readonly<Record<string, { parts?: readonly string[]; packages?: readonly string[] }>> = {
  errors: {},
  'decode-text': {},
  sha256: {},
  check: {},
  options: {},
  tensor: {},
  upsample: {},
  'random-stream': {},
  transfer: {},
  html: {},
  ticks: {},
  memory: {},
  files: {},
  package: {},
  watch: {},
  dawn: { packages: ['webgpu'] },
  'in-turn': {},
  observe: { packages: ['@opentelemetry/api'] },
  telemetry: {},
  onnx: { packages: ['@bufbuild/protobuf'] },
  graph: { parts: ['onnx'], packages: ['@bufbuild/protobuf'] },
  autodiff: { parts: ['graph', 'onnx'] },
  runtime: {
    parts: ['onnx', 'graph', 'telemetry'],
    packages: ['onnxruntime-node', 'onnxruntime-web', 'onnxruntime-common'],
  },
  addon: {},
  methods: { parts: ['graph'] },
  targets: { parts: ['graph'] },
  map: { parts: ['addon', 'methods'] },
  image: {
    parts: ['addon'],
    packages: ['pngjs', 'sharp', 'tinyglobby', 'valibot'],
  },
  clip: { parts: ['image'], packages: ['sharp'] },
  differentiate: { parts: ['onnx', 'graph', 'autodiff', 'runtime'] },
  explain: { parts: ['methods', 'targets', 'onnx', 'graph', 'autodiff', 'runtime', 'map', 'image', 'clip'] },
  export: { parts: ['methods', 'targets', 'onnx', 'graph', 'autodiff', 'runtime', 'map', 'explain'] },
  batch: {
    parts: ['methods', 'targets', 'explain', 'map', 'image', 'clip', 'telemetry', 'observe'],
    packages: ['hyparquet-writer'],
  },
  evaluate: {
    parts: ['methods', 'targets', 'onnx', 'graph', 'map', 'image', 'clip', 'explain', 'batch'],
    packages: ['valibot', 'hyparquet-writer', '@rgrove/parse-xml', 'yaml'],
  },
  train: {
    parts: ['methods', 'onnx', 'graph', 'autodiff', 'runtime', 'image', 'explain', 'batch', 'evaluate'],
  },
  caption: {
    parts: ['targets', 'onnx', 'graph', 'runtime', 'map', 'image', 'explain', 'batch'],
    packages: ['@huggingface/tokenizers'],
  },
  fleet: {
    parts: ['batch', 'evaluate', 'observe'],
    packages: ['@aws-sdk/client-s3', 'bullmq', 'ioredis', 'valibot'],
  },
  web: {
    parts: ['methods', 'targets', 'onnx', 'graph', 'runtime', 'map', 'image', 'explain', 'caption'],
  },
  serve: {
    parts: ['explain', 'batch', 'targets', 'observe'],
    packages: ['hono', '@hono/node-server', 'prom-client'],
  },
  explore: {
    parts: ['web', 'serve', 'batch', 'caption', 'explain', 'targets', 'methods', 'map', 'image', 'onnx'],
    packages: ['hono', 'preact', '@preact/signals', 'uplot'],
  },
  later: { parts: ['explain', 'export', 'batch'] },
  index: {
    parts: [
      'later',
      'methods',
      'targets',
      'graph',
      'differentiate',
      'explain',
      'export',
      'batch',
      'caption',
      'image',
      'clip',
      'map',
      'evaluate',
    ],
  },
  cli: {
    parts: [
      'methods',
      'targets',
      'differentiate',
      'autodiff',
      'explain',
      'export',
      'batch',
      'caption',
      'evaluate',
      'train',
      'fleet',
      'serve',
      'explore',
    ],
    packages: ['commander', '@commander-js/extra-typings'],
  },
};

const files = readdirSync(root, { recursive: true, encoding: 'utf8' }).filter(
  (file) => /\.tsx?$/.test(file) && !file.endsWith('.d.ts'),
);

/** The part of src/ that a path is in: a folder, or a file at the top; what pages load in its place is of the same part. */
const partOf = (path: string) => path.split('/')[0].replace(/(\.web)?\.(tsx?|js)$/, '');

/** What the compiler makes a module from. */
function sourceOf(path: string): string {
  const own = path.replace(/\.js$/, '.ts');
  return files.includes(`${own}x`) ? `${own}x` : own;
}

function importsOf(file: string): string[] {
  const text = readFileSync(join(root, file), 'utf8');
  const found = text.matchAll(/(?:\bfrom|\bimport\()\s*'([^']+)'/g);
  return Array.from(found, ([, name]) => name);
}

test('every part of src/ has a line in the table, and every line a part', () => {
  expect([...new Set(files.map(partOf))].sort()).toEqual(Object.keys(allowed).sort());
});

test('imports run the one way that the table allows', () => {
  const wrong: string[] = [];
  let seen = 0;
  for (const file of files) {
    const part = partOf(file);
    const { parts = [], packages = [] } = allowed[part] ?? {};
    for (const name of importsOf(file)) {
      if (name.startsWith('node:')) continue;
      seen++;
      const isOwn = name.startsWith('.');
      if (name.includes('/shaders/')) continue;
      const target = isOwn ? partOf(relative(root, join(root, file, '..', name))) : name;
      const known = isOwn
        ? [part, ...base, ...parts].includes(target)
        : packages.some((item) => name === item || name.startsWith(`${item}/`));
      if (!known) wrong.push(`${file}: ${name}`);
    }
  }
  expect(wrong).toEqual([]);
  expect(seen).toBeGreaterThan(100);
});

test('the command prints in one place, where control characters are written out', () => {
  const printing = files.filter((file) =>
    /process\.(stdout|stderr)\.write|console\./.test(readFileSync(join(root, file), 'utf8')),
  );
  expect(printing).toEqual([]); // cli/terminal.ts writes to the stream that it is given
});

test('the parts form no circle', () => {
  const visit = (part: string, above: readonly string[]): void => {
    expect(above).not.toContain(part);
    for (const next of allowed[part].parts ?? []) visit(next, [...above, part]);
  };
  for (const part of Object.keys(allowed)) visit(part, []);
});

test('files form no circle, imports of types counted', () => {
  const ways = new Map(
    files.map((file) => {
      const own = importsOf(file).filter((name) => name.startsWith('.') && name.endsWith('.js'));
      return [file, own.map((name) => sourceOf(relative(root, join(root, file, '..', name))))];
    }),
  );
  const done = new Set<string>();
  const visit = (file: string, above: readonly string[]): void => {
    expect(above).not.toContain(file);
    if (done.has(file)) return;
    for (const next of ways.get(file) ?? []) visit(next, [...above, file]);
    done.add(file);
  };
  for (const file of files) visit(file, []);
  expect(done.size).toBe(files.length);
});

test('importing the package loads no other package: what is heavy waits for its first call', () => {
  const seen = new Set<string>();
  const packages = new Set<string>();
  const visit = (file: string): void => {
    if (seen.has(file)) return;
    seen.add(file);
    const text = readFileSync(file, 'utf8');
    for (const [, name] of text.matchAll(/^\/\/ (?:.*\/)?node_modules\/(.+)$/gm)) packages.add(name); // bundled
    for (const [, name] of text.matchAll(/^(?:import|export) (?:[^'"\n]* from )?['"]([^'"]+)['"];$/gm))
      if (name.startsWith('.')) visit(join(file, '..', name));
      else if (!name.startsWith('node:')) packages.add(name);
  };
  visit(fileURLToPath(new URL('../dist/index.js', import.meta.url)));
  expect([...packages]).toEqual([]);
  expect(seen.size).toBeGreaterThan(3);
  expect(seen.size).toBeLessThan(20);
});

test('what a page loads needs nothing of Node', () => {
  const seen = new Set<string>();
  const packages = new Set<string>();
  const globals: string[] = [];
  /** Without comments, texts and what the compiler leaves out. */
  const codeOf = (file: string) =>
    readFileSync(join(root, file), 'utf8')
      .replace(/^(?:import|export) type [^;]*;/gm, '')
      .replace(/^import \{(?:\s*type \w+,?)+\s*\} from .*/gm, '')
      .replace(/\/\*[\s\S]*?\*\/|^ *\/\/.*$| \/\/ .*$/gm, '');
  const visit = (file: string): void => {
    if (seen.has(file)) return;
    seen.add(file);
    const code = codeOf(file);
    const known = code.replace(/'(?:[^'\\\n]|\\.)*'|`[^`$]*`/g, "''");
    for (const [found] of known.matchAll(/\b(?:Buffer|process|require|__dirname|setImmediate)\b(?=[.(])/g))
      globals.push(`${file}: ${found}`);
    for (const [, name] of code.matchAll(/(?:\bfrom|\bimport\(|^import)\s*'([^']+)'/gm)) {
      if (!name.startsWith('.')) packages.add(name);
      else if (name.endsWith('.js')) {
        const path = sourceOf(relative(root, join(root, file, '..', name)));
        const own = path.replace(/\.ts$/, '.web.ts');
        visit(files.includes(own) ? own : path);
      }
    }
  };
  visit('web/index.ts');
  visit('web/worker.ts');
  visit('explore/page/main.tsx');
  expect([...packages].sort()).toEqual([
    '@bufbuild/protobuf',
    '@huggingface/tokenizers',
    '@preact/signals',
    'onnxruntime-web/wasm',
    'onnxruntime-web/webgpu',
    'preact',
    'preact/hooks',
    'uplot',
    'valibot',
  ]);
  expect(globals).toEqual([]);
  expect(seen.size).toBeGreaterThan(200);
});

test('what stands in for a file in a page is used, and has one to stand in for', () => {
  const own = files.filter((file) => file.endsWith('.web.ts'));
  expect(own.map((file) => file.replace('.web.ts', '.ts')).filter((file) => !files.includes(file))).toEqual(
    [],
  );
  const mentions = files.flatMap((file) =>
    importsOf(file)
      .filter((name) => name.endsWith('.web.js'))
      .map(() => file),
  );
  expect([...new Set(mentions)].sort()).toEqual([
    'web/caption-service.ts',
    'web/page-options.ts',
    'web/provider.ts',
    'web/service.ts',
  ]); // which tell ONNX Runtime's side where it comes from
});
