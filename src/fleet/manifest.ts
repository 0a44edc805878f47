import { createHash } from 'node:crypto';
import { createWriteStream } from 'node:fs';
import { pipeline } from 'node:stream/promises';
import { GradcamppError } from '../errors.js';
import { isManifest } from './formats.js';
import { type OpenPlan, padded } from './plan.js';
import { readWhole } from './storages/index.js';

/** What a shard leaves behind: lines of results, numbered from 0; what its pictures are called and their state; files. */
export const outputNames = { results: 'results.jsonl', inputs: 'inputs.jsonl', files: 'files.tar' } as const;
export type OutputName = keyof typeof outputNames;

/** Says that a shard is done, and of what its results consist. Written last, once. */
export interface Manifest {
  /** The plan's checksum. */
  readonly plan: string;
  readonly shard: number;
  readonly images: number;
  readonly failed: number;
  readonly outputs: {
    readonly results: Output;
    /** Absent for an evaluation. */
    readonly inputs?: Output;
    /** Absent for an evaluation, and for an archive that holds no pictures. */
    readonly files?: Output;
  };
}

export interface Output {
  readonly name: string;
  readonly size: number;
  readonly sha256: string;
}

const folder = 'shards';

export function manifestName(index: number): string {
  return `${folder}/${padded(index)}.json`;
}

/** Where outputs of a shard go: other bytes go elsewhere, so that no run replaces what another's manifest speaks of. */
export function outputName(index: number, output: OutputName, sha256: string): string {
  return `${folder}/${padded(index)}/${sha256.slice(0, 16)}-${outputNames[output]}`;
}

/** The manifest of a shard; undefined where it is not done. @throws GradcamppError INVALID_OPTION where it is another plan's */
export async function readManifest(
  { plan, storage }: OpenPlan,
  index: number,
): Promise<Manifest | undefined> {
  const name = manifestName(index);
  const bytes = await readWhole(storage, name);
  if (!bytes) return undefined;
  const manifest = parsed(bytes, plan.evaluation !== undefined);
  if (manifest?.plan === plan.checksum && manifest.shard === index) return manifest;
  const what = manifest ? 'is of another plan or shard' : 'is damaged';
  throw new GradcamppError(
    'INVALID_OPTION',
    `${name} in "${storage.address}" ${what}. Remove it, and run shard ${index} again.`,
  );
}

function parsed(bytes: Buffer, isOfEvaluation: boolean): Manifest | undefined {
  try {
    const json: unknown = JSON.parse(bytes.toString());
    return isManifest(json, isOfEvaluation) ? (json as Manifest) : undefined;
  } catch {
    return undefined;
  }
}

/** Manifests that are read together. */
const together = 32;

/** The manifest of every shard, in order; undefined for those that are not done. */
export async function readManifests(open: OpenPlan): Promise<(Manifest | undefined)[]> {
  const there = new Set<string>();
  for await (const name of open.storage.list(folder)) there.add(name);
  const manifests: (Manifest | undefined)[] = [];
  const { length } = open.plan.shards;
  for (let start = 0; start < length; start += together) {
    const indices = Array.from({ length: Math.min(together, length - start) }, (_, i) => start + i);
    manifests.push(
      ...(await Promise.all(
        indices.map((index) => (there.has(manifestName(index)) ? readManifest(open, index) : undefined)),
      )),
    );
  }
  return manifests;
}

/** Brings an output onto this machine. @throws GradcamppError OUTPUT where it is not there as the manifest says */
export async function fetchOutput(
  open: OpenPlan,
  manifest: Manifest,
  output: Output,
  path: string,
): Promise<void> {
  await pipeline(piecesOf(open, manifest, output), createWriteStream(path));
}

/** A small output. @throws GradcamppError OUTPUT where it is not there as the manifest says */
export async function readOutput(open: OpenPlan, manifest: Manifest, output: Output): Promise<Buffer> {
  const pieces: Uint8Array[] = [];
  for await (const piece of piecesOf(open, manifest, output)) pieces.push(piece);
  return Buffer.concat(pieces);
}

/** The last piece comes before it is known whether all were right. */
async function* piecesOf(
  { storage }: OpenPlan,
  { shard }: Manifest,
  { name, sha256 }: Output,
): AsyncGenerator<Uint8Array> {
  const hash = createHash('sha256');
  const pieces = await storage.read(name);
  for await (const piece of pieces ?? []) {
    hash.update(piece);
    yield piece;
  }
  if (pieces && hash.digest('hex') === sha256) return;
  throw new GradcamppError(
    'OUTPUT',
    `${name} in "${storage.address}" is ${pieces ? 'not as it was written' : 'not there'}. Remove ${manifestName(shard)}, and run shard ${shard} again.`,
  );
}

/** Numbers of shards as people read them: "3, 7–9". */
export function ranges(indices: readonly number[]): string {
  const found: [first: number, last: number][] = [];
  for (const index of indices) {
    const last = found.at(-1);
    if (last && last[1] === index - 1) last[1] = index;
    else found.push([index, index]);
  }
  return found.map(([first, last]) => (first === last ? `${first}` : `${first}-${last}`)).join(', ');
}
