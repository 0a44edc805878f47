import type { ExplainOptions } from '../../src/explain/explain-options.js';

interface GpuCase extends ExplainOptions {
  /** Whether activations and gradients stay on the GPU. */
  readonly stays: boolean;
  /** How far maps may be from the CPU's; default 1e-4. */
  readonly within?: number;
}

/** What is asked of SqueezeNet (test/support/families.ts) on a GPU, in Node.js and in a page, and held to the CPU. */
export const gpuCases: Readonly<Record<string, GpuCase>> = {
  'a map of each of several layers': {
    layer: ['concat18', 'concat32', 'relu36'],
    eachLayer: true,
    method: ['grad-cam++', 'hires-cam'],
    stays: true,
  },
  'several layers as one': {
    layer: ['concat18', 'concat32'],
    combine: 'max',
    method: ['xgrad-cam', 'layer-cam'],
    stays: true,
  },
  'a class against others': {
    layer: ['concat18'],
    targets: [{ kind: 'contrast', class: 1, rivals: [0, 3] }, { kind: 'contrast' }],
    method: ['grad-cam++', 'grad-cam'],
    stays: true,
  },
  'what maps are made of': { layer: ['concat18'], evidence: true, method: ['grad-cam++'], stays: false },
  'the softmax form': {
    layer: ['concat18'],
    method: [{ method: 'grad-cam++', form: 'softmax' }],
    stays: false,
    within: 5e-4, // central moments of float32 gradients
  },
  'second derivatives, changed activations and pictures': {
    layer: ['concat18'],
    method: ['shapley-cam', 'ablation-cam', 'recipro-cam', 'score-cam'],
    stays: false,
  },
  'the same behind which all is linear': {
    layer: ['relu36'],
    method: ['shapley-cam', 'ablation-cam', 'recipro-cam'],
    stays: false,
  },
};
