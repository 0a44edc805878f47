import { invalid, oneOf } from '../check.js';
import type { ExplainerOptions } from '../explain/explain-options.js';
import { isSoftware } from '../map/webgpu/device.js';
import { type WebProvider, webProviders } from '../runtime/onnxruntime.web.js';

/**
 * The execution provider that runs the network: the first of those named that is there, else the last of them. Where none is named,
 * WebGPU on a GPU, but not on a program that stands in for one, which is slower than WebAssembly; and WebAssembly where the caller
 * names ONNX Runtime's module, which may be the one without WebGPU.
 *
 * @returns what the user should know of the choice, too
 */
export async function chosenProvider(
  named: ExplainerOptions['executionProviders'],
  isModuleNamed: boolean,
  gpu: Pick<GPU, 'requestAdapter'> | undefined = globalThis.navigator?.gpu,
): Promise<{ readonly provider: WebProvider; readonly note?: string }> {
  if (named?.length === 0) throw invalid('executionProviders', `one of ${webProviders.join(', ')}`, named);
  const asked = named?.map((item) =>
    oneOf('executionProviders', typeof item === 'object' ? item.name : item, webProviders),
  );
  const list: readonly WebProvider[] = asked ?? (isModuleNamed ? ['wasm'] : ['webgpu', 'wasm']);
  const [first, second] = list;
  if (first === 'wasm' || second === undefined) return { provider: first };
  const adapter = await gpu?.requestAdapter().catch(() => null);
  if (adapter && (asked || !isSoftware(adapter.info))) {
    const { vendor, architecture } = adapter.info;
    const name = [vendor, architecture].filter(Boolean).join(' ');
    return { provider: first, note: `The network runs on the GPU (webgpu${name && `, ${name}`}).` };
  }
  return asked
    ? { provider: second, note: 'The network runs on the CPU (wasm): the browser gives no GPU.' }
    : { provider: second };
}
