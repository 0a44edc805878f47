import { readManifests } from './manifest.js';
import { readPlan } from './plan.js';

export interface ShardStatus {
  readonly shards: number;
  readonly done: number;
  /** Numbers of the shards that are not done. */
  readonly missing: readonly number[];
  /** Pictures of those that are done, and how many of them failed. */
  readonly images: number;
  readonly failed: number;
}

/** How far the shards of a plan are. @throws GradcamppError */
export async function shardStatus(plan: string): Promise<ShardStatus> {
  const manifests = await readManifests(await readPlan(plan));
  const done = manifests.filter((manifest) => manifest !== undefined);
  return {
    shards: manifests.length,
    done: done.length,
    missing: manifests.flatMap((manifest, index) => (manifest ? [] : [index])),
    images: done.reduce((sum, { images }) => sum + images, 0),
    failed: done.reduce((sum, { failed }) => sum + failed, 0),
  };
}
