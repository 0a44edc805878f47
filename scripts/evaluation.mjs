// Writes docs/evaluation.md: every evaluation on SqueezeNet and two CIFAR-10 ResNets. Takes some hours on two cores.
//
//   npm run build && node scripts/evaluation.mjs [work folder] [section …]
//
// With sections, by their headings, these alone are made anew and the rest of the page stays.
// Models and pictures come from ../shared. Runs that are finished in the work folder are not repeated, and one that
// was cut off goes on. Paths are relative to the work folder, so that the seeded controls are the same everywhere.

import { execFileSync } from 'node:child_process';
import { existsSync, mkdirSync, mkdtempSync, readFileSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { fileURLToPath } from 'node:url';
import { evaluate } from '../dist/evaluate/evaluate.js';
import { methodNames } from '../dist/methods/index.js';

const shared = fileURLToPath(new URL('../../shared', import.meta.url));
const page = fileURLToPath(new URL('../docs/evaluation.md', import.meta.url));
const intro = readFileSync(new URL('evaluation-intro.md', import.meta.url), 'utf8');
const energy = readFileSync(new URL('evaluation-energy.md', import.meta.url), 'utf8');
const captions = readFileSync(new URL('evaluation-captions.md', import.meta.url), 'utf8');
const clips = readFileSync(new URL('evaluation-clips.md', import.meta.url), 'utf8');
const [chosen, ...only] = process.argv.slice(2);
const work = chosen ? resolve(chosen) : mkdtempSync(join(tmpdir(), 'evaluation-'));

const methods = ['grad-cam++', 'grad-cam', 'xgrad-cam', 'layer-cam', 'random'];
const networks = [
  {
    name: 'SqueezeNet',
    model: 'squeezenet1_0.onnx',
    images: ['imagenet100'],
    what: '100 ImageNet pictures, one of every tenth class',
    layers: ['relu_conv_final', 'fire9/concat', 'fire8/concat', 'fire5/concat'],
  },
  {
    name: 'ResNet-20',
    model: 'resnet20_cifar10.onnx',
    images: ['cifar/test'],
    what: '1,000 CIFAR-10 test pictures, the first 100 of each class',
    layers: ['layer3.2/relu2', 'layer3.0/relu2', 'layer2.2/relu2'],
  },
  {
    name: 'ResNet-56',
    model: 'resnet56_cifar10.onnx',
    images: ['cifar/test'],
    what: 'the same 1,000 pictures',
    layers: ['layer3.8/relu2', 'layer3.0/relu2', 'layer2.8/relu2'],
  },
];
const squeezeNet = networks[0];

/** What takes many passes does so with fewer than by default. */
const moderate = {
  'smooth-grad-cam++': { samples: 8 },
  'score-cam': { channels: 64 },
  rise: { masks: 128 },
  'smooth-grad': { samples: 8 },
  'integrated-gradients': { steps: 16 },
};
/** CAM needs one linear layer behind the pooling, the others attention. */
const notHere = ['cam', 'attention-rollout', 'attention-gradient'];

/** The sections of the page by their headings. */
const sections = {
  ...Object.fromEntries(
    networks.map((network) => [`Faithfulness: ${network.name}`, () => faithfulnessOf(network)]),
  ),
  'Does Grad-CAM++ win?': verdict,
  'Every method': everyMethod,
  'Metrics of many passes': manyPasses,
  'Localisation': localisation,
  'Grid pointing game': gridPointingGame,
  Sanity: sanity,
  'Forms of Grad-CAM++': formsOfGradCamPlusPlus,
  Generalisation: generalisation,
  // Drawn pictures and lines of text, measured by scripts/assets/measure.ts.
  'Where the maps lie': () => [energy.trimEnd()],
  // Words of drawn scenes, measured by scripts/assets/caption-measure.ts.
  'Where the maps of words lie': () => [captions.trimEnd()],
  'Where and when maps of clips lie': () => [clips.trimEnd()],
};
const unknown = only.find((name) => !(name in sections));
if (unknown) throw new Error(`no section "${unknown}"; there are ${Object.keys(sections).join(', ')}`);
prepare();
process.chdir(work);
writeFileSync(page, await document());
console.log(page);

/** Links to models and pictures, and the CIFAR-10 pictures that are used. */
function prepare() {
  if (!existsSync(shared)) throw new Error(`${shared} is missing: the models and pictures are there`);
  mkdirSync(work, { recursive: true });
  const links = { models: 'models', imagenet100: 'images/imagenet100', coco128: 'images/coco128' };
  for (const [name, target] of Object.entries(links))
    if (!existsSync(join(work, name))) symlinkSync(join(shared, target), join(work, name));
  if (existsSync(join(work, 'cifar'))) return;
  mkdirSync(join(work, 'cifar'));
  const archive = join(shared, 'data/cifar10.tar.gz');
  const wanted = ['test/*/00[0-9][0-9].jpg', 'train/*/000[0-9].jpg', 'train/*/00[1-4][0-9].jpg'];
  execFileSync('tar', ['xzf', archive, '-C', join(work, 'cifar'), '--wildcards', ...wanted]);
}

/** The content of results.json, from this run or an earlier one. */
async function resultsOf(name, evaluation, options) {
  const out = join('out', name.replaceAll('/', '-'));
  const file = join(out, 'results.json');
  if (!existsSync(file)) {
    const start = performance.now();
    await evaluate(evaluation, { ...options, out, resume: true });
    console.log(`${name}: ${((performance.now() - start) / 1000).toFixed(0)} s`);
  }
  return JSON.parse(readFileSync(file, 'utf8'));
}

/** The page: its introduction, and every section, made or, where others are asked for, as it was. */
async function document() {
  const before = only.length > 0 ? sectionsOf(readFileSync(page, 'utf8')) : {};
  const parts = [intro.trimEnd()];
  for (const [title, make] of Object.entries(sections)) {
    const isKept = only.length > 0 && !only.includes(title);
    const text = isKept ? before[title] : (await make()).join('\n\n');
    if (text) parts.push(`## ${title}`, text);
  }
  return `${parts.join('\n\n')}\n`;
}

function sectionsOf(text) {
  return Object.fromEntries(
    text.split(/^## /m).map((part) => {
      const end = part.indexOf('\n');
      return [part.slice(0, end), part.slice(end).trim()];
    }),
  );
}

/** Results of the layers of a network. */
async function layersOf(network) {
  const found = [];
  for (const layer of network.layers) {
    const results = await resultsOf(`faithfulness-${network.name}-${layer}`, 'faithfulness', {
      model: `models/${network.model}`,
      images: network.images,
      open: { layer },
      method: methods,
    });
    found.push({ layer, where: `${network.name} \`${layer}\``, results });
  }
  return found;
}

async function faithfulnessOf(network) {
  const layers = await layersOf(network);
  return [
    `On ${network.what}; the top class of each.`,
    ...layers.flatMap(({ layer, results }) => [
      `### \`${layer}\``,
      metricTable(results),
      pairSentence(results),
    ]),
  ];
}

async function everyMethod() {
  const layer = 'fire9/concat';
  const names = methodNames.filter((name) => !notHere.includes(name));
  const results = await resultsOf(`every-method-${layer}`, 'faithfulness', {
    model: `models/${squeezeNet.model}`,
    images: squeezeNet.images,
    open: { layer },
    variants: names.map((method) => ({ name: method, method, ...moderate[method] })),
    steps: 5,
    workers: 1,
  });
  const settings = Object.entries(moderate).map(
    ([name, own]) => `${name} ${Object.entries(own).map(([key, value]) => `${value} ${key}`)}`,
  );
  return [
    `SqueezeNet at \`${layer}\` on ${results.images} ImageNet pictures, those above; the top class of each, curves in steps of 20 %. What runs the network many times does so less than by default: ${settings.join(', ')}. Not here: ${notHere.join(', ')}, which this network has not got the layers for.`,
    methodTable(results),
    aheadOf(results, 'grad-cam++'),
    'Behind this layer are one convolution, a ReLU and the mean: the gradient of a class is the same wherever its channel is active, so hires-cam gives the map of grad-cam, and smooth-grad-cam++ all but that of grad-cam++. Average drop and increase reward maps that show much, whatever it is: read them beside sparseness. At equal area (the three curves) that gains nothing.',
  ];
}

async function manyPasses() {
  const network = networks[1];
  const [layer] = network.layers;
  const results = await resultsOf(`many-passes-${layer}`, 'faithfulness', {
    model: `models/${network.model}`,
    images: ['cifar/test/*/000[0-9].jpg'],
    open: { layer },
    method: ['grad-cam++', 'grad-cam', 'layer-cam', 'eigen-cam', 'random'],
    metrics: ['road', 'infidelity', 'max-sensitivity', 'adcc'],
  });
  return [
    `${network.name} at \`${layer}\` on ${results.images} CIFAR-10 test pictures, the first ten of each class: what \`--metric road,infidelity,max-sensitivity,adcc\` measures.`,
    metricTable(results),
    aheadOf(results, 'grad-cam++'),
    'The random control reads nothing of the picture: so it has all of the coherency and no sensitivity, which are no merit alone.',
  ];
}

async function localisation() {
  const parts = ['SqueezeNet on the first 128 pictures of COCO train2017, with the mapping `imagenet-to-coco`.'];
  for (const target of ['top', 'annotated']) {
    for (const layer of squeezeNet.layers) {
      const results = await resultsOf(`localization-${target}-${layer}`, 'localization', {
        model: `models/${squeezeNet.model}`,
        images: ['coco128/images'],
        boxes: 'yolo',
        annotations: 'coco128/labels',
        mapping: 'imagenet-to-coco',
        target,
        open: { layer },
        method: methods,
      });
      const which =
        target === 'top' ? 'the top class, where it is annotated' : 'the most probable annotated class';
      parts.push(
        `### \`${layer}\`, ${which}: ${countOf(results)} pictures`,
        metricTable(results),
        pairSentence(results),
      );
    }
  }
  return parts;
}

async function gridPointingGame() {
  const grids = [];
  for (const layer of squeezeNet.layers)
    grids.push([
      layer,
      await resultsOf(`grid-${layer}`, 'grid', {
        model: `models/${squeezeNet.model}`,
        images: squeezeNet.images,
        open: { layer },
        method: methods,
      }),
    ]);
  return [
    'SqueezeNet, 100 grids of 2 × 2 from the 100 ImageNet pictures; by chance 25 %.',
    layerTable(grids, 'gridScore'),
  ];
}

async function sanity() {
  const parts = [
    'Similarity (Spearman) of the map with that of a network whose weights were shuffled, and of the top class with the least likely class; the random control is a pair of unrelated maps.',
  ];
  for (const [network, layer] of [
    [networks[0], 'fire9/concat'],
    [networks[1], 'layer3.0/relu2'],
  ]) {
    const results = await resultsOf(`sanity-${network.name}-${layer}`, 'sanity', {
      model: `models/${network.model}`,
      images: network === networks[1] ? ['cifar/test/*/000*.jpg'] : network.images,
      stages: 4,
      open: { layer },
      method: methods,
    });
    parts.push(`### ${network.name} \`${layer}\`, ${results.images} pictures`, metricTable(results));
  }
  return parts;
}

async function formsOfGradCamPlusPlus() {
  const forms = [];
  for (const network of networks)
    for (const layer of network.layers) {
      const names = ['exp', 'softmax', 'no-gradient-relu', 'alpha-normalization'];
      const results = await resultsOf(`forms-${network.name}-${layer}`, 'ablation', {
        model: `models/${network.model}`,
        images: network.images,
        steps: 0,
        open: { layer },
        variant: network === squeezeNet ? names.filter((name) => name !== 'softmax') : names,
      });
      forms.push([`${network.name} ${layer}`, results]);
    }
  return [
    'exp is Eq. 19 as it stands; the others change one thing each. Average drop %, lower is better. The softmax form needs the gradients of every class: on 1,000 ImageNet classes that costs seconds a picture, so it is measured on CIFAR-10.',
    layerTable(forms, 'averageDrop', ['exp', 'softmax', 'no-gradient-relu', 'alpha-normalization']),
  ];
}

async function generalisation() {
  const results = await resultsOf('generalization', 'generalization', {
    model: networks.slice(1).map((network) => `models/${network.model}`),
    train: ['cifar/train'],
    test: ['cifar/test'],
    method: ['grad-cam++', 'grad-cam', 'random'],
  });
  return [
    'Average drop of the two CIFAR networks at their automatic layers beside the gap between 500 training and 1,000 test pictures. Two networks are no trend.',
    metricTable(results),
  ];
}

/** Rows are methods, columns metrics: the mean, and its interval below. */
function methodTable({ metrics }) {
  const own = Object.values(metrics).filter(
    ({ values }, i) =>
      Object.keys(metrics)[i] !== 'emptyMaps' || Object.values(values).some(({ mean }) => mean > 0),
  );
  const best = own.map(({ values, better }) => bestOf(values, better));
  const rows = Object.keys(own[0].values).map((name) => [
    name,
    ...own.map(({ values, unit }, i) => cell(values[name], unit === '%' ? 1 : 3, name === best[i])),
  ]);
  return markdown(['', ...own.map(titleOf)], rows);
}

/** Who is better than a method, metric by metric, straight from the numbers. */
function aheadOf({ metrics, pairs }, method) {
  const rows = Object.values(metrics).flatMap(({ name, better, values }) => {
    if (!better) return [];
    const sign = better === 'lower' ? 1 : -1;
    const ahead = Object.keys(values)
      .filter((other) => sign * (values[other].mean - values[method].mean) < 0)
      .sort((a, b) => sign * (values[a].mean - values[b].mean));
    return [`* ${name}: ${ahead.length > 0 ? ahead.join(', ') : 'nobody'}`];
  });
  const certain = pairs
    .filter(({ a, b, p }) => [a, b].includes(method) && p < 0.05)
    .map(({ a, b, difference }) => ({ other: a === method ? b : a, less: (a === method ? 1 : -1) * difference }));
  const named = (isLess) =>
    certain.filter(({ less }) => less < 0 === isLess).map(({ other }) => other).join(', ') || 'none';
  return [
    `Better than ${method} by the mean, the best first:`,
    rows.join('\n'),
    `By the paired test of the drop (p < 0.05, not corrected for the number of pairs) ${method} drops less than ${named(true)}; it drops more than ${named(false)}.`,
  ].join('\n\n');
}

/** Rows are metrics, columns methods: the mean, and its interval below. */
function metricTable({ metrics }) {
  const names = [...new Set(Object.values(metrics).flatMap(({ values }) => Object.keys(values)))];
  const rows = Object.entries(metrics)
    .filter(([key]) => key !== 'emptyMaps' || Object.values(metrics[key].values).some(({ mean }) => mean > 0))
    .map(([, { name: metric, unit, better, values }]) => {
      const best = bestOf(values, better);
      const digits = unit === '%' ? 1 : 3;
      return [
        titleOf({ name: metric, unit, better }),
        ...names.map((name) => cell(values[name], digits, name === best)),
      ];
    });
  return markdown(['', ...names], rows);
}

function titleOf({ name, unit, better }) {
  return `${name}${unit ? ` ${unit}` : ''}${better === 'lower' ? ' ↓' : better === 'higher' ? ' ↑' : ''}`;
}

/** Rows are layers, columns methods, for one metric. */
function layerTable(runs, key, names = methods) {
  return markdown(
    ['', ...names],
    runs.map(([layer, { metrics }]) => {
      const { values, better, unit } = metrics[key];
      const best = bestOf(values, better);
      return [`\`${layer}\``, ...names.map((name) => cell(values[name], unit === '%' ? 1 : 3, name === best))];
    }),
  );
}

function cell(value, digits, isBest) {
  if (!value || value.mean === null) return '–';
  const mean = value.mean.toFixed(digits);
  const interval = value.low === null ? '' : `<br><sub>${value.low.toFixed(digits)} – ${value.high.toFixed(digits)}</sub>`;
  return `${isBest ? `**${mean}**` : mean}${interval}`;
}

/** The random control competes like every other column. */
function bestOf(values, better) {
  if (!better) return undefined;
  const known = Object.entries(values).filter(([, value]) => value?.mean !== null);
  const sign = better === 'lower' ? 1 : -1;
  const best = Math.min(...known.map(([, { mean }]) => sign * mean));
  const holders = known.filter(([, { mean }]) => sign * mean === best);
  return holders.length === 1 ? holders[0][0] : undefined;
}

function markdown(head, rows) {
  const line = (cells) => `| ${cells.join(' | ')} |`;
  return [line(head), line(head.map((_, i) => (i === 0 ? '---' : '--:'))), ...rows.map(line)].join('\n');
}

function pairSentence({ pairs }) {
  return ['grad-cam', 'random']
    .map((other) => {
      const { wins, p } = pairs.find(({ a, b }) => a === 'grad-cam++' && b === other);
      const share = (value) => (100 * value).toFixed(1);
      return `Grad-CAM++ against ${other}: wins ${share(wins.a)} %, ties ${share(wins.ties)} %, loses ${share(wins.b)} % (p ${p < 0.001 ? '< 0.001' : `= ${p.toFixed(3)}`}).`;
    })
    .join(' ');
}

function countOf({ metrics }) {
  return Object.values(metrics.pointing.values)[0].count;
}

/** Who is ahead in each metric and setting, straight from the numbers. */
async function verdict() {
  const won = [];
  for (const network of networks) won.push(...(await layersOf(network)));
  const rows = [];
  for (const key of ['averageDrop', 'increaseInConfidence', 'areaAuc', 'deletionAuc', 'insertionAuc']) {
    const ahead = { 'grad-cam': [0, 0, 0], random: [0, 0, 0] };
    for (const { results } of won) {
      const { values, better } = results.metrics[key];
      const sign = better === 'lower' ? 1 : -1;
      for (const other of Object.keys(ahead)) {
        const difference = sign * (values['grad-cam++'].mean - values[other].mean);
        ahead[other][difference < 0 ? 0 : difference === 0 ? 1 : 2]++;
      }
    }
    rows.push([won[0].results.metrics[key].name, ...Object.values(ahead).map(([win, tie, lose]) => `${win} better, ${tie} equal, ${lose} worse`)]);
  }
  const worse = won.flatMap(({ where, results }) =>
    ['areaAuc', 'deletionAuc', 'insertionAuc'].some((key) => {
      const { values, better } = results.metrics[key];
      const sign = better === 'lower' ? 1 : -1;
      return sign * (values['grad-cam++'].mean - values['grad-cam'].mean) > 0;
    })
      ? [where]
      : [],
  );
  return [
    `Grad-CAM++ in ${won.length} settings (network and layer), by the mean:`,
    markdown(['', 'against Grad-CAM', 'against the random control'], rows),
    worse.length > 0
      ? `At equal area Grad-CAM++ is behind Grad-CAM in at least one of the three curves on ${worse.join(', ')}.`
      : 'At equal area Grad-CAM++ is never behind Grad-CAM.',
  ];
}
