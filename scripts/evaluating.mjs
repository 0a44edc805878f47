// Writes the tables of docs/evaluating.md from the built list of evaluations: npm run docs:evaluating
import { readFileSync, writeFileSync } from 'node:fs';
import { documented } from '../dist/evaluate/document.js';

const page = new URL('../docs/evaluating.md', import.meta.url);
writeFileSync(page, documented(readFileSync(page, 'utf8')));
