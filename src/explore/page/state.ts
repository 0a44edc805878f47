import { computed, effect, type ReadonlySignal, signal } from '@preact/signals';
import type { Captioner, Explainer, PageFile } from '../../web/index.js';
import type { Session } from '../session.js';
import { initial, linkOf, type Settings, settingsOf } from './settings.js';

/** A picture that can be looked at. */
export interface Picture {
  readonly name: string;
  /** What a command calls it. */
  readonly path: string;
  /** For an image element. */
  readonly url: string;
  /** Its file. */
  readonly blob: () => Promise<Blob>;
}

/** What says what the first model, an encoder, sees. */
export interface CaptionFiles {
  readonly decoder: PageFile;
  readonly withoutPast?: PageFile;
  readonly tokenizer?: PageFile;
  readonly tokenizerConfig?: PageFile;
  readonly generation: readonly PageFile[];
  readonly begin?: number;
  readonly end?: readonly number[];
  /** What a command calls them. */
  readonly paths: { readonly decoder: string; readonly tokenizer?: string };
}

/** What a model is opened from. */
export interface ModelFiles {
  readonly name: string;
  readonly path: string;
  readonly file: PageFile;
  readonly preprocess?: object;
  readonly preprocessPath?: string;
  readonly externalData: Readonly<Record<string, PageFile>>;
  readonly caption?: CaptionFiles;
}

/** What is asked of both. */
interface Facts extends Pick<Captioner, 'candidates' | 'layers' | 'layerIsAutomatic' | 'preprocessing'> {
  readonly classes?: Explainer['classes'];
  readonly defaultTarget?: Explainer['defaultTarget'];
  readonly notes: readonly string[];
  readonly provider: string;
  close(): Promise<void>;
}

/** A model that is open, and the layers of the slider, best first. */
export interface OpenModel extends ModelFiles {
  readonly facts: Facts;
  /** The one or the other. */
  readonly explainer?: Explainer;
  readonly captioner?: Captioner;
  readonly layers: readonly {
    readonly name: string;
    readonly dims: readonly (number | string)[];
    readonly opType: string;
  }[];
}

export type Status =
  | { readonly kind: 'empty' | 'ready' }
  | { readonly kind: 'opening'; readonly what: string; readonly share?: number }
  | { readonly kind: 'failed'; readonly message: string };

export const session = signal<Session>({
  pictures: [],
  runtime: { wasm: 'ort/ort.wasm.bundle.min.mjs', webgpu: 'ort/ort.webgpu.bundle.min.mjs' },
  settings: '',
  isReduced: false,
});
export const settings = signal<Settings>(settingsOf(''));
export const pictures = signal<readonly Picture[]>([]);
export const model = signal<OpenModel | undefined>(undefined);
export const status = signal<Status>({ kind: 'empty' });
/** Whether something is being computed, and the last thing that went wrong with it. */
export const isBusy = signal(false);
export const problem = signal('');
/** Said to screen readers. */
export const spoken = signal('');
/** The place under the pointer, in pixels of the picture. */
export const pointer = signal<{ readonly x: number; readonly y: number } | undefined>(undefined);
/** What a click in the picture does. */
export const tool = signal<'look' | 'pick' | 'brush'>('look');

/** Settings one by one: who reads one follows that one alone. */
function oneByOne(all: ReadonlySignal<Settings>): Settings {
  const parts = Object.keys(initial).map((key) => {
    const own = computed(() => all.value[key as keyof Settings]);
    return [key, { get: () => own.value, enumerable: true }] as const;
  });
  return Object.defineProperties({}, Object.fromEntries(parts)) as Settings;
}

export const now = oneByOne(settings);
/** What the settings were when they last rested: what is not looked at at once follows these. */
export const rested = signal<Settings>(settings.value);
export const later = oneByOne(rested);
const restAfter = 150;

export function change(part: Partial<Settings>): void {
  settings.value = { ...settings.value, ...part };
}

/** The picture that is looked at: the one that is named, or the first. */
export const picture = computed(
  () => pictures.value.find(({ name }) => name === now.picture) ?? pictures.value[0],
);
export const layer = computed(() => now.layer || model.value?.facts.layers[0] || '');
export const restedLayer = computed(() => later.layer || model.value?.facts.layers[0] || '');
export const method = computed(() => now.methods[0]);

/** What is explained, as a part of keys: a target, or a caption and one of its words. */
export function targetIn({ target, text, word }: Pick<Settings, 'target' | 'text' | 'word'>): string {
  return model.value?.captioner ? `${word ?? 'all'} ${text}` : target;
}
/** What is forgotten where another picture is looked at. */
export const ofOnePicture = {
  strokes: [],
  remap: false,
  at: undefined,
  channel: undefined,
  text: '',
  word: undefined,
} satisfies Partial<Settings>;

/** What was painted, as a part of keys: empty where nothing was. */
export const edit = computed(() => {
  const { strokes, brush } = now;
  return strokes.length === 0 ? '' : `${brush} ${JSON.stringify(strokes)}`;
});

/** Keeps the address up to date, so that it can be copied or saved as it is; browsers refuse many changes a second. */
export function followLink(): void {
  let timer: ReturnType<typeof setTimeout> | undefined;
  settings.value = settingsOf(location.hash || session.value.settings);
  effect(() => {
    const link = linkOf(settings.value);
    clearTimeout(timer);
    timer = setTimeout(() => history.replaceState(null, '', link ? `#${link}` : location.pathname), 200);
  });
  effect(() => {
    const own = settings.value;
    const rest = setTimeout(() => {
      rested.value = own;
    }, restAfter);
    return () => clearTimeout(rest);
  });
  addEventListener('hashchange', () => {
    settings.value = settingsOf(location.hash);
  });
}
