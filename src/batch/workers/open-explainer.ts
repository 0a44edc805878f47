import { createHash } from 'node:crypto';
import { messageOf } from '../../errors.js';
import { NetworkExplainer } from '../../explain/network-explainer.js';
import type { ExplainerOptions, Settings } from '../../explain/explain-options.js';
import { prefersGpu } from '../../explain/stays-on-gpu.js';
import type { ClipPreprocessing } from '../../clip/clip.js';
import type { Preprocessing } from '../../image/preprocess.js';
import type { BackendName } from '../../map/backend.js';
import { openBackend } from '../../map/open-backend.js';

/** What every worker opens. */
export interface Opening {
  /** A path or the bytes of the model. */
  readonly model: string | Uint8Array;
  readonly open: ExplainerOptions;
}

/** What a run knows once its first explainer is open. */
export interface Opened {
  readonly layers: readonly string[];
  readonly layerIsAutomatic: boolean;
  readonly notes: readonly string[];
  readonly backend: BackendName;
  /** What the model's sidecar and dims came to, since these files are not part of the options. */
  readonly output: string;
  readonly preprocessing: Preprocessing | undefined;
  readonly clips: ClipPreprocessing | undefined;
  readonly classesSha256: string | undefined;
  /** N of the model, where it is fixed. */
  readonly fixedBatch: number | undefined;
}

/**
 * An explainer for one of several workers: one thread, everything made that the first picture would wait for, the
 * targets checked. Backend "auto" means the GPU or the addon: it is not measured, because two workers might
 * then choose differently, and the same picture give maps that differ in the last bits.
 */
export async function openForBatch(
  { model, open }: Opening,
  settings: Settings,
): Promise<{ explainer: NetworkExplainer; opened: Opened }> {
  const { backend, note } = await chooseBackend(open);
  const explainer = await NetworkExplainer.open(model, { threads: 1, ...open, backend });
  const notes = [...explainer.notesFor(settings), ...(note ? [note] : [])];
  try {
    notes.push(...(await explainer.checkTargets(settings)));
    notes.push(...(await explainer.warmUp(settings)));
  } catch (error) {
    await explainer.close();
    throw error;
  }
  const { layers, layerIsAutomatic, preprocessing, clips, scores, classes, network } = explainer;
  const opened = {
    layers,
    layerIsAutomatic,
    notes,
    backend,
    output: scores.info.name,
    preprocessing,
    clips,
    classesSha256: classes && createHash('sha256').update(JSON.stringify(classes)).digest('hex'),
    fixedBatch: network.fixedBatch,
  };
  return { explainer, opened };
}

/**
 * The backend of every worker of a run: the GPU where networks leave there what maps are made of, else the addon where there is one,
 * and where there is none a note of why.
 */
export async function chooseBackend({
  backend: choice = 'auto',
  executionProviders,
}: Pick<ExplainerOptions, 'backend' | 'executionProviders'>): Promise<{
  backend: BackendName;
  note?: string;
}> {
  if (choice !== 'auto') return { backend: choice };
  if (await prefersGpu({ executionProviders })) return { backend: 'webgpu' };
  try {
    await (await openBackend('native', { threads: 1 })).close();
    return { backend: 'native' };
  } catch (error) {
    return { backend: 'reference', note: `${messageOf(error)} The slower backend "reference" is used.` };
  }
}
