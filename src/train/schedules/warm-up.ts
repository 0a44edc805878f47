import type { Schedule } from './schedule.js';

/** Another schedule, behind a rise in a straight line from 0 over this share of all steps. */
export function warmUp(schedule: Schedule, share: number): Schedule {
  return (progress) => (progress < share ? progress / share : 1) * schedule(progress);
}
