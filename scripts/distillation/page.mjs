// docs/distillation.md from the studies that are finished.
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { choicesText, claims, missing, table, verdicts, written } from './study.mjs';

/** @param out the folder of the studies */
export async function page(out) {
  const names = JSON.parse(await readFile(join(out, 'studies.json'), 'utf8'));
  const studies = await Promise.all(
    names.map(async (name) => ({ name, ...JSON.parse(await readFile(join(out, `study-${name}.json`), 'utf8')) })),
  );
  const drawn = studies.find(({ name }) => name === 'drawn');
  const cifar = studies.filter(({ name }) => name !== 'drawn');
  const parts = [
    `# Does a student learn better that looks where its teacher looks?

The claim of section 5 of the Grad-CAM++ paper (arXiv 1710.11063), tried with \`gradcampp distill\`. Made by \`npm run distillation\`; the text
between the tables follows from their numbers.

I is the explanation loss: maps of the true class at the last activations of student and teacher, of length 1 each. KD is Hinton's, at
temperature 4. The placebo has the teacher's map of another picture. Means of the seeds ± 95 % (Student's t); differences are taken
seed by seed: the same initial weights, order and views. Weights were chosen with one student each on pictures that are kept from
training, never on test pictures. Students: ResNet-8 of 8, 16 and 32 channels (20,000 weights), Nesterov's momentum 0.9, learning rate 0.1 falling along
half a cosine, weight decay 5e-4, shifts by up to 4 pixels and mirroring, 4 views of each picture.`,
    ...(cifar.length > 0 ? [cifarPart(cifar)] : []),
    ...(drawn ? [drawnPart(drawn)] : []),
    timePart(studies),
  ];
  return `${parts.join('\n\n')}\n`;
}

function cifarPart(studies) {
  const [{ trainedOn, pictures, epochs, seeds }] = studies;
  return `## CIFAR-10

${trainedOn} training pictures, ${epochs} epochs, batch 64; error on all ${pictures} test pictures, ${seeds} seeds.

${studies
  .map(
    (own) => `### Teacher ${own.name}, error ${written('error', own.teacher)} %

${table(own)}${missing(own)}

${verdicts(own)}

The paper's claims:

${claims(own)}

Weights chosen, by the validation error in per cent: ${choicesText(own)}.`,
  )
  .join('\n\n')}

### The paper's figures

WRN-40-2 (5.8 % error) teaches WRN-16-2, all 50,000 pictures, trained to the end; raw maps, α = 0.01, T = 4:

| loss | error, % |
|---|---|
| CE | 6.78 |
| CE + I, Grad-CAM++ | 6.74 |
| CE + I, Grad-CAM | 6.86 |
| CE + KD | 5.68 |
| CE + KD + I, Grad-CAM++ | 5.56 |
| CE + KD + I, Grad-CAM | 5.8 |

What differs here: the student has a thirty-fifth of the weights, sees a fifth of the pictures, and for ${epochs} epochs, so that errors are many
times as high and differences larger; pictures are JPEG files; maps are normalised. The paper gives one number a row, without seeds.`;
}

function drawnPart(own) {
  const { trainedOn, pictures, seeds, teacher, teacherInside, chance, sets } = own;
  const share = (value) => `${(100 * value).toFixed(1)} %`;
  return `## Several classes a picture, as in VOC 2007

Pictures of ${sets.size} × ${sets.size}, drawn by \`scripts/assets/draw.ts\`: one to three of eight classes, up to six things on a ground that says nothing of
them (grass, sand, water, sky, planks, stone, discs of light). The teacher, ResNet-8 of 16, 32 and 64 channels, learned from ${sets.teacher} of them in ${sets.teacherEpochs} epochs; its mAP
is ${written('mAP', teacher)}. Students learn from ${trainedOn} others, ${sets.studentEpochs} epochs, batch 16; mAP on ${pictures} more, ${seeds} seeds.

Labels are learned by binary cross entropy, each class by itself (CE). I is the sum over the classes that a picture has, a map each. Hinton's
KD has no softmax over classes here: it is T² KL(σ(t / T) ‖ σ(s / T)) of each class, T = 4, in the mean over classes. *Inside*: share of
students' Grad-CAM++ maps of the classes that are there that lies in the drawn boxes of their things, on ${sets.mapped} test pictures; the
teacher's have ${share(teacherInside)}, a map that is the same everywhere ${share(chance)}.

${table(own, 'inside, %')}${missing(own)}

${verdicts(own)}

The paper's claims:

${claims(own)}

Weights chosen, by the validation mAP: ${choicesText(own)}.

The paper (section 5), VGG-16 → 11 layers on VOC 2007, mAP, one number each:

| loss | mAP |
|---|---|
| CE | 0.31 |
| CE + KD | 0.34 |
| CE + I, Grad-CAM++ | 0.42 |

What differs here: drawn pictures of ${sets.size} pixels; networks of 20,000 and 78,000 weights; maps of length 1 at the last activation, not raw; weights chosen
on validation pictures; the average precision is not interpolated, as VOC 2007's at 11 recalls is; seeds and a placebo.`;
}

function timePart(studies) {
  const lines = studies.map(
    ({ name, took: { passed, processor } }) =>
      `${name} ${passed} minutes${processor === undefined ? '' : ` (${processor} of processor time)`}`,
  );
  return `## Time

On ${studies[0].machine}, beside other work: ${lines.join(', ')}.`;
}
