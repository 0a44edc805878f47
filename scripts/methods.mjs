// The README's table of methods, made from the list in src/methods: npm run docs:methods (--check: fails where it is another)
import { readFileSync, writeFileSync } from 'node:fs';
import { methods } from '../dist/methods/index.js';

const file = new URL('../README.md', import.meta.url);
const [begin, end] = ['<!-- methods: npm run docs:methods -->', '<!-- /methods -->'];
const cell = (text) => text.replaceAll('|', '\\|');
const rows = methods.map(
  ({ name, formula, needs, source, nodes }) =>
    `| \`${name}\` | ${cell(formula)} | ${needs.join(', ') || 'nothing'} | ${nodes ? 'yes' : ''} | ${cell(source)} |`,
);
const table = ['| `method` | in one line | needs | `export` | source |', '|---|---|---|---|---|', ...rows].join('\n');
const readme = readFileSync(file, 'utf8');
const [before, after] = [readme.split(begin)[0], readme.split(end)[1]];
const made = `${before}${begin}\n${table}\n${end}${after}`;
if (!process.argv.includes('--check')) writeFileSync(file, made);
else if (made !== readme) {
  console.error('README.md has another table of methods than src/methods: run npm run docs:methods');
  process.exit(1);
}
