// The claim of VOC 2007 on drawn pictures: several things of several classes on grounds that say nothing of them.
import { existsSync } from 'node:fs';
import { mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { energyInside } from '../../dist/evaluate/localization/metrics/energy.js';
import { regionOfBoxes } from '../../dist/evaluate/annotations/region.js';
import { encodePng } from '../../dist/image/encode.js';
import { Explainer } from '../../dist/index.js';
import { train } from '../../dist/train/index.js';
import { drawPicture } from '../build/scripts/assets/draw.js';
import { classes } from '../build/scripts/assets/things.js';
import { say, study, teller } from './study.mjs';

/** Sides of a picture; the seed of its first and how many there are. */
const drawnSize = 32;
const drawnCounts = { teacher: 2500, student: 625, test: 500 };
const firstSeed = { teacher: 1, student: 500_001, test: 1_000_001 };
const drawnEpochs = { teacher: 8, student: 8 };
/** Test pictures whose maps are measured. */
const mapped = 100;

/** Draws what is not there yet. @returns the lists of pictures and classes */
async function drawAll(folder) {
  const lists = {};
  for (const [part, count] of Object.entries(drawnCounts)) {
    const list = join(folder, `${part}.csv`);
    lists[part] = list;
    if (existsSync(list)) continue;
    await mkdir(join(folder, part), { recursive: true });
    const lines = [['path', ...classes].join(',')];
    for (let n = 0; n < count; n++) {
      const { pixels, instances } = drawPicture(firstSeed[part] + n, drawnSize);
      const name = `${part}/${n}.png`;
      await writeFile(join(folder, name), encodePng({ data: pixels, width: drawnSize, height: drawnSize, channels: 3 }));
      const shown = new Set(instances.map((instance) => instance.name));
      lines.push([name, ...classes.map((own) => Number(shown.has(own)))].join(','));
    }
    await writeFile(list, `${lines.join('\n')}\n`);
    say(`${count} pictures drawn: ${part}`);
  }
  return lists;
}

/** The mean share of the maps of the classes that are there, ΣL inside / ΣL, that lies in the boxes of their things. */
async function inside(model) {
  const explainer = await Explainer.open(model, { backend: 'reference' });
  const shares = [];
  for (let n = 0; n < mapped; n++) {
    const { pixels, instances } = drawPicture(firstSeed.test + n, drawnSize);
    const targets = [...new Set(instances.map(({ name }) => name))];
    const picture = { data: pixels, width: drawnSize, height: drawnSize, channels: 3 };
    const [{ targets: explained }] = await explainer.explain([picture], { targets, method: 'grad-cam++' });
    for (const { target, map } of explained) shares.push(energyInside(map.data, regionOf(instances, target.name)));
  }
  await explainer.close();
  return mean(shares);
}

const mean = (values) => values.reduce((sum, value) => sum + value, 0) / values.length;

function regionOf(instances, name) {
  const boxes = instances
    .filter((instance) => instance.name === name)
    .map(({ box }) => box.map((share) => share * drawnSize))
    .map(([x0, y0, x1, y1]) => ({ x0, y0, x1, y1 }));
  return regionOfBoxes(boxes, drawnSize, drawnSize);
}

/** What a map that is the same everywhere has inside. */
function byChance() {
  const shares = [];
  for (let n = 0; n < mapped; n++) {
    const { instances } = drawPicture(firstSeed.test + n, drawnSize);
    for (const name of new Set(instances.map((instance) => instance.name))) shares.push(mean([...regionOf(instances, name)]));
  }
  return mean(shares);
}

export async function drawnStudy({ out, seeds, workers }) {
  const folder = join(out, 'drawn');
  const lists = await drawAll(join(folder, 'pictures'));
  const teacher = join(folder, 'teacher');
  await train({
    student: 'resnet-8',
    batch: 16,
    data: lists.teacher,
    test: lists.test,
    epochs: drawnEpochs.teacher,
    workers,
    out: teacher,
    cache: join(out, 'cache'),
    resume: true,
    onProgress: teller('drawn teacher'),
  });
  const own = await study({
    name: 'drawn',
    out,
    seeds,
    tried: { interpret: [0.1, 0.5, 2], kd: [0.3, 1, 3], attention: [0.1, 1, 10] },
    options: {
      student: 'resnet-8',
      width: 0.5,
      teacher: join(teacher, 'student.onnx'),
      data: lists.student,
      test: lists.test,
      validation: 0.2,
      batch: 16,
      epochs: drawnEpochs.student,
      workers,
    },
    measure: inside,
  });
  return {
    ...own,
    teacherInside: await inside(join(teacher, 'student.onnx')),
    chance: byChance(),
    sets: {
      size: drawnSize,
      teacher: drawnCounts.teacher,
      teacherEpochs: drawnEpochs.teacher,
      studentEpochs: drawnEpochs.student,
      mapped,
    },
  };
}
