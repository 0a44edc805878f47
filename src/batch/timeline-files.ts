import { JoinedMaps } from '../clip/joined-maps.js';
import type { Explanation, TargetExplanation } from '../explain/explanation.js';
import { npyHeader } from '../image/npy.js';
import type { GrowingFile, GrowingFiles, Grown } from './results/growing-file.js';

/** A map over a whole video that grows with its clips: one of each method, and of each of several targets. */
interface Growing {
  readonly maps: JoinedMaps;
  readonly file: GrowingFile;
  readonly name: string;
  frames: number;
}

/** Room for what stands before the numbers, which is known last. NumPy pads it to multiples of 64; three dims fit. */
const headerLength = 128;

/** The maps of a video's clips as one `.npy` [T, H, W] over its frames, written as they come. */
export class TimelineFiles {
  readonly #name: string;
  readonly #files: GrowingFiles;
  readonly #growing: Growing[] = [];

  /** @param name what the video's files are called */
  constructor(name: string, files: GrowingFiles) {
    this.#name = name;
    this.#files = files;
  }

  /** @returns what the file of each target of the explanation is called, once it has its name */
  async add({ image: { clip }, targets }: Explanation): Promise<string[]> {
    const names: string[] = [];
    if (!clip) return names;
    for (const [i, { map }] of targets.entries()) {
      const growing = (this.#growing[i] ??= await this.#begin(targets, i));
      await append(growing, growing.maps.add(clip, map));
      names.push(growing.name);
    }
    return names;
  }

  /** Completes the files. */
  async finish(): Promise<Grown[]> {
    const grown: Grown[] = [];
    for (const growing of this.#growing) {
      const { maps, file, name } = growing;
      await append(growing, maps.finish());
      const header = npyHeader('float32', [growing.frames, ...maps.size]);
      grown.push(await file.finish(name, header));
    }
    return grown;
  }

  async #begin(targets: readonly TargetExplanation[], i: number): Promise<Growing> {
    const file = await this.#files.begin();
    await file.append(new Uint8Array(headerLength));
    return {
      maps: new JoinedMaps(),
      file,
      name: `${this.#name}${suffixOf(targets, i)}.timeline.npy`,
      frames: 0,
    };
  }
}

/** ".2" for the second of several targets, which may be another class in each clip, and the method where there are several. */
function suffixOf(targets: readonly TargetExplanation[], i: number): string {
  const keys = targets.map(({ method, layers }) => JSON.stringify([method, layers]));
  const own = targets.filter((_, j) => keys[j] === keys[i]);
  const ofTarget = own.length > 1 ? `.${own.indexOf(targets[i]) + 1}` : '';
  const methods = [...new Set(targets.map(({ method }) => method))];
  const ofMethod = methods.length > 1 ? `.${targets[i].method}` : '';
  const layers = new Set(targets.map(({ layers: own }) => own.join('+')));
  const short = targets[i].layers
    .join('+')
    .replaceAll(/[^\p{L}\p{N}+]+/gu, '-')
    .slice(0, 60);
  return `${ofTarget}${ofMethod}${layers.size > 1 ? `.${short}` : ''}`;
}

async function append(growing: Growing, frames: readonly Float32Array[]): Promise<void> {
  for (const frame of frames)
    await growing.file.append(new Uint8Array(frame.buffer, frame.byteOffset, frame.byteLength));
  growing.frames += frames.length;
}
