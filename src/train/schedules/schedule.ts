/** A factor of the learning rate at a share of all steps, 0…1. */
export type Schedule = (progress: number) => number;
