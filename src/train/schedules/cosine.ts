import type { Schedule } from './schedule.js';

/** Half a cosine from 1 down to 0 (Loshchilov and Hutter, arXiv 1608.03983, without restarts). */
export function cosine(): Schedule {
  return (progress) => 0.5 + 0.5 * Math.cos(Math.PI * progress);
}
