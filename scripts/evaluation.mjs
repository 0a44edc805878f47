// Writes docs/evaluation.md: every evaluation on SqueezeNet and two CIFAR-10 ResNets. Takes about an hour on two cores.
//
//   npm run build && node scripts/evaluation.mjs [work folder]
//
// Models and pictures come from ../shared. Runs that are finished in the work folder are not repeated, and one that
// was cut off goes on. Paths are relative to the work folder, so that the seeded controls are the same everywhere.

import { execFileSync } from 'node:child_process';
import { existsSync, mkdirSync, mkdtempSync, readFileSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { fileURLToPath } from 'node:url';
import { evaluate } from '../dist/evaluate/evaluate.js';

const shared = fileURLToPath(new URL('../../shared', import.meta.url));
const page = fileURLToPath(new URL('../docs/evaluation.md', import.meta.url));
const intro = readFileSync(new URL('evaluation-intro.md', import.meta.url), 'utf8');
const work = process.argv[2] ? resolve(process.argv[2]) : mkdtempSync(join(tmpdir(), 'evaluation-'));

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

async function document() {
  const parts = [intro.trimEnd()];
  const won = [];
  for (const network of networks) {
    parts.push(`## Faithfulness: ${network.name}`, `On ${network.what}; the top class of each.`);
    for (const layer of network.layers) {
      const results = await resultsOf(`faithfulness-${network.name}-${layer}`, 'faithfulness', {
        model: `models/${network.model}`,
        images: network.images,
        open: { layer },
        method: methods,
      });
      parts.push(`### \`${layer}\``, metricTable(results), pairSentence(results));
      won.push({ where: `${network.name} \`${layer}\``, results });
    }
  }
  parts.push('## Does Grad-CAM++ win?', verdict(won));

  parts.push(
    '## Localisation',
    'SqueezeNet on the first 128 pictures of COCO train2017, with the mapping `imagenet-to-coco`.',
  );
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

  parts.push(
    '## Grid pointing game',
    'SqueezeNet, 100 grids of 2 × 2 from the 100 ImageNet pictures; by chance 25 %.',
  );
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
  parts.push(layerTable(grids, 'gridScore'));

  parts.push(
    '## Sanity',
    'Similarity (Spearman) of the map with that of a network whose weights were shuffled, and of the top class with the least likely class; the random control is a pair of unrelated maps.',
  );
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

  parts.push(
    '## Forms of Grad-CAM++',
    'exp is Eq. 19 as it stands; the others change one thing each. Average drop %, lower is better. The softmax form needs the gradients of every class: on 1,000 ImageNet classes that costs seconds a picture, so it is measured on CIFAR-10.',
  );
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
  parts.push(layerTable(forms, 'averageDrop', ['exp', 'softmax', 'no-gradient-relu', 'alpha-normalization']));

  const generalization = await resultsOf('generalization', 'generalization', {
    model: networks.slice(1).map((network) => `models/${network.model}`),
    train: ['cifar/train'],
    test: ['cifar/test'],
    method: ['grad-cam++', 'grad-cam', 'random'],
  });
  parts.push(
    '## Generalisation',
    'Average drop of the two CIFAR networks at their automatic layers beside the gap between 500 training and 1,000 test pictures. Two networks are no trend.',
    metricTable(generalization),
  );
  return `${parts.join('\n\n')}\n`;
}

/** Rows are metrics, columns methods: the mean, and its interval below. */
function metricTable({ metrics }) {
  const names = [...new Set(Object.values(metrics).flatMap(({ values }) => Object.keys(values)))];
  const rows = Object.entries(metrics)
    .filter(([key]) => key !== 'emptyMaps' || Object.values(metrics[key].values).some(({ mean }) => mean > 0))
    .map(([, { name: metric, unit, better, values }]) => {
      const best = bestOf(values, better);
      const arrow = better === 'lower' ? ' ↓' : better === 'higher' ? ' ↑' : '';
      const digits = unit === '%' ? 1 : 3;
      return [
        `${metric}${unit ? ` ${unit}` : ''}${arrow}`,
        ...names.map((name) => cell(values[name], digits, name === best)),
      ];
    });
  return markdown(['', ...names], rows);
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
function verdict(won) {
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
  ].join('\n\n');
}
