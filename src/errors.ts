/** What kind of thing went wrong; stable, for programs. The message is for people. */
export type ErrorCode =
  | 'INVALID_OPTION' // an option, flag or argument
  | 'INVALID_MODEL' // the file is not a readable ONNX model
  | 'UNSUPPORTED_MODEL' // a readable model that cannot be explained: what and where is in the message
  | 'INVALID_LAYER' // no such value, or one that cannot be explained
  | 'INVALID_TARGET' // no such class, or a wrong number of targets
  | 'INVALID_IMAGE' // a picture or tensor that cannot be read or does not fit the model
  | 'UNSUPPORTED_BACKEND' // a named backend that cannot run here
  | 'OUTPUT' // results cannot be written
  | 'RUNTIME' // ONNX Runtime, a worker or a device failed
  | 'CLOSED'; // the explainer was closed before the call

/**
 * The only error this package throws on purpose: one sentence that names the thing, what was expected,
 * what was received and what to do. Anything else that escapes is a fault of this package.
 */
export class GradcamppError extends Error {
  override readonly name = 'GradcamppError';
  readonly code: ErrorCode;

  constructor(code: ErrorCode, message: string, options?: ErrorOptions) {
    const text = visible(message);
    super(text.length > longest ? `${text.slice(0, longest - 3)}...` : text, options);
    this.code = code;
  }
}

/** A fault of this package, which is to be reported; `cause` says where it is. */
export class InternalFault extends GradcamppError {}

/** What comes out of this package for whatever was thrown within: our errors and those of an abort as they are. */
export function asOurs(error: unknown): Error {
  if (error instanceof GradcamppError || (error as Error | null)?.name === 'AbortError')
    return error as Error;
  return new InternalFault('RUNTIME', `Internal fault: ${messageOf(error)}. Please report it.`, {
    cause: error,
  });
}

/** Characters of a message at most: names in files can be of any length. */
const longest = 2000;

/** Control characters, line ends among them, and marks that turn the direction of writing. */
const hidden = /[\p{Cc}\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069\ufeff]/gu;

/** A text from a file as a terminal may show it: what would move the cursor or hide the rest is written out. */
export function visible(text: string): string {
  return text.replace(hidden, (character) => {
    if (character === '\n') return '\\n';
    return `\\u${character.charCodeAt(0).toString(16).padStart(4, '0')}`;
  });
}

/** The first line of an error's message, whatever was thrown. */
export function messageOf(error: unknown): string {
  const text = error instanceof Error ? error.message : String(error);
  return text.split('\n', 1)[0];
}

/** What the system finds wrong with a file, without the code, the call and the path around it. */
export function systemReason(error: unknown): string {
  return messageOf(error).replace(/^E[A-Z0-9]+: (.*?), [a-z]+( '.*')?$/, '$1');
}

/** A value as it appears in a message: short, unambiguous, never a page. */
export function show(value: unknown): string {
  if (typeof value === 'string')
    return JSON.stringify(value.length > 80 ? `${value.slice(0, 77)}...` : value);
  if (ArrayBuffer.isView(value))
    return `${value.constructor.name}(${'length' in value ? value.length : value.byteLength})`;
  if (value instanceof Blob) return `${value.constructor.name}(${value.size})`;
  if (Array.isArray(value)) {
    const items = value.slice(0, 6).map(show).join(', ');
    return value.length > 6 ? `[${items}, ... ${value.length} in all]` : `[${items}]`;
  }
  if (typeof value === 'bigint') return `${value}n`;
  if (typeof value === 'function') return 'a function';
  if (value !== null && typeof value === 'object')
    return `an object {${Object.keys(value).slice(0, 6).join(', ')}}`;
  return String(value);
}
