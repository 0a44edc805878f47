// What it costs to explain every frame of a video, beside what no explanation can do without: decoding it, RGB frames through a
// pipe into this runtime, and inference. Processor time of all processes, contenders by turns. Needs ffmpeg and bash.
//
//   node bench/clips.mjs [--seconds 60] [--rounds 3]
//
// The video is ffmpeg's test picture, 1280 × 720 at 25 frames a second, H.264; the network four 3-D convolutions on 16 frames of
// 112 × 112; clips follow each other without a gap.
import { execFileSync, spawn, spawnSync } from 'node:child_process';
import { existsSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import { Explainer } from '../dist/index.js';
import { saveNetwork } from './networks.mjs';
import { median } from './measure.mjs';

const here = fileURLToPath(import.meta.url);
const command = fileURLToPath(new URL('../dist/cli/main.js', import.meta.url));
const [dims, frameBytes] = [[1, 3, 16, 112, 112], 1280 * 720 * 3];

const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: { seconds: { type: 'string', default: '60' }, rounds: { type: 'string', default: '3' } },
});
if (positionals.length > 0) await floor(...positionals);
else await compare(Number(values.seconds), Number(values.rounds));

async function compare(seconds, rounds) {
  const folder = mkdtempSync(join(tmpdir(), 'gradcampp-bench-clips-'));
  try {
    const [video, model] = [join(folder, 'video.mp4'), join(folder, 'four.onnx')];
    const source = `testsrc2=size=1280x720:rate=25:duration=${seconds}`;
    execFileSync('ffmpeg', ['-v', 'error', '-f', 'lavfi', '-i', source, '-pix_fmt', 'yuv420p', video]);
    await saveNetwork('c3d-like', model);
    const sampling = ['--model', model, '--frames', 'count=16,stride=16', '--workers', '1', '--overwrite'];
    const explain = (save) => [command, 'explain', video, ...sampling, '--save', save, '--out', join(folder, save)];
    const contenders = {
      decoding: [here, 'nothing', video, model],
      'decoding and inference': [here, 'scores', video, model],
      'decoding, inference, gradients and maps': [here, 'maps', video, model],
      'explain --save npy': explain('npy'),
    };
    const names = Object.keys(contenders);
    const times = Object.fromEntries(names.map((name) => [name, []]));
    for (let round = 0; round < rounds; round++)
      for (const name of names) times[name].push(processorSeconds(contenders[name]));
    const last = `video#${Math.floor((seconds * 25) / 16) - 1}`;
    if (!existsSync(join(folder, 'npy', `${last}.npy`))) throw new Error(`there is no map of ${last}`);
    for (const name of names) {
      const ratio = median(times[name].map((own, round) => times['decoding and inference'][round] / own));
      console.log(`${name}: ${median(times[name]).toFixed(2)} s, speed ${ratio.toFixed(2)}`);
    }
  } finally {
    rmSync(folder, { recursive: true });
  }
}

/** Of Node.js and all that it starts. */
function processorSeconds(args) {
  const line = ['-c', 'TIMEFORMAT="%U %S"; time "$@" >/dev/null 2>/dev/null', 'bash', process.execPath, ...args];
  const { stderr, status } = spawnSync('bash', line, { encoding: 'utf8' });
  if (status !== 0) throw new Error(`${args.join(' ')} failed`);
  const [user, system] = stderr.trim().split(' ').map(Number);
  return user + system;
}

/** Reads every frame, and after each 16 of them does what is asked with numbers that are not theirs. */
async function floor(what, video, model) {
  const explainer = await Explainer.open(model, { threads: 1 });
  const clip = { dims, data: new Float32Array(dims.reduce((a, b) => a * b)).fill(0.3) };
  const { stdout } = spawn('ffmpeg', ['-v', 'error', '-i', video, '-pix_fmt', 'rgb24', '-f', 'rawvideo', 'pipe:1']);
  let [bytes, clips] = [0, 0];
  for await (const piece of stdout) {
    bytes += piece.length;
    if (what === 'nothing' || bytes < (clips + 1) * 16 * frameBytes) continue;
    clips++;
    if (what === 'scores') await explainer.predict(clip);
    else await explainer.explain(clip);
  }
  await explainer.close();
}
