/** How far a run is. */
export interface TrainProgress {
  readonly stage: 'pictures' | 'teacher' | 'trunk' | 'training';
  readonly done: number;
  readonly total: number;
  /** What is said beside it, as the last epoch's error. */
  readonly note: string;
}
