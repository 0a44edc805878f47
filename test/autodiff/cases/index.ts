import type { Case } from '../case.js';
import { activation } from './activation.js';
import { attention, rotary } from './attention.js';
import { conv } from './conv.js';
import { elementwise } from './elementwise.js';
import { linear } from './linear.js';
import { loss } from './loss.js';
import { norm } from './norm.js';
import { reduce } from './reduce.js';
import { indexing } from './indexing.js';
import { pool } from './pool.js';
import { recurrent } from './recurrent.js';
import { resize } from './resize.js';
import { sampling } from './sampling.js';
import { shape } from './shape.js';
import { quantize } from './quantize.js';
import { spectral } from './spectral.js';

/** All cases, by family; a test file beside this folder runs each family. */
export const families: Readonly<Record<string, readonly Case[]>> = {
  activation,
  attention: [...attention, ...rotary],
  conv,
  elementwise,
  linear,
  loss,
  norm,
  quantize,
  spectral,
  reduce,
  indexing,
  pool,
  recurrent,
  resize,
  sampling,
  shape,
};
