import { isAbsolute, sep } from 'node:path';
import * as v from 'valibot';

/** What the files of a plan must be, whoever has written them: a storage is a place that others reach. */

const sha256 = v.pipe(v.string(), v.regex(/^[0-9a-f]{64}$/));
const whole = v.pipe(v.number(), v.safeInteger(), v.minValue(0));
const settings = v.record(v.string(), v.unknown());

/** A name in a folder, which leads nowhere else. */
const fileName = v.pipe(v.string(), v.check(isBelow), v.excludes('/'));

const common = { format: v.literal('gradcampp shards 1'), gradcampp: v.string(), checksum: sha256 };

const ofPictures = v.looseObject({
  ...common,
  evaluation: v.optional(v.undefined()),
  options: v.looseObject({
    model: v.string(),
    open: v.optional(settings),
    explain: v.optional(settings),
    outputs: v.optional(settings),
  }),
  run: v.looseObject({
    command: v.string(),
    models: v.array(v.looseObject({ path: v.string(), sha256 })),
    layers: v.optional(v.array(v.string())),
    backend: v.optional(v.string()),
    settings,
  }),
  shards: v.pipe(
    v.array(
      v.union([v.object({ pictures: whole, sha256 }), v.object({ archive: v.string(), name: fileName })]),
    ),
    v.minLength(1),
  ),
});

const ofEvaluation = v.looseObject({
  ...common,
  evaluation: v.looseObject({
    name: v.string(),
    options: settings,
    files: whole,
    filesSha256: v.string(),
    models: v.array(sha256),
  }),
  shards: v.pipe(v.array(v.object({ part: whole })), v.minLength(1)),
});

const output = v.object({ name: v.pipe(v.string(), v.check(isBelow)), size: whole, sha256 });

const told = { plan: sha256, shard: whole, images: whole, failed: whole };
const manifestOfPictures = v.looseObject({
  ...told,
  outputs: v.object({ results: output, inputs: output, files: v.optional(output) }),
});
const manifestOfEvaluation = v.looseObject({ ...told, outputs: v.object({ results: output }) });

/** Whether this is the content of a plan. */
export function isPlan(json: unknown): boolean {
  return v.is(v.union([ofPictures, ofEvaluation]), json);
}

/** Whether this is the content of a manifest, of a plan of pictures or of an evaluation. */
export function isManifest(json: unknown, isOfEvaluation: boolean): boolean {
  return v.is(isOfEvaluation ? manifestOfEvaluation : manifestOfPictures, json);
}

/** Whether a name leads to what is below the folder that it is looked for in, on this machine. */
export function isBelow(name: string): boolean {
  const path = sep === '/' ? name : name.replaceAll(sep, '/');
  return !isAbsolute(name) && !path.split('/').some((part) => part === '' || part === '..');
}
