// What `npm install` runs: nothing where a prebuilt addon fits, else a build from source where that is possible.
// Without a compiler the TypeScript backend does the work, so nothing here ever fails the installation.
// GRADCAMPP_BUILD=never leaves it out, GRADCAMPP_BUILD=always does it in any case.
import { spawnSync } from 'node:child_process';
import { readdirSync, statSync } from 'node:fs';
import { createRequire } from 'node:module';
import { join } from 'node:path';
import process from 'node:process';
import { fileURLToPath } from 'node:url';

const root = fileURLToPath(new URL('..', import.meta.url));

/** @returns {string | undefined} why there is no addon, in a few words; undefined where there is one. */
export function install(env = process.env, log = console.log) {
  if (env.GRADCAMPP_BUILD !== 'always' && (prebuiltName() || isBuilt())) return undefined;
  if (env.GRADCAMPP_BUILD === 'never') return missing('GRADCAMPP_BUILD is "never"', log);
  // npm says where its node-gyp is; other package managers put one on the path.
  const [command, ...args] = env.npm_config_node_gyp
    ? [process.execPath, env.npm_config_node_gyp]
    : [process.platform === 'win32' ? 'node-gyp.cmd' : 'node-gyp'];
  const build = spawnSync(command, [...args, 'rebuild'], {
    cwd: root,
    env,
    encoding: 'utf8',
    shell: command.endsWith('.cmd'),
    timeout: 600_000,
    windowsHide: true,
  });
  if (build.status === 0) return undefined;
  return missing(reasonOf(build), log);
}

/** The prebuilt package of this platform, if it is installed and loads. src/addon.ts looks in the same order. */
function prebuiltName() {
  const require = createRequire(import.meta.url);
  const platforms = process.platform === 'linux' ? ['linux', 'linuxmusl'] : [process.platform];
  return platforms
    .map((platform) => `@gradcampp/native-${platform}-${process.arch}`)
    .find((name) => {
      try {
        require(name);
        return true;
      } catch {
        return false;
      }
    });
}

/** Whether an addon was built from these sources before, so that a second `npm install` does not build it again. */
function isBuilt() {
  try {
    const addon = join(root, 'build/Release/gradcampp.node');
    const built = statSync(addon).mtimeMs;
    const sources = readdirSync(join(root, 'native')).map((name) => join(root, 'native', name));
    if ([join(root, 'binding.gyp'), ...sources].some((source) => statSync(source).mtimeMs > built)) return false;
    createRequire(import.meta.url)(addon);
    return true;
  } catch {
    return false;
  }
}

/** The most telling line of a failed build. */
function reasonOf({ error, stderr, signal }) {
  if (error) return error.code === 'ENOENT' ? 'node-gyp was not found' : error.message;
  if (signal) return `the build was stopped by ${signal}`;
  const lines = (stderr ?? '').split('\n').map((line) => line.trim().replace(/^gyp ERR! (stack )?/, ''));
  if (lines.some((line) => /related to network connectivity/.test(line)))
    return "Node.js's headers could not be downloaded";
  const telling =
    lines.find((line) => /: (fatal )?error: |^make: .*No such file|not found: make|Could not find any/.test(line)) ??
    lines.find((line) => line.startsWith('Error: '));
  return telling?.replace(/^Error: /, '').slice(0, 200) ?? 'the build failed';
}

function missing(reason, log) {
  log(
    `gradcampp: no native addon (${reason}); the TypeScript backend is used. "npm rebuild gradcampp" tries again.`,
  );
  return reason;
}

if (process.argv[1] === fileURLToPath(import.meta.url)) install();
