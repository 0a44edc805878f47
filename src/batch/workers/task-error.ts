import { type ErrorCode, GradcamppError } from '../../errors.js';

/** What one task did that ended it alone: it ended its worker twice, took too long, or could not be handed over. */
export class TaskError extends GradcamppError {
  /** What it did, to follow its name. */
  readonly reason: string;
  /** Whether its parts can be tried one by one. */
  readonly isRepeatable: boolean;

  constructor(reason: string, isRepeatable: boolean, code: ErrorCode = 'RUNTIME') {
    super(code, `The picture ${reason}.`);
    this.reason = reason;
    this.isRepeatable = isRepeatable;
  }
}
