import { count, number } from '../../options.js';

/** Of everything that a method draws; default 1. */
export const seed = count({ default: 1, help: 'for what a method draws', flag: '--seed <n>' });

/** Noisy pictures that are averaged over; default 16. */
export const samples = count({
  from: 1,
  to: 100_000,
  default: 16,
  help: 'noisy pictures that are averaged over',
  flag: '--samples <n>',
});

/** Standard deviation of the noise, in parts of the range of the picture's values; default 0.15. */
export const sigma = number({
  from: 0,
  default: 0.15,
  help: 'noise, in parts of the range of the picture’s values',
  flag: '--sigma <number>',
});
