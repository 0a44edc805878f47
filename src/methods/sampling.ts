import { count } from '../options.js';

/** Of everything that a method draws; default 1. */
export const seed = count({ default: 1, help: 'for what a method draws', flag: '--seed <n>' });
