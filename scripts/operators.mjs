// Writes docs/operators.md from the built table of gradient rules: npm run docs:operators
import { writeFileSync } from 'node:fs';
import { operatorsPage } from '../dist/autodiff/operators.js';

writeFileSync(new URL('../docs/operators.md', import.meta.url), operatorsPage());
