import type { Schedule } from './schedule.js';

/**
 * A factor lower from each of these shares of all steps on.
 *
 * @param at default a half and three quarters
 * @param factor default 0.1
 */
export function steps(at: readonly number[] = [0.5, 0.75], factor = 0.1): Schedule {
  return (progress) => factor ** at.filter((share) => progress >= share).length;
}
