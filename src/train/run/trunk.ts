import { createHash } from 'node:crypto';
import { stat } from 'node:fs/promises';
import { join } from 'node:path';
import { folderWriter } from '../../batch/results/write-file.js';
import { hashFile } from '../../files.js';
import { type Graph, namesOf, readsOf, subgraph, valueInfo } from '../../graph/graph.js';
import { DataType } from '../../onnx/types.js';
import { inferValues } from '../../runtime/infer.js';
import { openSession } from '../../runtime/session.js';
import { type Tensor, sizeOf } from '../../tensor.js';
import type { KeptValues } from '../data/kept.js';
import { readPictures } from '../data/pictures.js';
import { Views } from '../data/views.js';
import { forUse } from '../training-form.js';
import type { RunPlan } from './plan.js';
import type { TrainProgress } from './progress.js';
import type { TrunkFiles } from './trunk-files.js';
import { isFile, type StudentNetwork, studentNetwork } from './student-network.js';

/** Outputs of more bytes are computed in every step. */
const mostKept = 2 ** 30;

/** Pictures that go through together. */
const together = 64;

/**
 * What lies before `trainFrom` does not change while it is trained behind it: it is run once for every view, in the form of a
 * network that is used, and what it gives is kept.
 *
 * @returns a sentence where it is computed in every step instead
 */
export async function trunkOf(
  plan: Omit<RunPlan, 'lessons' | 'trunk'>,
  count: number,
  onProgress: (progress: TrainProgress) => void,
): Promise<TrunkFiles | string | undefined> {
  const { settings, preprocessing, classes, seed } = plan;
  const { student, trainFrom } = settings;
  if (trainFrom === undefined || !isFile(student)) return undefined;
  const network = await studentNetwork({ ...settings, classes: classes.length, preprocessing, seed });
  const trunk = await inferValues(
    forUse(subgraph(network.graph, network.graph.inputs, [valueInfo(network.graph, trainFrom)])),
  );
  const dims = valueInfo(trunk, trainFrom).dims?.slice(1);
  const [own] = dims?.every((dim): dim is number => typeof dim === 'number') ? [dims] : [];
  const inEveryStep = (why: string) => `What is before "${trainFrom}" is computed in every step: ${why}.`;
  if (!own || !isCut(network, trainFrom)) return inEveryStep('connections of the network lead past it');
  const rows = count * plan.labels.length + plan.validation.length;
  const bytes = rows * sizeOf(own) * 4;
  if (bytes > mostKept)
    return inEveryStep(
      `kept, it would take ${(bytes / 2 ** 30).toFixed(1)} GiB, and 1 GiB at most is kept; fewer --views make it less`,
    );
  const key = [await hashFile(student), trainFrom, settings.augment, seed, plan.pictures];
  const files = await computed(plan, { trunk, network, key, dims: own, count, onProgress });
  return { ...files, dims: own };
}

/** Whether all that is behind a value depends on the picture through it alone, the layer of the maps too. */
function isCut({ graph, layer }: StudentNetwork, cut: string): boolean {
  const head = headOf(graph, cut, []);
  const there = new Set(namesOf(head));
  const isWhole = head.nodes.every((node) => readsOf(node).every((name) => there.has(name)));
  return isWhole && there.has(layer);
}

/** The network behind a value. @param dims of the value, without N */
function headOf(graph: Graph, cut: string, dims: readonly number[]): Graph {
  return subgraph(graph, [{ name: cut, type: DataType.FLOAT, dims: ['N', ...dims] }], graph.outputs);
}

/** The part of a student that is trained, which takes what is kept for its picture. */
export function headNetwork(network: StudentNetwork, cut: string, { dims }: TrunkFiles): StudentNetwork {
  return { ...network, graph: headOf(network.graph, cut, dims), image: cut };
}

/** The whole student with what its head has learned, as it is used. */
export function withHead({ graph }: StudentNetwork, head: Graph): Graph {
  return forUse({ ...graph, constants: new Map([...graph.constants, ...head.constants]) });
}

async function computed(
  plan: Omit<RunPlan, 'lessons' | 'trunk'>,
  own: {
    trunk: Graph;
    network: StudentNetwork;
    key: unknown;
    dims: readonly number[];
    count: number;
    onProgress: (progress: TrainProgress) => void;
  },
): Promise<Omit<TrunkFiles, 'dims'>> {
  const { settings, preprocessing, cache, seed, validation } = plan;
  const { trunk, network, key, dims, count, onProgress } = own;
  const pictures = await readPictures(cache, plan.pictures, preprocessing.size);
  const views = new Views(pictures, { preprocessing, augment: settings.augment, seed });
  const all = plan.labels.map((_, i) => i);
  const total = count * all.length + validation.length;
  const [output] = trunk.outputs;
  const session = await openSession(trunk, { threads: settings.workers });
  let done = 0;
  const run = async (what: number | 'original', of: readonly number[]): Promise<string> => {
    const hash = createHash('sha256').update(JSON.stringify([key, what, what === 'original' ? of : 0]));
    const name = `trunk-${hash.digest('hex').slice(0, 16)}.f32`;
    const size = sizeOf(dims);
    const known = await stat(join(cache, name)).catch(() => undefined);
    if (known?.size === of.length * size * 4) return name;
    const rows = new Float32Array(of.length * size);
    for (let start = 0; start < of.length; start += together) {
      const some = of.slice(start, start + together);
      const feed: Tensor = {
        type: 'float32',
        dims: [some.length, ...views.dims],
        data: views.batch(some, what),
      };
      rows.set(
        (await session.run({ [network.image]: feed }))[output.name].data as Float32Array,
        start * size,
      );
      done += some.length;
      onProgress({
        stage: 'trunk',
        done,
        total,
        note: `views shown to what is before ${settings.trainFrom}`,
      });
    }
    const bytes = new Uint8Array(rows.buffer, rows.byteOffset, rows.byteLength);
    await folderWriter(cache, 'trunk')(name, [bytes]);
    return name;
  };
  try {
    const names: string[] = [];
    for (let view = 0; view < count; view++) names.push(await run(view, all));
    return { views: names, originals: await run('original', validation) };
  } finally {
    await session.close();
  }
}

/** What `trunkOf` left. */
export function keptIn(
  cache: string,
  { views, originals, dims }: TrunkFiles,
  validation: readonly number[],
): KeptValues {
  const at = (name: string) => join(cache, name);
  return { dims, views: views.map(at), originals: at(originals), originalsOf: validation };
}
