import { constant } from './constant.js';
import { cosine } from './cosine.js';
import type { Schedule } from './schedule.js';
import { steps } from './step.js';

/** Every schedule, by the name that users type. */
export const schedules = { constant, step: steps, cosine } as const satisfies Record<string, () => Schedule>;

export type ScheduleName = keyof typeof schedules;
export const scheduleNames = Object.keys(schedules) as ScheduleName[];
