import { type ErrorCode, GradcamppError } from '../errors.js';
import type { DownloadProgress } from './download.js';
import type { CaptionFacts, CaptionOpening } from './caption-service.js';
import type { Facts, Opening, Service } from './service.js';

/** What a page asks its worker; `id` comes back with the answer. */
export type Ask =
  | {
      readonly id: number;
      readonly call: 'open';
      readonly opening: Opening | CaptionOpening;
      readonly tells: boolean;
    }
  | { readonly id: number; readonly call: Call; readonly args: readonly unknown[] }
  | { readonly id: number; readonly call: 'abort' };
/** What a captioner can do an explainer can, too. */
export type Call = Exclude<keyof Service, 'facts'>;

/** What a worker says. */
export type Answer =
  | { readonly id: number; readonly result: unknown }
  | { readonly id: number; readonly facts: Facts | CaptionFacts }
  | { readonly id: number; readonly progress: DownloadProgress }
  | { readonly id: number; readonly error: SentError };

/** An error without its class, which messages lose. */
export interface SentError {
  readonly code?: ErrorCode;
  readonly message: string;
}

export function sentError(error: unknown): SentError {
  const { message } = error as Error;
  return error instanceof GradcamppError ? { code: error.code, message } : { message };
}

export function ownError({ code, message }: SentError): Error {
  return code ? new GradcamppError(code, message) : new Error(message);
}
