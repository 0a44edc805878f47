// npm run test:native: the development build (warnings are errors) and its C++ tests, once plain and once under
// AddressSanitizer and UndefinedBehaviorSanitizer, then 10,000 random calls of both addons from Node.
import { execFileSync } from 'node:child_process';
import { createRequire } from 'node:module';
import { join } from 'node:path';
import process from 'node:process';
import { fileURLToPath } from 'node:url';

const root = fileURLToPath(new URL('../..', import.meta.url));
const require = createRequire(import.meta.url);
const cmakeJs = join(require.resolve('cmake-js/package.json'), '../bin/cmake-js');

function run(command, args, env = {}) {
  console.log(`\n$ ${[...Object.entries(env).map(([k, v]) => `${k}=${v}`), command, ...args].join(' ')}`);
  execFileSync(command, args, { cwd: root, stdio: 'inherit', env: { ...process.env, ...env } });
}

function buildAndTest(folder, ...options) {
  run(process.execPath, [cmakeJs, 'compile', '--out', folder, ...options]);
  run('ctest', ['--test-dir', folder, '--output-on-failure', '--build-config', 'Release']);
  return `${folder}/Release/gradcampp.node`;
}

const randomCalls = (addon, env) => run(process.execPath, ['native/test/random-calls.mjs', '10000', addon], env);
/** Where GCC keeps a library that must be loaded before Node's own. */
const library = (name) => execFileSync('gcc', [`-print-file-name=${name}`], { encoding: 'utf8' }).trim();

randomCalls(buildAndTest('build/cmake'));
if (process.platform === 'linux')
  randomCalls(buildAndTest('build/sanitize', '--CDSANITIZE=ON'), {
    ASAN_OPTIONS: 'detect_leaks=0', // Node itself leaves much to the end of the process
    LD_PRELOAD: `${library('libasan.so')}:${library('libubsan.so')}`,
  });
else console.log('the sanitizers are run on Linux only');
