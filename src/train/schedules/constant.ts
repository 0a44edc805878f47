import type { Schedule } from './schedule.js';

/** 1, always. */
export function constant(): Schedule {
  return () => 1;
}
