import { oneOf, onlyKeys } from '../check.js';
import { messageOf } from '../errors.js';
import { type Contender, chooseBackend } from './auto.js';
import { backendChoices, type BackendName, type MapBackend, type MapRequest } from './backend.js';
import type { BackendChoice } from './compute.js';
import { mayOpenGpu, openNative, warnOfMissing } from './platform.js';
import { openReference } from './reference.js';

export interface BackendOptions {
  /** Threads of the native backend: by default one a processor, and 1 inside a worker thread. */
  readonly threads?: number;
  /** Whether `auto` may open a GPU for requests that are worth it: by default yes, and not inside a worker thread. */
  readonly tryGpu?: boolean;
}

/** A backend by name, or the choice among all; both compute, and say who does and why. */
export interface OpenedBackend extends MapBackend, BackendChoice {
  /** What was asked for. */
  readonly asked: 'auto' | BackendName;
  /** For `auto`, why the last request went where it went. */
  readonly reason: string;
}

/**
 * Opens a backend of the map stage. A named one never falls back: where it cannot run, UNSUPPORTED_BACKEND says what
 * to do. `auto` measures, once per process and class of shapes, and opens what it needs when it needs it.
 */
export async function openBackend(
  name: 'auto' | BackendName = 'auto',
  options: BackendOptions = {},
): Promise<OpenedBackend> {
  oneOf('backend', name, backendChoices);
  onlyKeys('openBackend', options, ['threads', 'tryGpu']);
  if (name === 'auto') return openAuto(options);
  const backend = await openNamed(name, options);
  const reason = 'asked for';
  return {
    asked: name,
    name,
    reason,
    checksFinite: backend.checksFinite,
    choose: async () => ({ backend, reason }),
    compute: (request) => backend.compute(request),
    close: () => backend.close(),
  };
}

async function openNamed(name: BackendName, { threads }: BackendOptions): Promise<MapBackend> {
  if (name === 'reference') return openReference();
  if (name === 'native') return openNative({ threads });
  const { openWebgpu } = await import('./webgpu.js');
  return openWebgpu();
}

let saidMissing = false;

async function openAuto(options: BackendOptions): Promise<OpenedBackend> {
  const opened = new Map<BackendName, Promise<MapBackend>>();
  const contender = (name: BackendName): Contender => ({
    name,
    open: () => {
      if (!opened.has(name)) opened.set(name, openNamed(name, options));
      return opened.get(name)!;
    },
  });
  const reference = contender('reference');
  const native = contender('native');
  const missing = await native.open().then(
    () => undefined,
    (error: unknown) => messageOf(error),
  );
  if (missing !== undefined && !saidMissing) {
    saidMissing = true;
    warnOfMissing(`${missing} The slower TypeScript backend "reference" is used.`);
  }
  const processors = missing === undefined ? [native, reference] : [reference];
  const tryGpu = options.tryGpu ?? mayOpenGpu;
  const gpu = tryGpu ? contender('webgpu') : undefined;
  const key = `${processors.length} ${options.threads} ${tryGpu}`;

  const last: { name: BackendName; reason: string } = { name: processors[0].name, reason: 'not asked yet' };
  const choose = async (request: MapRequest) => {
    const verdict = await chooseBackend(request, processors, gpu, key);
    Object.assign(last, verdict);
    return { backend: await contender(verdict.name).open(), reason: verdict.reason };
  };
  return {
    asked: 'auto',
    get name() {
      return last.name;
    },
    get reason() {
      return last.reason;
    },
    checksFinite: false,
    choose,
    compute: async (request) => (await choose(request)).backend.compute(request),
    close: async () => {
      const backends = await Promise.allSettled(opened.values());
      for (const backend of backends) if (backend.status === 'fulfilled') await backend.value.close();
    },
  };
}
