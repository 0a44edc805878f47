// gradcampp against TensorFlow.js: SqueezeNet with the same weights, read from the ONNX file; the gradient of a class
// score at the last convolution by tfjs' own automatic differentiation; then the Grad-CAM steps as its users write them.
//
//   npm install --prefix bench/tfjs
//   npm run build && node bench/tfjs.mjs [--only gradient,JPEG] [--pictures 20] [--backends wasm,cpu] [--images DIR] [--models DIR] [--out FILE]
//
// One process, one thread each, the same pictures by turns. Every map is compared with ours of the same method before
// its time counts: tfjs' wasm backend lacks some gradients and has others that are wrong. Its
// WebGPU backend is measured in a page, by tfjs-web.mjs.
import { createRequire } from 'node:module';
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { settingsOf } from '../dist/explain/explain-options.js';
import { drawOverlay, encodePng, Explainer } from '../dist/index.js';
import { readModel } from '../dist/onnx/read.js';
import { prepareGraph } from '../dist/runtime/prepare.js';
import { channelsLast, gradCamIn, largestDifference, plainNetwork } from './tfjs-network.mjs';
import { flags, median, processorTime, Report, round, shared, statistics, versions } from './measure.mjs';

const options = flags({ pictures: '20', backends: 'wasm,cpu', images: undefined, models: undefined, most: '1e-3' });
const model = join(shared('models', options.models), 'squeezenet1_0.onnx');
const folder = shared('images/imagenet100', options.images);
const paths = readdirSync(folder).slice(0, Number(options.pictures)).map((name) => join(folder, name));
const packages = ['@tensorflow/tfjs-core', '@tensorflow/tfjs-backend-wasm', '@tensorflow/tfjs-backend-cpu', 'jpeg-js'];

const require = createRequire(new URL('tfjs/package.json', import.meta.url));
let tf;
try {
  tf = require('@tensorflow/tfjs'); // with the gradients, which tfjs-core alone does not register
  for (const backend of options.backends.split(',')) require(`@tensorflow/tfjs-backend-${backend}`);
} catch {
  console.log('tfjs is not installed: npm install --prefix bench/tfjs');
  process.exit(0);
}
if (options.backends.includes('wasm')) require('@tensorflow/tfjs-backend-wasm').setThreadsCount(1);

const network = plainNetwork(await prepareGraph(await readModel(model)));

/** Class and Grad-CAM of one picture: `read` makes its tensor [1, H, W, C]. */
function explainer(layer) {
  const explain = gradCamIn(tf, network, layer);
  return async (read) => (await explain(read))[0];
}

// --- comparing -------------------------------------------------------------------------------------------------------------

const settings = settingsOf({ method: 'grad-cam' });

/** tfjs' backend in plain JavaScript takes seconds a picture. */
const fewPictures = 3;

/**
 * Times contenders on the same pictures by turns. Each gives {class, data}: in `share` of the pictures its class must be
 * that of the first contender, and always its map.
 */
async function timed(contenders, inputs, tolerance, share = 1) {
  const times = Object.fromEntries(Object.keys(contenders).map((name) => [name, []]));
  const wrong = {};
  const others = Object.fromEntries(Object.keys(contenders).map((name) => [name, 0]));
  const used = Object.fromEntries(Object.keys(contenders).map((name) => [name, []]));
  for (let i = -1; i < inputs.length; i++) {
    const input = inputs[Math.max(i, 0)];
    let expected;
    for (const [name, call] of Object.entries(contenders)) {
      if (wrong[name] || (name === 'tfjs cpu' && i >= fewPictures)) continue;
      let result;
      const start = performance.now();
      const before = processorTime();
      try {
        result = await call(input);
      } catch (error) {
        wrong[name] = error.message.split('\n')[0];
        continue;
      }
      const [time, processor] = [performance.now() - start, processorTime() - before];
      expected ??= result;
      const difference = largestDifference(result.data, expected.data);
      if (!(difference <= tolerance)) wrong[name] = `its map differs by ${difference.toFixed(4)}`;
      if (i < 0) continue;
      times[name].push(time);
      used[name].push(processor);
      if (result.class !== expected.class) others[name]++;
    }
  }
  for (const [name, count] of Object.entries(others))
    if (count > (1 - share) * inputs.length) wrong[name] ??= `another class for ${count} of ${inputs.length} pictures`;
  return { times, used, wrong, others };
}

function rowsOf({ times, used, wrong, others }, more) {
  const [ours] = Object.keys(times);
  return Object.entries(times).map(([name, list]) =>
    wrong[name]
      ? { ...more, contender: name, note: `left out: ${wrong[name]}` }
      : {
          ...more,
          contender: name,
          'ms a picture': statistics(list).median,
          'of ours': round(median(list.map((time, i) => time / times[ours][i])), 3),
          'processor ms': statistics(used[name]).median,
          'of ours by processor time': round(median(used[name].map((time, i) => time / used[ours][i])), 3),
          note: others[name] > 0 ? `another class for ${others[name]} of ${list.length} pictures` : '',
        },
  );
}

async function gradient() {
  const rows = [];
  for (const layer of ['relu_conv_final', 'fire9/concat']) {
    const own = await Explainer.open(model, { layer, threads: 1, backend: 'native' });
    const inputs = [];
    for (const path of paths) inputs.push((await own.prepare(path))[0]);
    const contenders = {
      gradcampp: async (prepared) => {
        const [{ targets }] = await own.explainPrepared([prepared], settings);
        return { class: targets[0].target.class, data: targets[0].map.data };
      },
    };
    for (const backend of options.backends.split(',')) {
      await tf.setBackend(backend);
      const explain = explainer(layer);
      contenders[`tfjs ${backend}`] = async (prepared) => {
        await tf.setBackend(backend);
        return explain(() => channelsLast(tf, prepared.tensor, [1, ...prepared.dims]));
      };
    }
    rows.push(...rowsOf(await timed(contenders, inputs, Number(options.most)), { layer }));
    await own.close();
  }
  return { pictures: paths.length, rows };
}

/** From JPEG bytes to the bytes of an overlay PNG. */
async function endToEnd() {
  const layer = 'relu_conv_final';
  const own = await Explainer.open(model, { layer, threads: 1, backend: 'native' });
  const [backend] = options.backends.split(',');
  await tf.setBackend(backend);
  const explain = explainer(layer);
  const draw = (picture, geometry, data) => encodePng(drawOverlay(picture, { data, dims: [227, 227] }, { geometry }));
  const ours = async (path) => {
    const [{ targets, picture, geometry }] = await own.explainPrepared(await own.prepare(path), settings);
    draw(picture, geometry, targets[0].map.data);
    return { class: targets[0].target.class, data: targets[0].map.data };
  };
  const between = async (path) => {
    const [prepared] = await own.prepare(path);
    const result = await explain(() => channelsLast(tf, prepared.tensor, [1, ...prepared.dims]));
    draw(prepared.picture, prepared.geometry, result.data);
    return result;
  };
  const alone = async (path) => tfjsAlone(path, explain);
  const names = [`tfjs ${backend}; pictures read and drawn as gradcampp does`, `tfjs ${backend}; jpeg-js, resizing in tfjs, pngjs`];
  const same = await timed({ gradcampp: ours, [names[0]]: between }, paths, Number(options.most));
  // Another decoder and resizing give somewhat other maps: of these the class alone is compared, and not all agree.
  const own1 = await timed({ gradcampp: ours, [names[1]]: alone }, paths, 1, 0.7);
  await own.close();
  return { pictures: paths.length, rows: [...rowsOf(same, {}), rowsOf(own1, {})[1]] };
}

/** What a program does that has tfjs and two packages for files. */
async function tfjsAlone(path, explain) {
  const jpeg = require('jpeg-js').decode(readFileSync(path), { useTArray: true, formatAsRGBA: false });
  const result = await explain(() => {
    const picture = tf.tensor3d(jpeg.data, [jpeg.height, jpeg.width, 3], 'float32');
    const scale = 256 / Math.min(jpeg.height, jpeg.width);
    const size = [Math.round(jpeg.height * scale), Math.round(jpeg.width * scale)];
    const resized = tf.image.resizeBilinear(picture, size, false, true);
    const crop = tf.slice(resized, [(size[0] - 227) >> 1, (size[1] - 227) >> 1, 0], [227, 227, 3]);
    return tf.expandDims(tf.sub(tf.reverse(crop, 2), [104, 117, 123]));
  });
  const colours = tf.tidy(() => {
    const map = tf.image.resizeBilinear(tf.tensor3d(result.data, [227, 227, 1]), [jpeg.height, jpeg.width], false, true);
    const heat = tf.concat([map, tf.sub(1, tf.abs(tf.sub(tf.mul(map, 2), 1))), tf.sub(1, map)], 2);
    const picture = tf.tensor3d(jpeg.data, [jpeg.height, jpeg.width, 3], 'float32');
    return tf.add(tf.mul(picture, 0.5), tf.mul(heat, 127.5)).dataSync();
  });
  const { PNG } = createRequire(import.meta.url)('pngjs');
  PNG.sync.write(
    { width: jpeg.width, height: jpeg.height, data: Buffer.from(Uint8Array.from(colours, Math.round)) },
    { colorType: 2, inputColorType: 2, inputHasAlpha: false },
  );
  return result;
}

const more = { versions: { ...versions(), ...versions(packages, './tfjs') } };
const report = new Report('tfjs', 'against TensorFlow.js, SqueezeNet with the same weights, one thread each', options, more);
await report.section('gradient at the last convolution, and the map', gradient);
await report.section('from JPEG to overlay PNG', endToEnd);
process.exit(); // tfjs keeps threads
