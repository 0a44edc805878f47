import { createHash } from 'node:crypto';
import { makeRecord, type RunRecord } from '../batch/results/run-record.js';
import { type Owned, RunFolder } from '../batch/results/run-folder.js';
import type { Reuse } from '../batch/run-options.js';
import { hashFile, stateOf, statsOf } from '../files.js';
import type { Measurer } from './measurer.js';
import { checksumOf } from './study/checksum.js';

/** What the journal says of a job that is measured. */
export interface JobEntry {
  /** The network and the measure. */
  readonly step: string;
  readonly job: string;
  /** Checksum of what the result depends on: network, settings, the job, size and time of its pictures. */
  readonly state: string;
  /** The result in V8's format, which holds NaN and typed arrays, in base 64. */
  readonly result: string;
}

/** The folder of an evaluation, and size and time of change of its pictures and of what is known of them. */
export interface EvaluationFolder {
  readonly folder: RunFolder<JobEntry>;
  readonly states: ReadonlyMap<string, string>;
}

const tables = ['images.csv', 'images.parquet'];
const owned: Owned = {
  names: ['results.json', 'report.html', ...tables],
  isOurs: (text) => /^\{\s*"evaluation":/.test(text),
};

/** Options that change nothing in a result. */
const indifferent = [
  'model',
  'out',
  'table',
  'resume',
  'overwrite',
  'workers',
  'isolate',
  'timeout',
  'onProgress',
];

/**
 * Opens the folder that an evaluation writes to.
 *
 * @param files the pictures, and other files that the results depend on
 * @returns the record of that very evaluation where it is finished already
 * @throws GradcamppError OUTPUT where the folder holds what must not be replaced
 */
export async function openEvaluationFolder(
  name: string,
  settings: Reuse & { readonly out: string },
  networks: readonly (string | Measurer)[],
  files: readonly string[],
): Promise<EvaluationFolder | RunRecord> {
  const states = await statesOf(files);
  const determining = Object.entries(settings).filter(([key]) => !indifferent.includes(key));
  const record = makeRecord({
    command: `evaluate ${name}`,
    models: await Promise.all(networks.map(modelOf)),
    settings: Object.fromEntries(determining),
    inputs: { count: files.length, sha256: checksumOf(files), state: checksumOf([...states.values()]) },
  });
  const folder = await RunFolder.open<JobEntry>(settings.out, record, settings, owned);
  return folder instanceof RunFolder ? { folder, states } : folder;
}

async function modelOf(network: string | Measurer): Promise<{ path: string; sha256: string }> {
  if (typeof network !== 'string') return { path: '', sha256: checksumOf(network.subject.description) };
  // What cannot be read is said when the network is opened.
  const sha256 = await hashFile(network).catch(() => createHash('sha256').digest('hex'));
  return { path: network, sha256 };
}

/** Size and time of change of files. */
export async function statesOf(files: readonly string[]): Promise<Map<string, string>> {
  const states = new Map<string, string>();
  let i = 0;
  for await (const stats of statsOf(files)) states.set(files[i++], stateOf(stats));
  return states;
}
