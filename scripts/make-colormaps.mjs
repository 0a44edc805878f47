// Writes src/image/tables/colormaps.ts.
//
//   node scripts/make-colormaps.mjs <matplotlib>/_cm_listed.py
//
// turbo    Anton Mikhailov, 2019, Apache-2.0; his bytes are his published floats times 255, rounded
// viridis  Nathaniel Smith and Stéfan van der Walt, 2015, CC0
// inferno  the same
// jet      piecewise linear; the breakpoints below are matplotlib's
// gray     i, i, i
//
// The first three are read as the published lists of 256 RGB triples in 0…1 from matplotlib's file
// (3.11.2 was used). Every table is value · 255 rounded to the nearest byte, 6 hexadecimal digits a colour.
import { readFileSync, writeFileSync } from 'node:fs';

const [path] = process.argv.slice(2);
if (!path) {
  console.error('usage: node scripts/make-colormaps.mjs <matplotlib>/_cm_listed.py');
  process.exit(1);
}
const listing = readFileSync(path, 'utf8');

function listed(name) {
  const start = listing.indexOf(`_${name}_data = [`);
  const body = listing.slice(start, listing.indexOf(']]', start));
  const colours = [...body.matchAll(/\[\s*([\d.]+),\s*([\d.]+),\s*([\d.]+)/g)].map((m) => m.slice(1).map(Number));
  if (start < 0 || colours.length !== 256) throw new Error(`${name}: ${colours.length} colours in ${path}`);
  return colours;
}

const jetPoints = {
  red: [[0, 0], [0.35, 0], [0.66, 1], [0.89, 1], [1, 0.5]],
  green: [[0, 0], [0.125, 0], [0.375, 1], [0.64, 1], [0.91, 0], [1, 0]],
  blue: [[0, 0.5], [0.11, 1], [0.34, 1], [0.65, 0], [1, 0]],
};

function piecewise(points, x) {
  const right = points.findIndex(([at]) => at >= x);
  if (right <= 0) return points[0][1];
  const [[x0, y0], [x1, y1]] = points.slice(right - 1, right + 1);
  return y0 + ((x - x0) / (x1 - x0)) * (y1 - y0);
}

const steps = Array.from({ length: 256 }, (_, i) => i / 255);
const tables = {
  turbo: listed('turbo'),
  viridis: listed('viridis'),
  inferno: listed('inferno'),
  jet: steps.map((x) => Object.values(jetPoints).map((points) => piecewise(points, x))),
  gray: steps.map((x) => [x, x, x]),
};

// jet's green lies on halves: the 1e-9 rounds them all up, whatever floating point made of them.
const byte = (value) => Math.floor(value * 255 + 0.5 + 1e-9);
const hex = (colour) => colour.map((value) => byte(value).toString(16).padStart(2, '0')).join('');
const lines = (colours) => {
  const rows = [];
  for (let i = 0; i < 256; i += 16) rows.push(`    '${colours.slice(i, i + 16).map(hex).join('')}'`);
  return rows.join(' +\n');
};
writeFileSync(
  new URL('../src/image/tables/colormaps.ts', import.meta.url),
  `/**
 * Colour tables, 256 sRGB colours each, as hexadecimal digits: written by scripts/make-colormaps.mjs, where
 * the sources are named. turbo: Anton Mikhailov, Apache-2.0. viridis, inferno: Nathaniel Smith and
 * Stéfan van der Walt, CC0. jet: matplotlib's breakpoints.
 */
export const tables = {
${Object.entries(tables)
  .map(([name, colours]) => `  ${name}:\n${lines(colours)},`)
  .join('\n')}
} as const;
`,
);
