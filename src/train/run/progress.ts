/** How far a run is. */
export interface TrainProgress {
  readonly stage: 'pictures' | 'teacher' | 'training';
  readonly done: number;
  readonly total: number;
  /** What is said beside it, as the last epoch's error. */
  readonly note: string;
}
