// The steps of examples/kubernetes/Dockerfile where no engine is: each image is this machine's file system, of which a layer of its own
// takes what is changed, and RUN, COPY and USER are done in it as they stand. Then every shard of a plan runs as the pods of job.yaml
// do: the image read-only, the volumes alone writable, as its user, without capabilities. The merge is what `explain` writes.
// The images' Node.js is that of this machine, put where the images have it. It takes minutes, and npm's registry: not for every change.
// Usage, as root on Linux: npm run container:fleet
import { spawnSync } from 'node:child_process';
import {
  chmodSync,
  cpSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { parse } from 'yaml';
import { digest, project } from './processes.js';

if (!process.env.IN_A_NAMESPACE) {
  const own = ['--mount', '--propagation', 'private', process.execPath, fileURLToPath(import.meta.url)];
  const { status } = spawnSync('unshare', own, {
    stdio: 'inherit',
    env: { ...process.env, IN_A_NAMESPACE: '1' },
  });
  process.exit(status ?? 1);
}

function run(command: string, args: readonly string[], env: NodeJS.ProcessEnv = process.env): string {
  const { status, stdout, stderr } = spawnSync(command, args, { encoding: 'utf8', env });
  if (status === 0) return stdout;
  throw new Error(`${command} ${args.join(' ')} ended with ${status}: ${stdout}${stderr}`);
}

const home = mkdtempSync(join(tmpdir(), 'gradcampp-container-'));
const layers = join(home, 'layers'); // not on the machine's file system, which cannot be a layer above itself
mkdirSync(layers);
run('mount', ['-t', 'tmpfs', 'tmpfs', layers]);

interface Image {
  readonly root: string;
  readonly env: Record<string, string>;
  user: string;
  workdir: string;
  entrypoint: readonly string[];
}

/** A new image with what those of Node.js have. */
function imageOf(name: string): Image {
  const [root, upper, work] = ['root', 'upper', 'work'].map((part) => join(layers, name, part));
  for (const folder of [root, upper, work]) mkdirSync(folder, { recursive: true });
  run('mount', ['-t', 'overlay', 'overlay', '-o', `lowerdir=/,upperdir=${upper},workdir=${work}`, root]);
  for (const folder of ['proc', 'dev', 'sys']) run('mount', ['--rbind', `/${folder}`, join(root, folder)]);
  run('mount', ['-t', 'tmpfs', 'tmpfs', join(root, project)]); // nothing of it may be found there
  const prefix = dirname(dirname(process.execPath));
  rmSync(join(root, 'usr/local/lib/node_modules'), { recursive: true, force: true });
  for (const part of ['bin/node', 'include/node', 'lib/node_modules/npm'])
    cpSync(join(prefix, part), join(root, 'usr/local', part), { recursive: true });
  rmSync(join(root, 'usr/local/bin/npm'), { force: true });
  symlinkSync('../lib/node_modules/npm/bin/npm-cli.js', join(root, 'usr/local/bin/npm'));
  const users = readFileSync('/etc/passwd', 'utf8')
    .split('\n')
    .filter((line) => line !== '' && line.split(':')[2] !== '1000' && !line.startsWith('node:'));
  writeFileSync(join(root, 'etc/passwd'), `${users.join('\n')}\nnode:x:1000:1000::/home/node:/bin/sh\n`);
  const PATH = '/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin';
  return { root, env: { PATH, HOME: '/root' }, user: 'root', workdir: '/', entrypoint: [] };
}

const asUser = (user: string) =>
  user === 'root' ? [] : ['setpriv', '--reuid', user, '--regid', '1000', '--clear-groups'];

/** Instructions, without comments, each on one line. */
const instructions = readFileSync(join(project, 'examples/kubernetes/Dockerfile'), 'utf8')
  .replaceAll(/^#.*\n/gm, '')
  .replaceAll(/\\\n/g, ' ')
  .split('\n')
  .filter((line) => line.trim() !== '')
  .map((line) => /^(\w+)\s+(.*)$/.exec(line)?.slice(1) as [string, string]);

const [{ filename }] = JSON.parse(run('npm', ['pack', '--json', '--pack-destination', home, project]));
/** What `docker build --build-arg` is given. */
const given: Readonly<Record<string, string>> = { PACKAGE: '/tmp/gradcampp.tgz' };
const images: Record<string, Image> = {};
let image: Image | undefined;
for (const [what, rest] of instructions) {
  console.log(`${what} ${rest}`);
  if (what === 'FROM') {
    const [from, as, name = 'last'] = rest.split(/\s+/);
    if (!/^node:\d+(-slim)?$/.test(from) || (as !== undefined && as !== 'AS'))
      throw new Error(`No stand-in for ${rest}.`);
    image = images[name] = imageOf(name);
    cpSync(join(home, filename), join(image.root, given.PACKAGE));
    continue;
  }
  if (!image) throw new Error(`${what} comes before FROM.`);
  if (what === 'ARG' || what === 'ENV') {
    const [, name, value] = /^(\w+)=?(.*)$/.exec(rest) as unknown as string[];
    image.env[name] = (what === 'ARG' ? given[name] : undefined) ?? value;
  } else if (what === 'RUN') {
    const { NODE_EXTRA_CA_CERTS, HTTPS_PROXY } = process.env; // of this machine's network
    const env = { NODE_EXTRA_CA_CERTS, HTTPS_PROXY, ...image.env };
    run('chroot', [image.root, ...asUser(image.user), 'sh', '-ec', `cd '${image.workdir}'; ${rest}`], env);
  } else if (what === 'COPY') {
    const [, from, source, target] = /^--from=(\S+) (\S+) (\S+)$/.exec(rest) as unknown as string[];
    const path = join(image.root, target);
    rmSync(path, { recursive: true, force: true });
    cpSync(join(images[from].root, source), path, { recursive: true, verbatimSymlinks: true });
  } else if (what === 'USER') image.user = rest;
  else if (what === 'WORKDIR') {
    image.workdir = rest;
    mkdirSync(join(image.root, rest), { recursive: true });
  } else if (what === 'ENTRYPOINT') image.entrypoint = JSON.parse(rest);
  else throw new Error(`What ${what} does is not known here.`);
}
const built = image as Image;

// What somebody who plans has in the volume; the plan is made with the image, as the Dockerfile says.
const data = join(home, 'data');
cpSync(join(project, 'assets/pictures'), join(data, 'photos'), { recursive: true });
for (const name of ['shapes.onnx', 'shapes.json']) cpSync(join(project, 'assets', name), join(data, name));
run('chown', ['--recursive', '1000:1000', data]);
const scratch = join(home, 'scratch');
mkdirSync(scratch);
chmodSync(scratch, 0o777);

const job = parse(readFileSync(join(project, 'examples/kubernetes/job.yaml'), 'utf8'));
const pod = job.spec.template.spec;
const [container] = pod.containers;
const volumes: Readonly<Record<string, string>> = { data, scratch };
for (const { name, mountPath } of container.volumeMounts) {
  mkdirSync(join(built.root, mountPath), { recursive: true });
  run('mount', ['--bind', volumes[name], join(built.root, mountPath)]);
}
if (!container.securityContext.readOnlyRootFilesystem)
  throw new Error('job.yaml has a root file system that is written to.');
run('mount', ['-o', 'remount,ro', built.root]);

/** Runs what a container is given, as a pod's security context has it. */
function inPod(command: readonly string[], env: Record<string, string> = {}) {
  const { runAsUser, runAsGroup } = pod.securityContext;
  const own = [
    '--reuid',
    String(runAsUser),
    '--regid',
    String(runAsGroup),
    '--clear-groups',
    '--no-new-privs',
  ];
  const drop = ['--bounding-set=-all', '--inh-caps=-all'];
  const inside = `cd '${container.workingDir}' && exec "$@"`;
  const args = [built.root, 'setpriv', ...own, ...drop, 'sh', '-c', inside, 'sh', ...command];
  return spawnSync('chroot', args, { encoding: 'utf8', env: { PATH: built.env.PATH, HOME: '/tmp', ...env } });
}
const must = ({ status, stdout, stderr }: ReturnType<typeof inPod>) => {
  if (status !== 0) throw new Error(`It ended with ${status}: ${stdout}${stderr}`);
  return stdout;
};

const refused = inPod(['sh', '-c', 'id -u; touch /usr/local/bin/x || touch /x || touch /etc/x']);
if (!/^1000\n$/.test(refused.stdout) || !/Read-only file system/.test(refused.stderr))
  throw new Error(`The pod is not as it should be: ${refused.stdout}${refused.stderr}`);
const settings = ['photos', '--model', 'shapes.onnx'];
console.log(
  must(inPod([...built.entrypoint, 'shard', 'plan', ...settings, '--size', '1', '--out', 'work'])).trim(),
);
const { shards } = JSON.parse(readFileSync(join(data, 'work/plan.json'), 'utf8'));
if (shards.length !== job.spec.completions)
  throw new Error(`job.yaml runs ${job.spec.completions} shards of ${shards.length}.`);
for (const index of shards.keys()) {
  const env = { JOB_COMPLETION_INDEX: String(index) };
  must(inPod([...built.entrypoint, ...container.args], env));
  console.log(`JOB_COMPLETION_INDEX=${index}: done`);
}
must(inPod([...built.entrypoint, 'shard', 'merge', 'work', '--out', 'merged']));
must(inPod([...built.entrypoint, 'explain', ...settings, '--out', 'one']));
if (digest(join(data, 'merged')) !== digest(join(data, 'one')))
  throw new Error('The merge is not what explain writes.');
const { backend } = JSON.parse(readFileSync(join(data, 'one/run.json'), 'utf8'));
console.log(`${shards.length} shards as pods of job.yaml, merged to what explain writes; backend ${backend}`);
run('umount', ['--recursive', layers]);
rmSync(home, { recursive: true });
