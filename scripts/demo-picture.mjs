// Makes docs/demo.png from what `npm run demo` wrote: a row a picture; the picture, then for each of two classes
// Grad-CAM++ and Grad-CAM. Usage: npm run demo && node scripts/demo-picture.mjs
import { readFileSync, writeFileSync } from 'node:fs';
import { PNG } from 'pngjs';
import { decodeImage } from '../dist/index.js';

const rows = ['leaves-and-butterflies', 'starfish-and-butterflies'];
const methods = ['grad-cam++', 'grad-cam'];
const size = 192;
const gap = 6;

const lines = readFileSync('demo-out/results.jsonl', 'utf8').trim().split('\n').map((line) => JSON.parse(line));
const panels = await Promise.all(rows.map((name) => {
  const own = lines.filter((line) => line.image.path.includes(name));
  const classes = [...new Set(own.map((line) => line.target.class))];
  const overlays = classes.flatMap((index) =>
    methods.map((method) => own.find((line) => line.target.class === index && line.method === method).files.overlay),
  );
  return Promise.all([`assets/pictures/${name}.png`, ...overlays.map((file) => `demo-out/${file}`)].map((file) => decodeImage(file)));
}));
const width = panels[0].length * (size + gap) - gap;
const height = rows.length * (size + gap) - gap;
const sheet = new PNG({ width, height, fill: true });
panels.forEach((row, y) => row.forEach((panel, x) => paste(panel, x * (size + gap), y * (size + gap))));
writeFileSync('docs/demo.png', PNG.sync.write(sheet));

/** Averages each cell of the picture that becomes one pixel. */
function paste(panel, left, top) {
  const cell = panel.width / size;
  for (let y = 0; y < size; y++)
    for (let x = 0; x < size; x++)
      for (let c = 0; c < 3; c++) {
        let sum = 0;
        for (let v = 0; v < cell; v++)
          for (let u = 0; u < cell; u++)
            sum += panel.data[((Math.floor(y * cell) + v) * panel.width + Math.floor(x * cell) + u) * 3 + c];
        const pixel = ((top + y) * width + left + x) * 4;
        sheet.data[pixel + c] = sum / Math.ceil(cell) ** 2;
        sheet.data[pixel + 3] = 255;
      }
}
