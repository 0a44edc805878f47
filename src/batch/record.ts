import { createHash } from 'node:crypto';
import { readFile } from 'node:fs/promises';
import { dirname } from 'node:path';
import { GradcamppError } from '../errors.js';
import { statsOf } from '../files.js';
import { unwritable } from './folder.js';

/** `run.json`: what a run explains and how, and, once it is finished, how it ended. Nothing that differs when it is repeated. */
export interface RunRecord {
  /** Version of the folder's format. */
  readonly format: 1;
  readonly gradcampp: string;
  readonly model: { readonly path: string; readonly sha256: string };
  readonly layers: readonly string[];
  readonly backend: string;
  /** Every option that changes a result. */
  readonly settings: object;
  /** SHA-256 over path and size of every input, in order. */
  readonly inputs: { readonly count: number; readonly sha256: string };
  /** SHA-256 over all of the above but the counts and paths of inputs and model. */
  readonly checksum: string;
  readonly finished: boolean;
  readonly explained?: number;
  readonly failed?: number;
}

export function makeRecord(
  parts: Omit<RunRecord, 'format' | 'gradcampp' | 'checksum' | 'finished' | 'explained' | 'failed'> & {
    readonly version: string;
  },
): RunRecord {
  const { version, model, layers, backend, settings, inputs } = parts;
  const checked = [1, version, model.sha256, layers, backend, settings, inputs.sha256];
  return {
    format: 1,
    gradcampp: version,
    model,
    layers,
    backend,
    settings,
    inputs,
    checksum: createHash('sha256').update(JSON.stringify(checked)).digest('hex'),
    finished: false,
  };
}

/** The parts in which two runs differ, in words. */
export function differences(a: RunRecord, b: RunRecord): string[] {
  const parts: [string, (record: RunRecord) => unknown][] = [
    ['the version of gradcampp', (record) => record.gradcampp],
    ['the model', (record) => record.model.sha256],
    ['the layers', (record) => record.layers],
    ['the backend', (record) => record.backend],
    ['the settings', (record) => record.settings],
    ['the inputs', (record) => record.inputs],
  ];
  return parts
    .filter(([, part]) => JSON.stringify(part(a)) !== JSON.stringify(part(b)))
    .map(([name]) => name);
}

/** A run's record; undefined where there is none. */
export async function readRecord(path: string): Promise<RunRecord | undefined> {
  let text: string;
  try {
    text = await readFile(path, 'utf8');
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return undefined;
    throw unwritable(dirname(path), error); // what cannot be read there will not be written either
  }
  try {
    const record = JSON.parse(text) as RunRecord;
    if (record.format === 1) return record;
  } catch {
    // said below
  }
  throw new GradcamppError(
    'OUTPUT',
    `"${path}" is not the record of a run that this version of gradcampp can continue. Choose another output folder.`,
  );
}

interface File {
  readonly path: string;
  /** Where it is a part of another. */
  readonly part?: { readonly size: number };
}

/** SHA-256 over path and size of files; a missing one has size "-". */
export async function hashInputs(inputs: Iterable<File>): Promise<string> {
  const hash = createHash('sha256');
  const found = statsOf(ownPaths(inputs));
  for (const { path, part } of inputs) {
    const size = part?.size ?? (await found.next()).value?.size ?? '-';
    hash.update(`${path}\0${size}\n`);
  }
  return hash.digest('hex');
}

function* ownPaths(files: Iterable<File>): Generator<string> {
  for (const { path, part } of files) if (!part) yield path;
}
