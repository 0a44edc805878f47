import sharp from 'sharp';
import { Explainer } from '../../src/batch/explainer.js';
import type { Explanation } from '../../src/explain/explanation.js';
import { encodePng } from '../../src/image/encode.js';
import { drawBox, drawOverlay } from '../../src/image/overlay.js';
import { toPicture } from '../../src/image/regions.js';
import { lineSize, readerFiles, readerInput } from './energy.js';
import { drawLine } from './lettering.js';
import { Random } from './random.js';

// Makes docs/targets.png: segments, objects and characters explained, each with Grad-CAM++ and with LayerCAM.
// Usage: tsc -p scripts/assets/tsconfig.json && node scripts/build/scripts/assets/targets-picture.js
const gap = 6;
const side = 192;
const picture = 'assets/pictures/apples-and-cups.png';
const method = ['grad-cam++', 'layer-cam'] as const;
const options = { backend: 'reference', threads: 1 } as const;

const shown = ({ picture: pixels, geometry, targets }: Explanation) =>
  targets.map(({ map, target: { box } }) => {
    if (!pixels || !geometry) throw new Error('a picture was explained');
    const drawn = drawOverlay(pixels, map, { geometry });
    return encodePng(box ? drawBox(drawn, toPicture(box, map.dims, geometry)) : drawn);
  });

const rows: Buffer[][] = [[]];
for (const name of ['segmenter', 'detector']) {
  const explainer = await Explainer.open(`assets/${name}.onnx`, options);
  rows[0].push(...shown((await explainer.explain(picture, { method }))[0]));
  await explainer.close();
}
const { model, alphabet } = readerFiles();
const reader = await Explainer.open(model, { ...options, preprocess: { input: readerInput } });
const { pixels } = await drawLine('HEAT 27 MAP', new Random(5), lineSize);
for (const part of [0, 2, 8]) {
  const targets = { kind: 'reading', part, alphabet } as const;
  const [line] = await reader.explain({ data: pixels, channels: 3, ...lineSize }, { method, targets });
  rows.push(shown(line));
}
await reader.close();

const width = 4 * side + 3 * gap;
const tiles = [];
let top = 0;
for (const row of rows) {
  const across = (width - (row.length - 1) * gap) / row.length;
  const height = row.length === 4 ? side : Math.round((across * lineSize.height) / lineSize.width);
  for (const [i, file] of row.entries()) {
    const input = await sharp(file).resize(across, height, { fit: 'fill' }).png().toBuffer();
    tiles.push({ input, top, left: i * (across + gap) });
  }
  top += height + gap;
}
await sharp({ create: { width, height: top - gap, channels: 3, background: 'white' } })
  .composite(tiles)
  .png({ palette: true, colours: 192, effort: 10 })
  .toFile('docs/targets.png');
