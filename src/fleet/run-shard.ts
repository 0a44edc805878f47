import { writeFileSync } from 'node:fs';
import { mkdtemp, rm, stat } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { explainFolder, type Listener, type Part, type RunOptions } from '../batch/explain-folder.js';
import { archiveName } from '../batch/inputs/inputs.js';
import type { Input } from '../batch/picture.js';
import { ResultNames } from '../batch/results/result-names.js';
import { resultsFile } from '../batch/results/run-folder.js';
import { makeFolder } from '../batch/results/write-file.js';
import { invalid } from '../check.js';
import { asOurs, GradcamppError } from '../errors.js';
import { hashFile } from '../files.js';
import { observer } from '../observe.js';
import {
  type Manifest,
  manifestName,
  type Output,
  outputName,
  outputNames,
  type OutputName,
  readManifest,
} from './manifest.js';
import { type OptionsOf, readOptions } from '../options.js';
import { bringPictures } from './remote-pictures.js';
import { indexVariables, shardOptions } from './shard-options.js';
import { measureShard } from './evaluation-shards.js';
import { type OpenPlan, type PlanOfEvaluation, type PlanOfPictures, readList, readPlan } from './plan.js';

export type ShardOptions = Pick<RunOptions, 'workforce' | 'signal'> &
  OptionsOf<typeof shardOptions> & {
    /** Address of `plan.json`, or of the folder that it is in. */
    readonly plan: string;
    /** Workers that are kept from shard to shard. */
    readonly crew?: Part['crew'];
  };

export interface ShardSummary {
  readonly index: number;
  readonly shards: number;
  readonly images: number;
  readonly failed: number;
  /** Whether this call did it: 'done before' without work, 'done meanwhile' where another was faster. */
  readonly outcome: 'done' | 'done before' | 'done meanwhile' | 'stopped';
  /** What the user should know. */
  readonly notes: readonly string[];
}

/**
 * Explains a shard. Its results go to the storage, then the manifest that says so, unless there is one: whoever else runs the
 * shard, before, after or meanwhile, changes nothing.
 *
 * @throws GradcamppError also where the work was ended by what no other picture would escape, as a full disk
 */
export async function runShard(options: ShardOptions, listener: Listener = {}): Promise<ShardSummary> {
  const seen = await observer();
  return seen.during('shard run', { 'gradcampp.plan': options.plan }, async (watched) => {
    const summary = await run(options, listener).catch((error: unknown) => {
      seen.countShard('failed');
      throw error;
    });
    const { index, images, failed, outcome } = summary;
    seen.countShard(outcome);
    watched.set({
      'gradcampp.shard': index,
      'gradcampp.images': images,
      'gradcampp.failed': failed,
      'gradcampp.outcome': outcome,
    });
    return summary;
  });
}

async function run(
  { plan, workforce, signal, crew, ...own }: ShardOptions,
  listener: Listener,
): Promise<ShardSummary> {
  try {
    const settings = readOptions('the shard', shardOptions, own);
    const open = await readPlan(plan);
    const index = shardIndex(settings.index, open.plan.shards.length);
    const before = await readManifest(open, index);
    if (before)
      return {
        index,
        shards: open.plan.shards.length,
        images: before.images,
        failed: before.failed,
        outcome: 'done before',
        notes: [],
      };
    const root = settings.work ?? tmpdir();
    await makeFolder(root);
    const work = await mkdtemp(join(root, 'gradcampp-shard-'));
    try {
      const own = { ...settings, workforce, signal, crew };
      if (!isOfEvaluation(open))
        return await runIn(work, open as OpenPlan<PlanOfPictures>, index, own, listener);
      await crew?.close(); // it has workers of its own
      return await runEvaluationShard(open, index, { ...own, work });
    } finally {
      await rm(work, { recursive: true, force: true });
    }
  } catch (error) {
    throw asOurs(error);
  }
}

function isOfEvaluation(open: OpenPlan): open is OpenPlan<PlanOfEvaluation> {
  return open.plan.evaluation !== undefined;
}

async function runEvaluationShard(
  open: OpenPlan<PlanOfEvaluation>,
  index: number,
  { model, work, workforce }: Omit<ShardOptions, 'plan'>,
): Promise<ShardSummary> {
  const manifest = await measureShard(open, index, { work, model, workforce });
  return publish(open, manifest);
}

async function runIn(
  work: string,
  open: OpenPlan<PlanOfPictures>,
  index: number,
  { model, workforce, signal, crew, allowFailed }: Omit<ShardOptions, 'plan'>,
  listener: Listener,
): Promise<ShardSummary> {
  const { plan, storage } = open;
  const out = join(work, 'out');
  const { options, pictures, files } = await tasksOf(open, index, join(work, 'pictures'));
  const run: RunOptions = {
    ...plan.options,
    ...options,
    model: model ?? plan.options.model,
    out,
    workforce,
    signal,
    part: { of: plan.run, inputs: pictures, crew },
  };
  const inputs = join(work, outputNames.inputs);
  let first: string | undefined;
  const summary = await explainFolder(run, {
    started: (start) => listener.started?.(start),
    listed: (images, leftOut, states) => {
      const list = [...states];
      writeFileSync(inputs, list.map(({ path, state }) => `${JSON.stringify([path, state])}\n`).join(''));
      listener.listed?.(images, leftOut, list);
    },
    picture: (lines) => {
      for (const line of lines) if ('error' in line) first ??= line.error.message;
      listener.picture?.(lines);
    },
  });
  if (summary.error) throw summary.error;
  const { images, failed } = summary;
  if (summary.stopped)
    return { index, shards: plan.shards.length, images, failed, outcome: 'stopped', notes: [] };
  if (summary.explained === 0 && !allowFailed) throw noneExplained(index, images, first);
  const put = async (output: OutputName, file: string): Promise<Output> => {
    const sha256 = await hashFile(file);
    const name = outputName(index, output, sha256);
    await storage.put(name, { file });
    return { name, size: (await stat(file)).size, sha256 };
  };
  const isThere = await stat(join(out, files)).catch(() => undefined); // an archive of no pictures leaves none
  const outputs = {
    results: await put('results', join(out, resultsFile)),
    inputs: await put('inputs', inputs),
    files: isThere && (await put('files', join(out, files))),
  };
  const manifest: Manifest = { plan: plan.checksum, shard: index, images, failed, outputs };
  return publish(open, manifest);
}

/** Writes the manifest, unless there is one. */
async function publish(open: OpenPlan, manifest: Manifest): Promise<ShardSummary> {
  const { plan, storage } = open;
  const { shard: index, images, failed } = manifest;
  const told = { index, shards: plan.shards.length, images, failed };
  const isOurs = await storage.create(manifestName(index), Buffer.from(`${JSON.stringify(manifest)}\n`));
  if (isOurs) return { ...told, outcome: 'done', notes: [] };
  const theirs = await readManifest(open, index);
  if (!theirs)
    throw new GradcamppError(
      'OUTPUT',
      `"${storage.address}" says that ${manifestName(index)} is there, and has none. Run shard ${index} again.`,
    );
  const isSame = JSON.stringify(theirs) === JSON.stringify(manifest);
  const note = `Another machine was faster, with other results of shard ${index}, which stay: a picture was changed, or cannot be read everywhere.`;
  return { ...told, outcome: 'done meanwhile', notes: isSame ? [] : [note] };
}

/**
 * What is explained, and the archive that its files are put into.
 *
 * @param work a folder for pictures that lie elsewhere
 */
async function tasksOf(
  open: OpenPlan<PlanOfPictures>,
  index: number,
  work: string,
): Promise<{ options: Partial<RunOptions>; pictures?: Omit<Input, 'index'>[]; files: string }> {
  const shard = open.plan.shards[index];
  if ('archive' in shard)
    return { options: { archives: [shard.archive] }, files: archiveName(shard.archive, new ResultNames()) };
  const { files } = outputNames;
  const list = await bringPictures(await readList(open, index, shard), work);
  return { options: {}, pictures: list.map((picture) => ({ ...picture, archive: files })), files };
}

function noneExplained(index: number, images: number, first = ''): GradcamppError {
  return new GradcamppError(
    'RUNTIME',
    `None of the ${images} pictures of shard ${index} could be explained, so it is not taken as done; the first: ${first} If that is no fault of this machine, --allow-failed takes it.`,
  );
}

/** @throws GradcamppError INVALID_OPTION */
export function shardIndex(
  index: number | undefined,
  shards: number,
  environment: Readonly<Record<string, string | undefined>> = process.env,
): number {
  const variable = indexVariables.find((name) => environment[name] !== undefined);
  if (index === undefined && variable === undefined)
    throw new GradcamppError(
      'INVALID_OPTION',
      `Which shard is to be run? Give --index, 0 to ${shards - 1}, or start this from an engine that sets ${indexVariables.join(', ')}.`,
    );
  const typed = environment[variable ?? ''] ?? '';
  const value = index ?? (/^\d+$/.test(typed) ? Number(typed) : typed);
  if (Number.isSafeInteger(value) && (value as number) >= 0 && (value as number) < shards)
    return value as number;
  throw invalid(
    index === undefined ? (variable as string) : 'index',
    `a whole number from 0 to ${shards - 1}`,
    value,
  );
}
