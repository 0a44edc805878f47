// Writes docs/benchmarks.md from the JSON files that the benchmarks leave in bench/results/: npm run docs:benchmarks
import { readdirSync, readFileSync, writeFileSync } from 'node:fs';

const results = new URL('../bench/results/', import.meta.url);
const intro = readFileSync(new URL('benchmarks-intro.md', import.meta.url), 'utf8');
/** The order of the story; others follow by name. */
const order = ['pipeline', 'cost', 'perturbation', 'tfjs', 'tfjs-web', 'startup', 'map'];
const rank = (name) => (order.includes(name) ? order.indexOf(name) : order.length);

const reports = readdirSync(results)
  .filter((file) => file.endsWith('.json'))
  .map((file) => ({ name: file.slice(0, -5), ...JSON.parse(readFileSync(new URL(file, results), 'utf8')) }))
  .sort((a, b) => rank(a.name) - rank(b.name) || (a.name < b.name ? -1 : 1));

const text = [intro.trimEnd(), ...reports.flatMap(describe)].join('\n\n');
writeFileSync(new URL('../docs/benchmarks.md', import.meta.url), `${text}\n`);

function describe({ name, what, machine, versions, sections }) {
  const on = `${machine.processor}, ${machine.processors} processors, ${machine.memoryGiB} GiB, ${machine.system}`;
  const of = Object.entries(versions).map(([key, version]) => `${key} ${version}`).join(', ');
  const parts = Object.entries(sections).flatMap(([title, section]) => [
    `### ${title}`,
    table(section.rows),
    ...(section.ratios ? [table(section.ratios)] : []),
    provenance(section),
  ]);
  return [`## ${name}: ${what}`, `${on}; ${of}.`, ...parts];
}

function provenance({ date, load, command, pictures }) {
  const count = pictures === undefined ? '' : `${pictures} pictures; `;
  return `*${count}\`${command}\`, ${date.slice(0, 10)}, load of the machine ${load.before} before and ${load.after} after.*`;
}

function table(rows) {
  const columns = [...new Set(rows.flatMap((row) => Object.keys(row)))].filter((column) => rows.some((row) => row[column] !== undefined && row[column] !== ''));
  const line = (cells) => `| ${cells.join(' | ')} |`;
  const align = columns.map((column) => (rows.every((row) => typeof row[column] !== 'string') ? '--:' : '---'));
  return [line(columns), line(align), ...rows.map((row) => line(columns.map((column) => String(row[column] ?? ''))))].join('\n');
}
