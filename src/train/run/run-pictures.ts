import { rm, stat } from 'node:fs/promises';
import { dirname, join, relative, resolve } from 'node:path';
import { folderWriter, makeFolder } from '../../batch/results/write-file.js';
import { invalid } from '../../check.js';
import { GradcamppError } from '../../errors.js';
import { filesIn } from '../../image/listing.js';
import type { Preprocessing } from '../../image/preprocess.js';
import { random } from '../../random-stream.js';
import { type Labelled, type Part, parts } from '../data/labelled.js';
import type { PictureSource } from '../data/picture-source.js';
import { type Decoded, decodePictures } from '../data/pictures.js';
import { labelledPictures } from '../data/sources/index.js';
import type { TrainSettings } from './plan.js';
import type { TrainProgress } from './progress.js';

/** The pictures of a run as they were named. */
export interface NamedPictures {
  readonly data: Labelled;
  readonly test: Labelled | undefined;
  /** The mask of each picture of `data`; undefined for those that may be looked at anywhere. */
  readonly masks: readonly (PictureSource | undefined)[] | undefined;
}

/** Draws pictures where not all are wanted: the same for all runs. */
const seed = 1;

/**
 * @param classes the teacher's, in the order of its scores
 * @throws GradcamppError INVALID_OPTION
 */
export async function namedPictures(
  settings: TrainSettings,
  classes: readonly string[] | undefined,
): Promise<NamedPictures> {
  const path = settings.data as string;
  const several =
    settings.classesPerPicture === undefined ? undefined : settings.classesPerPicture === 'several';
  const whole = await labelledPictures('data', path, { classes, several });
  if (whole.classes.length < 2) throw invalid('data', 'pictures of at least two classes', path);
  const found = toLearnFrom(whole, path);
  const test =
    settings.test === undefined ? ownTest('data', whole, path) : await testPictures(settings.test, found);
  const data = limited(found, settings.limit);
  const isFolder = (await stat(path).catch(() => undefined))?.isDirectory();
  const masks =
    settings.masks === undefined
      ? undefined
      : await masksOf(settings.masks, data, isFolder ? path : dirname(path));
  return { data, test, masks };
}

/** The pictures that are for this, where the source says what they are for; undefined where there are none. */
function partOf(of: Labelled, wanted: readonly Part[]): Labelled | undefined {
  const chosen = of.pictures.flatMap((_, i) => (of.parts && wanted.includes(of.parts[i]) ? [i] : []));
  return chosen.length > 0 ? { ...selected(of, chosen), notes: [] } : undefined;
}

/** All but those that are for the test. @throws GradcamppError where a class has nothing to train on */
function toLearnFrom(of: Labelled, path: string): Labelled {
  const { parts: own, classes, labels, notes } = of;
  if (!own) return of;
  const counts = parts.map((part) => own.filter((other) => other === part).length);
  const there = new Set(labels.flatMap((list, i) => (own[i] === 'train' ? list : [])));
  const empty = classes.find((_, label) => !there.has(label));
  if (empty !== undefined)
    throw new GradcamppError(
      'INVALID_OPTION',
      `"data" ${JSON.stringify(path)} has no pictures of class "${empty}" to train on, only for ${own.includes('test') ? 'validation or test' : 'validation'}: add some, or take the class away.`,
    );
  const told = `"data": ${parts.flatMap((part, i) => (counts[i] > 0 ? [`${counts[i]} for ${part}`] : [])).join(', ')}.`;
  return { ...(partOf(of, ['train', 'validation']) as Labelled), notes: [...notes, told] };
}

/** What a source has for the test; undefined: it says nothing of that. @throws GradcamppError where a class has nothing */
function ownTest(option: string, of: Labelled, path: string): Labelled | undefined {
  const own = partOf(of, ['test']);
  const there = new Set(own?.labels.flat());
  const empty = own && of.classes.find((_, label) => !there.has(label));
  if (empty === undefined) return own;
  throw new GradcamppError(
    'INVALID_OPTION',
    `"${option}" ${JSON.stringify(path)} has no pictures of class "${empty}" for test: add some, or take the class away.`,
  );
}

/** Pictures to test on, of the same classes; of a list that says what its pictures are for, those. Those that are trained on too are said. */
async function testPictures(path: string, data: Labelled): Promise<Labelled> {
  const whole = await labelledPictures('test', path, { classes: data.classes, several: data.isMultiLabel });
  const own = ownTest('test', whole, path);
  const test = own
    ? { ...own, notes: [...whole.notes, `"test": ${own.pictures.length} for test are taken.`] }
    : whole;
  const known = new Set(data.pictures.map(({ name }) => resolve(name)));
  const shared = test.pictures.filter(({ name }) => known.has(resolve(name)));
  if (shared.length === 0) return test;
  const again = `${shared.length} of the ${test.pictures.length} pictures of "test" are among those of "data" too, as ${JSON.stringify(shared[0].name)}: what is measured on them says nothing of new ones.`;
  return { ...test, notes: [...test.notes, again] };
}

/** So many pictures of each class, drawn. */
function limited(data: Labelled, limit: number | undefined): Labelled {
  if (limit === undefined) return data;
  const some = data.classes.flatMap((_, label) => {
    const own = data.labels.flatMap((other, i) => (other.includes(label) ? [i] : []));
    return random(seed, 'limit', label)
      .shuffle(own)
      .slice(0, limit)
      .sort((a, b) => a - b);
  });
  return selected(data, [...new Set(some)]);
}

function selected(data: Labelled, chosen: readonly number[]): Labelled {
  return {
    ...data,
    pictures: chosen.map((i) => data.pictures[i]),
    labels: chosen.map((i) => data.labels[i]),
    parts: data.parts && chosen.map((i) => (data.parts as readonly Part[])[i]),
  };
}

/** The mask of each picture, which is called like it; a picture without one may be looked at anywhere. */
async function masksOf(
  masks: string,
  { pictures }: Labelled,
  folder: string,
): Promise<(PictureSource | undefined)[]> {
  const keyOf = (root: string, file: string) => relative(root, file).replace(/\.\w+$/, '');
  const { files: there, closed } = await filesIn(masks);
  if (there.length === 0 || closed.length > 0)
    throw invalid('masks', 'a folder that holds a mask for pictures of "data"', masks);
  const known = new Map(there.map((file) => [keyOf(masks, file), file]));
  const found = pictures.map(({ name }) => known.get(keyOf(folder, name)));
  if (found.every((file) => file === undefined))
    throw new GradcamppError(
      'INVALID_OPTION',
      `"masks" ${JSON.stringify(masks)} has no mask of any picture: that of ${JSON.stringify(pictures[0].name)} would be "${keyOf(folder, pictures[0].name)}.png" there.`,
    );
  return found.map((file) => (file === undefined ? undefined : { name: file, file }));
}

/** Pictures at the size of the input, in a file of the cache. */
interface InFile extends Labelled {
  readonly file: string;
}

/** The pictures of a run as networks see them. */
export interface DecodedPictures {
  readonly data: InFile;
  readonly test: InFile | undefined;
  /** The file of the masks. */
  readonly masks: string | undefined;
  /** What was left out, a sentence. */
  readonly notes: readonly string[];
}

/** Where decoded pictures are kept. */
export function cacheOf({ cache, out }: TrainSettings): string {
  return cache ?? join(out, '.cache');
}

/** In the output folder: a sentence for each picture that cannot be read. */
const unreadableFile = 'unreadable.txt';

/**
 * Decodes all pictures.
 *
 * @throws GradcamppError INVALID_IMAGE naming what cannot be read, unless that is to be skipped; a mask never is
 */
export async function decodedPictures(
  { data, test, masks }: NamedPictures,
  settings: TrainSettings,
  preprocessing: Preprocessing,
  onProgress: (progress: TrainProgress) => void,
): Promise<DecodedPictures> {
  const { out, skipUnreadable } = settings;
  const cache = cacheOf(settings);
  await makeFolder(join(cache, '.partial'));
  const all = [data.pictures, test?.pictures ?? [], masks ?? []];
  const total = all.reduce((sum, { length }) => sum + length, 0);
  let before = 0;
  const decoded: Decoded[] = [];
  for (const pictures of all) {
    const onDecoded = (done: number) =>
      onProgress({ stage: 'pictures', done: before + done, total, note: 'pictures decoded' });
    decoded.push(await decodePictures(pictures, preprocessing, cache, onDecoded));
    before += pictures.length;
  }
  const [first, second, third] = decoded;
  await rm(join(out, unreadableFile), { force: true });
  const found = decoded.flatMap(({ unreadable }) => unreadable.map(({ reason }) => reason));
  const write = folderWriter(out, 'unreadable');
  if (found.length > 0) await write(unreadableFile, [Buffer.from(`${found.join('\n')}\n`)]);
  if (found.length > 0 && (!skipUnreadable || third.unreadable.length > 0))
    throw new GradcamppError('INVALID_IMAGE', refusal(found, total, out, third.unreadable.length > 0));
  const notes =
    found.length > 0
      ? [
          `${found.length} of ${total} pictures cannot be read and are left out; ${unreadableFile} lists them.`,
        ]
      : [];
  return {
    data: readable('data', data, first),
    test: test && readable('test', test, second),
    masks: masks && (await masksOfReadable(masks, first, { preprocessing, cache, all: third.name })),
    notes,
  };
}

/** So many reasons are said; the rest stands in the file. */
const mostSaid = 8;

function refusal(reasons: readonly string[], total: number, out: string, isOfMasks: boolean): string {
  const rest = reasons.length - mostSaid;
  const others =
    rest > 0 ? ` And ${rest} more, all listed in ${JSON.stringify(join(out, unreadableFile))}.` : '';
  const advice = isOfMasks
    ? 'Mend or remove them.'
    : 'Mend or remove them, or train without them: --skip-unreadable.';
  const count = `${reasons.length} of ${total} ${total === 1 ? 'picture' : 'pictures'} cannot be read.`;
  return `${count} ${reasons.slice(0, mostSaid).join(' ')}${others} ${advice}`;
}

/** Those that could be read. @throws GradcamppError where a class has none */
function readable(option: string, data: Labelled, { name, unreadable }: Decoded): InFile {
  if (unreadable.length === 0) return { ...data, file: name };
  const gone = new Set(unreadable.map(({ index }) => index));
  const rest = selected(
    data,
    data.pictures.flatMap((_, i) => (gone.has(i) ? [] : [i])),
  );
  const there = new Set(rest.labels.flat());
  const empty = data.classes.find((_, label) => !there.has(label));
  if (empty !== undefined)
    throw new GradcamppError(
      'INVALID_IMAGE',
      `"${option}" has no picture of class "${empty}" that can be read; ${unreadable[0].reason}`,
    );
  return { ...rest, file: name };
}

/** Masks are those of the pictures that are left, in their order. */
async function masksOfReadable(
  masks: readonly (PictureSource | undefined)[],
  { unreadable }: Decoded,
  own: { preprocessing: Preprocessing; cache: string; all: string },
): Promise<string> {
  if (unreadable.length === 0) return own.all;
  const gone = new Set(unreadable.map(({ index }) => index));
  const left = masks.filter((_, i) => !gone.has(i));
  return (await decodePictures(left, own.preprocessing, own.cache)).name;
}
