import {
  type FileHandle,
  mkdtemp,
  open,
  opendir,
  readdir,
  rename,
  rm,
  rmdir,
  writeFile,
} from 'node:fs/promises';
import { basename, dirname, join } from 'node:path';
import { outputOptions } from '../batch/output-options.js';
import { InputsRecord } from '../batch/inputs/inputs.js';
import { readEntries } from '../batch/inputs/tar.js';
import { writeIndexPages } from '../batch/results/index-page.js';
import { readLines } from '../batch/results/lines.js';
import { prepareTable, writeResultTable } from '../batch/results/result-table.js';
import { owned } from '../batch/results/results-folder.js';
import { RunFolder, resultsFile } from '../batch/results/run-folder.js';
import { makeRecord } from '../batch/results/run-record.js';
import {
  folderWriter,
  makeFolder,
  othersIn,
  partialFolder,
  stagingPrefix,
  takenBefore,
  unwritable,
  type Write,
} from '../batch/results/write-file.js';
import { asOurs, GradcamppError } from '../errors.js';
import { openFile, readInto } from '../files.js';
import { type OptionsOf, readOptions } from '../options.js';
import { mergeEvaluation } from './evaluation-shards.js';
import { isBelow } from './formats.js';
import { fetchOutput, type Manifest, type Output, ranges, readManifests, readOutput } from './manifest.js';
import { type OpenPlan, type PlanOfEvaluation, type PlanOfPictures, readPlan } from './plan.js';
import { mergeOptions } from './shard-options.js';

export type MergeOptions = OptionsOf<typeof mergeOptions> & {
  /** Address of `plan.json`, or of the folder that it is in. */
  readonly plan: string;
  /** At first, and after each shard. */
  readonly onProgress?: (done: number, shards: number) => void;
};

export interface MergeSummary {
  readonly out: string;
  readonly shards: number;
  readonly images: number;
  readonly failed: number;
  readonly notes: readonly string[];
}

/**
 * Makes of the results of all shards the folder that one machine's `explain` writes, to the byte. A shard at a time is held.
 * Merging again, after all or a part, comes to the same. Earlier results that are replaced go when all of the new are here.
 *
 * @throws GradcamppError where a shard is missing, which is named, or another plan's
 */
export async function mergeShards(options: MergeOptions): Promise<MergeSummary> {
  return merge(options).catch((error: unknown) => {
    throw asOurs(error);
  });
}

async function merge({ plan: address, onProgress, ...own }: MergeOptions): Promise<MergeSummary> {
  const { out, table, overwrite } = readOptions('the merge', mergeOptions, own);
  const opened = await readPlan(address);
  const manifests = await allManifests(opened, address);
  if (opened.plan.evaluation) {
    if (table !== undefined)
      throw new GradcamppError(
        'INVALID_OPTION',
        '"table" was said when the evaluation was planned: leave it out.',
      );
    const plan = opened as OpenPlan<PlanOfEvaluation>;
    const { images, failures } = await mergeEvaluation(plan, manifests, { out, overwrite }, onProgress);
    return { out, shards: manifests.length, images, failed: failures.length, notes: [] };
  }
  const plan = opened as OpenPlan<PlanOfPictures>;
  if (table !== undefined) await prepareTable(table, { overwrite, resume: true });
  const images = manifests.reduce((sum, manifest) => sum + manifest.images, 0);
  const failed = manifests.reduce((sum, manifest) => sum + manifest.failed, 0);
  const archives = archivesOf(plan, manifests);
  const record = makeRecord({ ...plan.plan.run, archives, inputs: await inputsOf(plan, manifests) });
  const summary = { out, shards: manifests.length, images, failed };
  const reuse = overwrite ? { overwrite } : { resume: true }; // a merge that was cut short is done again
  await RunFolder.check(out, record, reuse, owned);
  const gathered: Gathering = { plan, manifests, onProgress };
  // What is there already goes when all that replaces it is here.
  const staged = overwrite ? await stage(out) : undefined;
  try {
    if (staged !== undefined) await gather(gathered, staged, writerInto(staged));
    const folder = await RunFolder.open<never>(out, record, reuse, owned);
    if (!(folder instanceof RunFolder)) {
      if (table !== undefined) await writeResultTable(table, out);
      return { ...summary, notes: [] };
    }
    try {
      const others = await othersIn(out);
      for (const name of archives ?? []) if (others.has(name)) throw takenBefore(join(out, name));
      if (staged === undefined) await gather(gathered, out, folderWriter(out, 'merge'));
      else {
        await rm(join(staged, partialFolder), { recursive: true });
        await moveAll(staged, out, others);
      }
      const pages = archives ? [] : await writePages(plan, out, images, others);
      await folder.finish({ explained: images - failed, failed, files: pages });
      if (table !== undefined) await writeResultTable(table, out);
      return { ...summary, notes: folder.notes };
    } finally {
      await folder.close();
    }
  } catch (cause) {
    throw (cause as NodeJS.ErrnoException).code ? unwritable(out, cause) : cause;
  } finally {
    if (staged !== undefined) await rm(staged, { recursive: true, force: true });
  }
}

interface Gathering extends Pick<MergeOptions, 'onProgress'> {
  readonly plan: OpenPlan<PlanOfPictures>;
  readonly manifests: readonly Manifest[];
}

/** A new folder within `out`; those of merges that were killed go. */
async function stage(out: string): Promise<string> {
  await makeFolder(out);
  for (const name of await readdir(out))
    if (name.startsWith(stagingPrefix)) await rm(join(out, name), { recursive: true, force: true });
  return mkdtemp(join(out, stagingPrefix));
}

function writerInto(folder: string): Write {
  const made = new Set<string>();
  return async (name, parts) => {
    const path = join(folder, name);
    if (!made.has(dirname(path))) await makeFolder(dirname(path));
    made.add(dirname(path));
    await writeFile(path, parts);
  };
}

/** Puts the results of all shards into a folder, one shard after the other. */
async function gather({ plan, manifests, onProgress }: Gathering, out: string, write: Write): Promise<void> {
  const partial = join(out, partialFolder);
  await makeFolder(partial);
  const results = await open(join(out, resultsFile), 'w');
  try {
    let first = 0;
    onProgress?.(0, manifests.length);
    for (const [shard, manifest] of manifests.entries()) {
      const planned = plan.plan.shards[shard];
      const [lines, files] = [join(partial, 'results'), join(partial, 'files')];
      await fetchOutput(plan, manifest, manifest.outputs.results, lines);
      await addLines(results, lines, first);
      if (manifest.outputs.files) {
        await fetchOutput(plan, manifest, manifest.outputs.files, files);
        if ('archive' in planned) await rename(files, join(out, planned.name));
        else await unpack(files, write);
      }
      first += manifest.images;
      onProgress?.(shard + 1, manifests.length);
    }
    await results.sync();
  } finally {
    await results.close();
  }
  for (const name of ['results', 'files']) await rm(join(partial, name), { force: true });
}

/** Gives what was gathered its places; a file of somebody else's is not replaced. */
async function moveAll(from: string, out: string, others: ReadonlySet<string>, folder = ''): Promise<void> {
  for (let moved = -1; moved !== 0; ) {
    moved = 0; // names may be passed over where others go meanwhile
    for await (const entry of await opendir(join(from, folder))) {
      const name = folder === '' ? entry.name : `${folder}/${entry.name}`;
      if (others.has(name)) throw takenBefore(join(out, name));
      moved++;
      if (entry.isDirectory()) {
        await makeFolder(join(out, name));
        await moveAll(from, out, others, name);
        await rmdir(join(from, name));
      } else await rename(join(from, name), join(out, name));
    }
  }
}

/** @throws GradcamppError INVALID_OPTION that names the shards which are not done */
async function allManifests(plan: OpenPlan, address: string): Promise<Manifest[]> {
  const manifests = await readManifests(plan);
  const missing = manifests.flatMap((manifest, shard) => (manifest ? [] : [shard]));
  if (missing.length === 0) return manifests as Manifest[];
  const what = missing.length === 1 ? `Shard ${missing[0]} is` : `Shards ${ranges(missing)} are`;
  throw new GradcamppError(
    'INVALID_OPTION',
    `${what} not done, of ${manifests.length}. Run what is missing: gradcampp shard run ${address} --index ${missing[0]}`,
  );
}

/** The archives that results are in; undefined where pictures were listed. */
function archivesOf(
  { plan }: OpenPlan<PlanOfPictures>,
  manifests: readonly Manifest[],
): string[] | undefined {
  const names = plan.shards.flatMap((shard, i) =>
    'archive' in shard && manifests[i].outputs.files ? [shard.name] : [],
  );
  return 'archive' in plan.shards[0] ? names : undefined;
}

/** What the record of one run of all inputs says of them. */
async function inputsOf(plan: OpenPlan<PlanOfPictures>, manifests: readonly Manifest[]) {
  const record = new InputsRecord();
  for (const manifest of manifests) {
    const bytes = await readOutput(plan, manifest, manifest.outputs.inputs as Output);
    for (const line of bytes.toString().trimEnd().split('\n')) {
      const [path, state] = JSON.parse(line) as [string, string];
      record.add(path, state);
    }
  }
  return record.record;
}

/** Appends a shard's lines, its first picture numbered `first`. */
async function addLines(results: FileHandle, path: string, first: number): Promise<void> {
  let text = '';
  const flush = async () => {
    await results.appendFile(text);
    text = '';
  };
  for await (const { bytes } of readLines(path)) {
    text += `${bytes.toString().replace(/^\{"index":(\d+)/, (_, index) => `{"index":${Number(index) + first}`)}\n`;
    if (text.length > 1 << 20) await flush();
  }
  await flush();
}

/** Gives the files of an archive places of their own. */
async function unpack(path: string, write: Write): Promise<void> {
  const file = await openFile(path);
  try {
    for await (const { name, offset, size } of readEntries(file)) {
      if (!isBelow(name))
        throw new GradcamppError(
          'OUTPUT',
          `The results of a shard name the file ${JSON.stringify(name)}, which is in no folder of theirs: they are not gradcampp's. Run the shards anew, where nobody else writes.`,
        );
      const bytes = Buffer.allocUnsafeSlow(size);
      await readInto(file, bytes, offset);
      await write(name, [bytes]);
    }
  } finally {
    await file.close();
  }
}

async function writePages(
  { plan: { options, run } }: OpenPlan<PlanOfPictures>,
  out: string,
  images: number,
  others: ReadonlySet<string>,
): Promise<string[]> {
  const { picture } = readOptions('the outputs', outputOptions, options.outputs ?? {});
  return writeIndexPages({
    out,
    results: join(out, resultsFile),
    images,
    model: basename(options.model),
    layers: run.layers ?? [],
    takesClips: 'clips' in run.settings,
    overOriginal: picture === 'original',
    others,
  });
}
