import type { GradcamppError } from '../errors.js';
import { valueInfo } from '../graph/graph.js';
import { isPicture } from '../graph/tokens.js';
import { mapMethods } from '../map/backend.js';
import type { OpenedBackend } from '../map/open-backend.js';
import type { Form } from '../methods/grad-cam++.js';
import { DataType } from '../onnx/types.js';
import { canHold } from '../runtime/session.js';
import type { ExplainerOptions, MethodSettings, Settings } from './explain-options.js';
import type { Wanted } from './layout.js';
import type { Network } from './network.js';

/** What an explanation asks of the GPU. */
interface Asked {
  readonly network: Network;
  readonly layers: readonly Wanted[];
  readonly layerProblem: GradcamppError | undefined;
  readonly backend: Pick<OpenedBackend, 'asked'>;
}

/**
 * Whether activations and gradients can stay on the GPU until they are maps: the network runs there, the kernel knows the methods'
 * weights, and nobody asks for a backend on the processor, or for the numbers themselves.
 */
export async function staysOnGpu(
  { network, layers, layerProblem, backend }: Asked,
  { variants, evidence }: Pick<Settings, 'variants' | 'evidence'>,
): Promise<boolean> {
  if (evidence || layerProblem || !['auto', 'webgpu'].includes(backend.asked)) return false;
  return variants.every(isFused) && layers.every((own) => isPlain(network, own)) && network.canHold();
}

/** Whether maps of a network that is opened so are made on the GPU where they can be. */
export async function prefersGpu({
  executionProviders,
}: Pick<ExplainerOptions, 'executionProviders'>): Promise<boolean> {
  return canHold({ executionProviders });
}

/** Whether the kernel computes all of a method. The moments of the softmax form are made on the processor. */
export function isFused({ method, settings, modifiers }: MethodSettings): boolean {
  const isKnown = method !== 'cam' && (mapMethods as readonly string[]).includes(method);
  const { form = 'exp' } = settings as { form?: Form };
  return isKnown && form === 'exp' && Object.values(modifiers).every((own) => !own);
}

function isPlain({ graph, image }: Network, layer: Wanted): boolean {
  const { type, dims = [] } = valueInfo(graph, layer.name);
  const rank = dims.length - 2;
  return (
    layer.name !== image.name &&
    type === DataType.FLOAT &&
    rank >= 1 &&
    rank <= 3 &&
    (!layer.layout || isPicture(layer.layout, dims.length))
  );
}
