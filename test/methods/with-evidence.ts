import { vi } from 'vitest';
import { Explainer } from '../../src/batch/explainer.js';
import type { ExplainerOptions, ExplainOptions } from '../../src/explain/explain-options.js';
import { ablationCam } from '../../src/methods/ablation-cam.js';
import type { Evidence } from '../../src/methods/common/evidence.js';
import type { Tensor } from '../../src/tensor.js';

/** Lets a test look at what Ablation-CAM, which needs the head, sees of a network. */
export async function withEvidence(
  model: Uint8Array | string,
  images: Tensor,
  options: ExplainerOptions & Pick<ExplainOptions, 'targets' | 'batchSize'>,
  use: (evidence: Evidence) => Promise<void>,
): Promise<void> {
  const { targets, batchSize, ...open } = options;
  await using explainer = await Explainer.open(model, { backend: 'reference', ...open });
  let isSeen = false;
  const spy = vi.spyOn(ablationCam, 'map').mockImplementation(async (evidence) => {
    isSeen = true;
    await use(evidence);
    const { images: N, layer } = evidence;
    return { by: 'channel', weights: new Float32Array(N * layer.channels) };
  });
  try {
    await explainer.explain(images, { method: 'ablation-cam', targets, batchSize });
    if (!isSeen) throw new Error('no evidence was seen');
  } finally {
    spy.mockRestore();
  }
}
