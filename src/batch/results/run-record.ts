import { createHash } from 'node:crypto';
import { readFile } from 'node:fs/promises';
import { dirname } from 'node:path';
import { version } from '../../package.js';
import { unwritable } from './write-file.js';

/**
 * `run.json`: what a run computes and how, and, once it is finished, how it ended. Nothing that differs when it is
 * repeated.
 */
export interface RunRecord extends RunParts {
  /** Version of the folder's format. */
  readonly format: 2;
  readonly gradcampp: string;
  /** SHA-256 over all that tells this run from others: without paths of models, and what `inputs.state` holds. */
  readonly checksum: string;
  readonly finished: boolean;
  /** Pictures, of a finished run. */
  readonly explained?: number;
  readonly failed?: number;
  /** Files that the run wrote, beside those that `results.jsonl` lists. */
  readonly files?: readonly string[];
  /** SHA-256 of `results.jsonl`, of a finished run that has one. */
  readonly resultsSha256?: string;
  /** What a finished evaluation has to tell, without its gallery: in V8's format, which holds NaN, in base 64. */
  readonly report?: string;
}

/** What a run is. */
export interface RunParts {
  /** As "explain". */
  readonly command: string;
  readonly models: readonly { readonly path: string; readonly sha256: string }[];
  readonly layers?: readonly string[];
  readonly backend?: string;
  /** Every option that changes a result. */
  readonly settings: object;
  /** The archives that results go to. */
  readonly archives?: readonly string[];
  readonly inputs: {
    readonly count: number;
    /** SHA-256 over what the inputs are called, in order. */
    readonly sha256: string;
    /** SHA-256 over size and time of change of each. */
    readonly state: string;
  };
}

/** What two runs are compared by, in words. */
const compared: readonly (readonly [
  string,
  (record: RunParts & { readonly gradcampp: string }) => unknown,
])[] = [
  ['the command', (record) => record.command],
  ['the version of gradcampp', (record) => record.gradcampp],
  ['the model', (record) => record.models.map(({ sha256 }) => sha256)],
  ['the layers', (record) => record.layers],
  ['the backend', (record) => record.backend],
  ['the settings', (record) => record.settings],
  ['the inputs', (record) => record.inputs.sha256],
];

export function makeRecord(parts: RunParts): RunRecord {
  const named = { gradcampp: version, ...parts };
  const checked = JSON.stringify(compared.map(([, part]) => part(named) ?? null));
  const checksum = createHash('sha256').update(checked).digest('hex');
  return { format: 2, ...named, checksum, finished: false };
}

/** The parts in which two runs differ, in words. */
export function differences(a: RunRecord, b: RunRecord): string[] {
  const differ = compared.filter(([, part]) => JSON.stringify(part(a)) !== JSON.stringify(part(b)));
  return differ.map(([name]) => name);
}

/** A run's record; 'none' where there is no file, 'damaged' where it is no JSON, 'foreign' where it is somebody else's. */
export async function readRecord(path: string): Promise<RunRecord | 'none' | 'damaged' | 'foreign'> {
  let text: string;
  try {
    text = await readFile(path, 'utf8');
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return 'none';
    throw unwritable(dirname(path), error); // what cannot be read there will not be written either
  }
  try {
    const record = JSON.parse(text) as Partial<RunRecord> | null;
    return record?.format === 2 && typeof record.checksum === 'string' ? (record as RunRecord) : 'foreign';
  } catch {
    return 'damaged';
  }
}
