import { createRequire } from 'node:module';
import { arch, platform } from 'node:process';
import { messageOf } from './errors.js';

/** The shape of the compiled addon (native/addon.cc). Raised whenever a function there changes what it takes. */
const interfaceVersion = 4;

/**
 * What native/addon.cc exports beside the kernels of pictures (src/image/kernels.ts); every function checks its lengths
 * and throws a TypeError or RangeError.
 */
export interface Addon {
  readonly interfaceVersion: number;
  /** What this processor can run, widest last; all give the same bits. */
  readonly instructionSets: readonly string[];
  readonly Pool: new (threads: number, instructionSet?: string) => AddonPool;
}

/** A fixed number of threads, which several calls may share. */
export interface AddonPool {
  readonly threads: number;
  readonly instructionSet: string;
  /** Fills the outputs; false where an input is not finite, and the outputs then mean nothing. */
  maps(request: AddonRequest, outputs: AddonOutputs): Promise<boolean>;
  /** The same, in the calling thread and the pool's. */
  mapsNow(request: AddonRequest, outputs: AddonOutputs): boolean;
  close(): void;
}

/** `MapRequest` with the method as its index in `mapMethods`, and no optional fields. */
export interface AddonRequest {
  readonly method: number;
  readonly softmax: boolean;
  readonly alphaNormalization: boolean;
  readonly gradientRelu: boolean;
  readonly images: number;
  readonly channels: number;
  readonly layer: readonly number[];
  readonly size: readonly number[];
  readonly activations: Float32Array;
  readonly gradients: readonly Float32Array[];
  readonly weights: readonly Float32Array[];
  /** Mean, variance, third; or none. */
  readonly moments: readonly Float32Array[];
}

export interface AddonOutputs {
  readonly raw: readonly Float32Array[];
  readonly maps: readonly Float32Array[];
  readonly empty: readonly Uint8Array[];
}

/** Where an addon may be, and how it is loaded: the prebuilt package of this platform, then what was built here. */
export interface Candidate {
  readonly name: string;
  readonly load: () => Addon;
}

export function addonCandidates(): Candidate[] {
  const require = createRequire(import.meta.url);
  // Linux comes with two C libraries; the wrong one does not load, and the package manager installs only the right one.
  const platforms = platform === 'linux' ? ['linux', 'linuxmusl'] : [platform];
  return [
    ...platforms.map((p) => `@gradcampp/native-${p}-${arch}`),
    // The same from src/ and from dist/.
    '../build/Release/gradcampp.node',
  ].map((name) => ({ name, load: () => require(name) as Addon }));
}

/** The first candidate that loads and fits this version, or what is wrong with each. */
export function loadAddon(
  candidates: readonly Candidate[] = addonCandidates(),
): Addon | { problems: string[] } {
  const problems: string[] = [];
  for (const { name, load } of candidates) {
    try {
      const addon = load();
      if (addon.interfaceVersion === interfaceVersion) return addon;
      problems.push(
        `${name}: interface ${addon.interfaceVersion} instead of ${interfaceVersion}; build it again`,
      );
    } catch (error) {
      const isAbsent = (error as NodeJS.ErrnoException).code === 'MODULE_NOT_FOUND';
      problems.push(`${name}: ${isAbsent ? 'not there' : messageOf(error)}`);
    }
  }
  return { problems };
}
