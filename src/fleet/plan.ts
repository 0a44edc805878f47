import { createHash } from 'node:crypto';
import { describeRun, type RunKind, type RunOptions } from '../batch/explain-folder.js';
import { archiveName, namedPictures, nothingNamed } from '../batch/inputs/inputs.js';
import { LeftOut } from '../batch/inputs/left-out.js';
import { concurrently } from '../batch/ordered.js';
import type { Input } from '../batch/picture.js';
import { ResultNames } from '../batch/results/result-names.js';
import { missing } from '../check.js';
import type { EvaluationName } from '../evaluate/evaluations.js';
import { GradcamppError } from '../errors.js';
import { type OptionsOf, readOptions } from '../options.js';
import { version } from '../package.js';
import { isPlan } from './formats.js';
import { remoteSources } from './remote-pictures.js';
import { planOptions } from './shard-options.js';
import { openStorage, readWhole, type Storage } from './storages/index.js';

const planFile = 'plan.json';

/** Lists that are written together: each waits for the storage. */
const listsTogether = 8;

/** What every machine has to know: `plan.json`. */
export type Plan = PlanOfPictures | PlanOfEvaluation;
export type PlanOfPictures = PlannedPictures & Common;
export type PlanOfEvaluation = PlannedEvaluation & Common;

interface Common {
  readonly format: 'gradcampp shards 1';
  readonly gradcampp: string;
  /** SHA-256 over all else. */
  readonly checksum: string;
}

/** An evaluation, whose jobs are dealt out in turn. */
export interface PlannedEvaluation {
  readonly evaluation: {
    readonly name: EvaluationName;
    readonly options: object;
    /** What machines must find: so many files, of these names, and the models. */
    readonly files: number;
    readonly filesSha256: string;
    readonly models: readonly string[];
  };
  readonly shards: readonly { readonly part: number }[];
}

export interface PlannedPictures {
  readonly evaluation?: undefined;
  /** What `explainFolder` is given, beside inputs. */
  readonly options: Pick<RunOptions, 'open' | 'explain' | 'outputs'> & { readonly model: string };
  /** What that comes to, and what every machine's run must come to. */
  readonly run: RunKind;
  readonly shards: readonly Shard[];
}

/** Pictures that are listed in a file of the plan's, or an archive. */
export type Shard =
  | { readonly pictures: number; readonly sha256: string }
  | {
      readonly archive: string;
      /** What the archive of its results is called. */
      readonly name: string;
    };

/** A plan and where it lies. */
export interface OpenPlan<P extends Plan = Plan> {
  readonly plan: P;
  readonly storage: Storage;
}

export type PlanOptions = Pick<RunOptions, 'images' | 'open' | 'explain' | 'outputs' | 'stdin'> &
  OptionsOf<typeof planOptions> & { readonly model: string };

export interface PlanSummary {
  /** Where `plan.json` is. */
  readonly plan: string;
  readonly shards: number;
  /** Pictures; undefined of archives, which are opened when they are explained. */
  readonly images: number | undefined;
  readonly leftOut: LeftOut | undefined;
  readonly notes: readonly string[];
}

/**
 * Cuts inputs into shards, and writes down what is to be done: the list of each shard, then `plan.json`. Planning the same
 * again gives the same plan.
 *
 * @throws GradcamppError also where another plan lies there
 */
export async function planShards(given: PlanOptions): Promise<PlanSummary> {
  const { model, images = [], open, explain, outputs, stdin, ...own } = given;
  const { archives, lists, size, out } = readOptions('the plan', planOptions, own);
  if (out === undefined) throw missing('out', 'where the plan and its results go', '--out <dir>');
  const options = { model, open, explain, outputs };
  const pictures = [...images, ...lists];
  const { kind, batch, notes } = await describeRun({ ...options, images: pictures, archives });
  const storage = await openStorage(out);
  const leftOut = new LeftOut();
  const shards: Shard[] = [];
  const names = new ResultNames();
  for (const archive of archives) shards.push({ archive, name: archiveName(archive, names) });
  const onSkipped = (path: string, reason: string) => leftOut.add(path, reason);
  const named = namedPictures(images, { stdin, onSkipped, lists, remote: remoteSources });
  const planned = listsOf(pictures.length > 0 ? named : [], Math.ceil(size / batch) * batch, shards.length);
  const written = async ({ name, bytes, shard }: List): Promise<Shard> => {
    await storage.put(name, bytes);
    return shard;
  };
  const concurrency = { limit: listsTogether, window: listsTogether, order: 'input' } as const;
  for await (const shard of concurrently(planned, written, concurrency)) shards.push(shard);
  if (shards.length === 0) throw nothingNamed();
  const plan = await writePlan(storage, { options, run: kind, shards });
  const counted = shards.reduce((sum, shard) => sum + ('pictures' in shard ? shard.pictures : 0), 0);
  return {
    plan,
    shards: shards.length,
    images: archives.length > 0 ? undefined : counted,
    leftOut,
    notes,
  };
}

/** @returns where it is. @throws GradcamppError OUTPUT where another one is there */
export async function writePlan(
  storage: Storage,
  planned: PlannedPictures | PlannedEvaluation,
): Promise<string> {
  const plan = withChecksum({ format: 'gradcampp shards 1', gradcampp: version, ...planned });
  if (!(await storage.create(planFile, Buffer.from(`${JSON.stringify(plan)}\n`))))
    await refuseOther(storage, plan);
  return `${storage.address.replace(/\/$/, '')}/${planFile}`;
}

/** @param address of `plan.json`, or of the folder that it is in. @throws GradcamppError INVALID_OPTION */
export async function readPlan(address: string): Promise<OpenPlan> {
  const storage = await openStorage(address.replace(/(^|\/)plan\.json$/, '') || '.');
  const bytes = await readWhole(storage, planFile);
  const refuse = (what: string) => new GradcamppError('INVALID_OPTION', `${JSON.stringify(address)} ${what}`);
  if (!bytes) throw refuse('is no plan: there is no plan.json. gradcampp shard plan makes one.');
  const plan = parsed(bytes);
  if (!plan) throw refuse('is no plan of gradcampp, or is damaged. Plan anew, into another folder.');
  if (plan.gradcampp !== version)
    throw refuse(
      `was made by gradcampp ${plan.gradcampp}; this is ${version}. Use that version, or plan anew.`,
    );
  return { plan, storage };
}

/** The pictures of a shard. @throws GradcamppError INVALID_OPTION */
export async function readList(
  { storage }: Pick<OpenPlan, 'storage'>,
  index: number,
  { sha256 }: { readonly sha256: string },
): Promise<Pick<Input, 'path' | 'name'>[]> {
  const name = listName(index, sha256);
  const bytes = await readWhole(storage, name);
  if (!bytes || createHash('sha256').update(bytes).digest('hex') !== sha256)
    throw new GradcamppError(
      'INVALID_OPTION',
      `The list ${name} of the plan in "${storage.address}" is ${bytes ? 'not as it was planned' : 'not there'}. Plan again, which writes it anew.`,
    );
  return bytes
    .toString()
    .trimEnd()
    .split('\n')
    .map((line) => {
      const [path, own] = JSON.parse(line) as [string, string];
      return { path, name: own };
    });
}

/** A shard's number in names, so that they sort. */
export function padded(index: number): string {
  return String(index).padStart(6, '0');
}

function listName(index: number, sha256: string): string {
  return `lists/${padded(index)}-${sha256.slice(0, 16)}.jsonl`;
}

interface List {
  readonly name: string;
  readonly bytes: Buffer;
  readonly shard: Shard;
}

/** The lists of shards, the first of which is numbered `first`: as bytes, which is all that is held of them. */
async function* listsOf(
  pictures: AsyncIterable<Pick<Input, 'path' | 'name'>> | readonly never[],
  size: number,
  first: number,
): AsyncGenerator<List> {
  let [index, count, text] = [first, 0, ''];
  const list = (): List => {
    const bytes = Buffer.from(text);
    const sha256 = createHash('sha256').update(bytes).digest('hex');
    const whole = { name: listName(index++, sha256), bytes, shard: { pictures: count, sha256 } };
    [count, text] = [0, ''];
    return whole;
  };
  for await (const { path, name } of pictures) {
    text += `${JSON.stringify([path, name])}\n`;
    if (++count === size) yield list();
  }
  if (count > 0) yield list();
}

function withChecksum(planned: Omit<Plan, 'checksum'>): Plan {
  const checksum = createHash('sha256').update(JSON.stringify(planned)).digest('hex');
  return { ...planned, checksum } as Plan;
}

/** The plan; undefined where it is none, or changed. */
function parsed(bytes: Buffer): Plan | undefined {
  try {
    const json: unknown = JSON.parse(bytes.toString());
    if (!isPlan(json)) return undefined;
    const { checksum, ...planned } = json as Plan;
    return withChecksum(planned).checksum === checksum ? ({ ...planned, checksum } as Plan) : undefined;
  } catch {
    return undefined;
  }
}

/** @throws GradcamppError OUTPUT */
async function refuseOther(storage: Storage, { checksum }: Plan): Promise<void> {
  const there = parsed((await readWhole(storage, planFile)) ?? Buffer.of());
  if (there?.checksum === checksum) return;
  throw new GradcamppError(
    'OUTPUT',
    `"${storage.address}" holds another plan. Name another place with --out.`,
  );
}
