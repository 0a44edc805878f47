// Builds the addon for this platform and lays it out as the optional package that src/addon.ts looks for:
//   npm run prebuild:native [-- --libc musl]    →  prebuilds/linux-x64/{package.json, gradcampp.node, LICENSE, README.md}
// One such package a platform is published with each release (.github/workflows/prebuild.yml), and the release names
// them in its optionalDependencies: npm then installs the one that fits.
import { execFileSync } from 'node:child_process';
import { copyFileSync, mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { join } from 'node:path';
import process from 'node:process';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';

const root = fileURLToPath(new URL('..', import.meta.url));
const { values } = parseArgs({ options: { libc: { type: 'string', default: 'glibc' } } });
const { platform, arch } = process;
const musl = platform === 'linux' && values.libc === 'musl';
const id = `${musl ? 'linuxmusl' : platform}-${arch}`;

// npm's own node-gyp. The C++ library goes into the addon, since older systems have an older one.
const nodeGyp = process.env.npm_config_node_gyp;
if (!nodeGyp) throw new Error('run this through npm: npm run prebuild:native');
execFileSync(process.execPath, [nodeGyp, 'rebuild'], {
  cwd: root,
  stdio: 'inherit',
  env: { ...process.env, ...(platform === 'linux' && { LDFLAGS: '-static-libstdc++ -static-libgcc' }) },
});

const { version, license, engines } = JSON.parse(readFileSync(join(root, 'package.json'), 'utf8'));
const folder = join(root, 'prebuilds', id);
rmSync(folder, { recursive: true, force: true });
mkdirSync(folder, { recursive: true });
copyFileSync(join(root, 'build/Release/gradcampp.node'), join(folder, 'gradcampp.node'));
copyFileSync(join(root, 'LICENSE'), join(folder, 'LICENSE'));
writeFileSync(
  join(folder, 'README.md'),
  `# @gradcampp/native-${id}\n\nThe compiled addon of [gradcampp](https://www.npmjs.com/package/gradcampp) for ${id}.\n`,
);
writeFileSync(
  join(folder, 'package.json'),
  `${JSON.stringify(
    {
      name: `@gradcampp/native-${id}`,
      version,
      description: `The compiled addon of gradcampp for ${id}`,
      license,
      preferUnplugged: true,
      engines,
      os: [platform],
      cpu: [arch],
      ...(platform === 'linux' && { libc: [values.libc] }),
      main: './gradcampp.node',
      exports: { '.': './gradcampp.node', './package.json': './package.json' },
      files: ['gradcampp.node'],
    },
    null,
    2,
  )}\n`,
);

const addon = createRequire(import.meta.url)(join(folder, 'gradcampp.node'));
console.log(`prebuilds/${id}: interface ${addon.interfaceVersion}, ${addon.instructionSets.join(', ')}`);
