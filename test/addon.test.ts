import { execFileSync } from 'node:child_process';
import { copyFileSync, cpSync, existsSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { arch, execPath, platform } from 'node:process';
import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { type Addon, addonCandidates, loadAddon } from '../src/addon.js';

const root = fileURLToPath(new URL('..', import.meta.url));
const built = join(root, 'build/Release/gradcampp.node');
const dist = join(root, 'dist');
const prebuilt = `@gradcampp/native-${platform}-${arch}`;

const addon = (interfaceVersion: number) => ({ interfaceVersion }) as Addon;
const fails = (message: string) => () => {
  throw new Error(`${message}\nRequire stack: ...`);
};

describe('loadAddon', () => {
  it('looks for the prebuilt package first, then for what was built here', () => {
    const names = addonCandidates().map(({ name }) => name);
    expect(names[0]).toBe(prebuilt);
    expect(names.at(-1)).toBe('../build/Release/gradcampp.node');
    expect(names.length).toBe(platform === 'linux' ? 3 : 2);
  });

  it('takes the first that loads', () => {
    const second = addon(4);
    const loaded = loadAddon([
      { name: 'a', load: fails('Cannot find module') },
      { name: 'b', load: () => second },
      { name: 'c', load: fails('must not be reached') },
    ]);
    expect(loaded).toBe(second);
  });

  it('leaves one of another version, and says what is wrong with each', () => {
    const loaded = loadAddon([
      { name: 'a', load: fails('invalid ELF header') },
      { name: 'b', load: () => addon(0) },
      { name: 'c', load: () => createRequire(import.meta.url)('no-such-addon') as Addon },
    ]);
    expect(loaded).toEqual({
      problems: ['a: invalid ELF header', 'b: interface 0 instead of 4; build it again', 'c: not there'],
    });
  });
});

/** The package as it lies in node_modules, with or without addons. */
describe.skipIf(!existsSync(dist))('an installed package (needs dist/: npm run build)', () => {
  let folder: string;
  let home: string;
  beforeAll(() => {
    folder = mkdtempSync(join(tmpdir(), 'gradcampp-addon-'));
    home = join(folder, 'node_modules/gradcampp');
    mkdirSync(join(home, 'native'), { recursive: true });
    cpSync(dist, join(home, 'dist'), { recursive: true });
    copyFileSync(join(root, 'native/install.mjs'), join(home, 'native/install.mjs'));
    copyFileSync(join(root, 'package.json'), join(home, 'package.json'));
  });
  afterAll(() => rmSync(folder, { recursive: true }));

  const run = (args: string[], env: NodeJS.ProcessEnv = {}) =>
    execFileSync(execPath, args, {
      cwd: folder,
      encoding: 'utf8',
      stdio: 'pipe',
      env: { ...process.env, ...env },
    });
  const installPrebuilt = () => {
    const at = join(folder, 'node_modules', prebuilt);
    mkdirSync(at, { recursive: true });
    copyFileSync(built, join(at, 'gradcampp.node'));
    writeFileSync(join(at, 'package.json'), JSON.stringify({ name: prebuilt, main: './gradcampp.node' }));
  };
  const askTwice = `
    import { openBackend } from 'gradcampp-map';
    process.on('warning', (w) => console.log(w.code, w.message));
    for (let i = 0; i < 2; i++) await (await openBackend('auto', { tryGpu: false })).close();
    await openBackend('native').then(() => console.log('native'), (e) => console.log(e.code));`;
  const ask = () => {
    const program = askTwice.replace(
      'gradcampp-map',
      new URL(`file://${join(home, 'dist/map/open-backend.js')}`).href,
    );
    return run(['--input-type=module', '--eval', program]).trim().split('\n');
  };

  it('says once that there is no addon, and refuses "native"', () => {
    const lines = ask();
    expect(lines.length).toBe(2);
    expect(
      lines.filter((line) => line.startsWith('GRADCAMPP_NO_ADDON "native" cannot run here')).length,
    ).toBe(1);
    expect(lines.find((l) => l.startsWith('GRADCAMPP'))).toMatch(
      /The slower TypeScript backend "reference" is used\.$/,
    );
    expect(lines).toContain('UNSUPPORTED_BACKEND');
  });

  it.each([
    [
      'gyp ERR! find Python \ngyp ERR! stack Error: Could not find any Python installation to use',
      'Could not find any Python installation to use',
    ],
    ['gyp ERR! stack Error: not found: make', 'not found: make'],
    [
      'make: g++: No such file or directory\ngyp ERR! stack Error: `make` failed with exit code: 2',
      'make: g++: No such file or directory',
    ],
    [
      'gyp ERR! stack Error: This is most likely not a problem with node-gyp or the package itself and\ngyp ERR! stack is related to network connectivity.',
      "Node.js's headers could not be downloaded",
    ],
    ['', 'the build failed'],
  ])('is installed without what building needs, with one line: %j', (stderr, reason) => {
    writeFileSync(
      join(folder, 'failing-gyp.cjs'),
      `console.error(${JSON.stringify(stderr)}); process.exit(1);`,
    );
    const output = run([join(home, 'native/install.mjs')], {
      GRADCAMPP_BUILD: '',
      npm_config_node_gyp: join(folder, 'failing-gyp.cjs'),
    });
    expect(output).toBe(
      `gradcampp: no native addon (${reason}); the TypeScript backend is used. ` +
        '"npm rebuild gradcampp" tries again.\n',
    );
  });

  it('is installed without node-gyp too, and without building where that is not wanted', () => {
    expect(
      run([join(home, 'native/install.mjs')], {
        GRADCAMPP_BUILD: '',
        npm_config_node_gyp: '',
        PATH: '/none',
      }),
    ).toContain('no native addon (node-gyp was not found)');
    expect(run([join(home, 'native/install.mjs')], { GRADCAMPP_BUILD: 'never' })).toContain(
      'GRADCAMPP_BUILD',
    );
  });

  it.skipIf(!existsSync(built))('takes the prebuilt addon, and builds nothing (needs build/Release)', () => {
    installPrebuilt();
    expect(
      run([join(home, 'native/install.mjs')], { npm_config_node_gyp: '/none', GRADCAMPP_BUILD: '' }),
    ).toBe('');
    expect(existsSync(join(home, 'build'))).toBe(false);
    expect(ask()).toEqual(['native']);
  });

  it.skipIf(!existsSync(built))('prefers the prebuilt addon to one built here (needs build/Release)', () => {
    installPrebuilt();
    mkdirSync(join(home, 'build/Release'), { recursive: true });
    writeFileSync(join(home, 'build/Release/gradcampp.node'), 'not an addon');
    expect(ask()).toEqual(['native']);
    rmSync(join(folder, 'node_modules', prebuilt), { recursive: true });
    expect(ask().find((line) => line.startsWith('GRADCAMPP_NO_ADDON'))).toContain(
      '../build/Release/gradcampp.node: ',
    );
  });
});
