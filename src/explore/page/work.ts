import { computed, effect } from '@preact/signals';
import type { PictureMap } from '../../image/overlay.js';
import type { Rectangle } from '../../image/pixels.js';
import { channelWeights } from '../../methods/common/weights.js';
import { methodNamed } from '../../methods/index.js';
import { readOptions } from '../../options.js';
import {
  type Captioner,
  type CaptionExplanation,
  type Explainer,
  type ExplainOptions,
  type Method,
  regions,
  type TargetExplanation,
  toPicture,
} from '../../web/index.js';
import {
  bitmaps,
  captions,
  forget,
  type Found,
  found,
  inside,
  isOfLayer,
  isOfOnePass,
  keep,
  keyOf,
  maps,
  objects,
  type Said,
  type Scores,
  scores,
  unable,
} from './found.js';
import { paintEdited } from './painting.js';
import type { Settings } from './settings.js';
import * as state from './state.js';
import type { Picture } from './state.js';
import { targetOf } from './targets.js';

/*
 * What is seen is computed in the order in which it is looked at: after each piece of work the next is chosen by what is asked for
 * now, so that nothing waits for what nobody looks at any more.
 */

const captionKey = (picture: string | undefined, text: string) => `${picture}\n${text}`;
const scoresKey = (picture: string | undefined, edit: string, text = state.now.text) =>
  [picture, edit, text].join('\n');

/** What `state.targetIn` has made of a caption and a word. */
function askedIn(target: string): { readonly word: number | undefined; readonly text: string } {
  const [, word, text] = /^(\S+) ([\s\S]*)$/.exec(target) as RegExpExecArray;
  return { word: word === 'all' ? undefined : Number(word), text };
}

/** Pictures of the grid that are explained. */
export const gridSize = 24;
/** Layers without a pass of their own: all together need no more numbers than these. */
const mostNumbers = 12_000_000;
const mostLayers = 40;

const shownEdit = computed(() => (state.now.remap ? state.edit.value : ''));

/** What other pictures are explained by, where the words are those of one. */
const ofAnyPicture = { text: '', word: undefined };

/** The map of a method and a picture, with the settings that there are now, or those that rested. */
export function foundFor(
  method: string,
  picture: Picture | undefined = state.picture.value,
  settings: Pick<Settings, 'target' | 'text' | 'word'> = state.now,
  layer = state.layer.value,
): Found | undefined {
  void found.value;
  const isOwn = picture === state.picture.value;
  const target = state.targetIn(isOwn ? settings : { ...settings, ...ofAnyPicture });
  return maps.get(keyOf(picture?.name ?? '', isOwn ? shownEdit.value : '', target, method, layer));
}
export const shown = computed(() => foundFor(state.method.value));
export const explained = computed(() =>
  shown.value && 'explained' in shown.value ? shown.value.explained : undefined,
);
export const geometry = computed(() =>
  shown.value && 'explained' in shown.value ? shown.value.geometry : undefined,
);

/** What was said of the picture. */
export const said = computed(
  () => (void found.value, captions.get(captionKey(state.picture.value?.name, state.now.text))),
);

/** Scores of the picture, and of what the brush has left of it. */
export const before = computed(
  () => (void found.value, scores.get(scoresKey(state.picture.value?.name, ''))),
);
export const after = computed(() =>
  state.edit.value === ''
    ? undefined
    : (void found.value, scores.get(scoresKey(state.picture.value?.name, state.edit.value))),
);
/** Objects of a detector's picture. */
export const detected = computed(
  () => (void found.value, objects.get(state.picture.value?.name ?? '') ?? []),
);

/** The picture as it is drawn, with what the brush has done to it. */
export const bitmap = computed(() => (void found.value, bitmaps.get(state.picture.value?.name ?? '')));
export const drawn = computed<ImageBitmap | OffscreenCanvas | undefined>(() => {
  const own = bitmap.value;
  return own && state.edit.value !== ''
    ? paintEdited(own, { strokes: state.now.strokes, brush: state.now.brush }, fillColour())
    : own;
});

const insideKey = computed(() =>
  [state.picture.value?.name, shownEdit.value, state.targetIn(state.now), state.layer.value].join('\n'),
);
export const layerInside = computed(() => (inside.value?.key === insideKey.value ? inside.value : undefined));

/** What each channel adds to the map at every place, [K, h, w]: its weight by the method, times its activation. */
export const contributions = computed<Float32Array | undefined>(() => {
  const own = layerInside.value;
  if (!own) return undefined;
  const { dims, activations, gradients } = own;
  if (!gradients) return activations;
  const positions = dims.slice(1).reduce((product, dim) => product * dim, 1);
  const method = methodNamed(state.method.value);
  if (method.kind === 'channel' && isOfOnePass(method.name)) {
    const weights = channelWeights(
      method,
      { activations, gradients, positions },
      readOptions(method.name, method.options, {}),
    );
    return activations.map((value, i) => value * weights[Math.floor(i / positions)]);
  }
  const weigh = method.kind === 'position' ? method.weight : (gradient: number) => gradient;
  return activations.map((value, i) => value * weigh(gradients[i]));
});

/** How `contributions` weigh, in words. */
export const weighing = computed(() => {
  if (layerInside.value && !layerInside.value.gradients) return 'activation';
  const { kind, name } = methodNamed(state.method.value);
  return (kind === 'channel' && isOfOnePass(name)) || kind === 'position'
    ? `weight by ${name} × activation`
    : 'gradient × activation';
});

/** One channel alone, in 0…1. */
export const channelMap = computed<PictureMap | undefined>(() => {
  const { channel } = state.now;
  const own = layerInside.value;
  if (channel === undefined || !own || channel >= own.dims[0] || own.dims.length !== 3) return undefined;
  const size = own.dims[1] * own.dims[2];
  const data = own.activations.slice(channel * size, (channel + 1) * size);
  const most = data.reduce((a, b) => Math.max(a, b), 0);
  return { data: most > 0 ? data.map((value) => Math.max(value, 0) / most) : data, dims: own.dims.slice(1) };
});
export const shownMap = computed<PictureMap | undefined>(() =>
  state.now.channel === undefined ? explained.value?.map : (channelMap.value ?? explained.value?.map),
);

/** What is put in place of what the brush takes away: what the network is given as 0. */
export function fillColour(): string {
  const given = state.model.value?.facts.preprocessing;
  const { mean = [0.5], range = 1, channels = 'RGB' } = given ?? {};
  const level = (i: number) => Math.round((255 * (mean[i] ?? mean[0])) / range);
  const [r, g, b] = channels === 'BGR' ? [2, 1, 0] : [0, 1, 2];
  return `rgb(${level(r)} ${level(g)} ${level(b)})`;
}

/** Layers of the slider, the one that was opened among them. Those that no place of the picture is read of show nothing. */
export function layersFor({
  candidates,
  layers,
}: Pick<state.OpenModel['facts'], 'candidates' | 'layers'>): state.OpenModel['layers'] {
  let numbers = 0;
  let count = 0;
  return candidates.filter(({ isRead, dims, name }) => {
    if (layers.includes(name)) return true;
    const own = dims
      .slice(1)
      .reduce<number>((product, dim) => product * (typeof dim === 'number' ? dim : 14), 1);
    const fits = isRead && dims.length === 4 && numbers + own <= mostNumbers && count < mostLayers;
    if (fits) {
      numbers += own;
      count++;
    }
    return fits;
  });
}

/** A piece of work: true where something was found. */
type Job = () => Promise<void>;

function nextJob(): Job | undefined {
  const open = state.model.value;
  const { value: own } = state.picture;
  const { value: settings } = state.settings;
  if (!own) return undefined;
  if (!bitmaps.has(own.name)) return () => decode(own);
  if (!open) return undefined;
  const { methods } = settings;
  const target = state.targetIn(settings);
  const { captioner, explainer } = open;
  if (captioner && !captions.has(captionKey(own.name, settings.text)))
    return () => sayOf(captioner, { own, text: settings.text, method: methods[0], layer: state.layer.value });
  const layer = state.layer.value;
  const edit = state.edit.value;
  const whole = bitmap.value as ImageBitmap;
  const edited = scoresKey(own.name, edit);
  if (edit !== '' && !scores.has(edited))
    return async () => {
      const picture = paintEdited(whole, settings, fillColour());
      if (captioner) {
        const ids = idsOf(captioner, captions.get(captionKey(own.name, settings.text)) as Said);
        const explanation = await captioner.explain(picture, { ids, method: 'random' });
        scores.set(edited, scoresOf(explanation));
        return;
      }
      const [{ scores: all, probabilities }] = await (explainer as Explainer).predict(picture);
      scores.set(edited, {
        scores: all,
        probabilities,
        scoreDims: [all.length],
        inputDims: [],
      });
    };
  const changed = shownEdit.value;
  const source = () => (changed === '' ? own.blob() : paintEdited(whole, settings, fillColour()));
  const missing = methods.filter((name) => !maps.has(keyOf(own.name, changed, target, name, layer)));
  if (missing.length > 0)
    return () => explain(open, { own, changed, target, methods: missing, layers: [layer] }, source);
  const isPicked = explainer && Object(explainer.defaultTarget).kind === 'detection';
  if (isPicked && !objects.has(own.name))
    return async () => {
      objects.set(own.name, []);
      const [{ targets }] = await explainer.explain(await own.blob(), {
        targets: { kind: 'detection', top: 12 },
        method: 'random',
      });
      objects.set(own.name, targets);
    };
  const [first] = methods;
  const pass = `${own.name}\n${changed}\n${target}\n${first}`;
  if (
    isOfOnePass(first) &&
    !unable.has(pass) &&
    !settings.strokes.some(({ points }) => points.length === 0)
  ) {
    const others = open.layers.filter(({ name }) => !maps.has(keyOf(own.name, changed, target, first, name)));
    if (others.length > 0)
      return async () => {
        const names = open.layers.map(({ name }) => name);
        unable.add(pass);
        await explain(open, { own, changed, target, methods: [first], layers: names }, source);
      };
  }
  if (state.rested.value !== settings) return undefined; // the rest waits until nobody moves anything
  const key = insideKey.value;
  if (inside.value?.key !== key && !unable.has(key))
    return () => lookInside(key, open, { target, layer }, source);
  for (const other of state.pictures.value.slice(0, gridSize)) {
    if (captioner && other === own) continue;
    if (captioner) {
      if (!captions.has(captionKey(other.name, '')))
        return () => sayOf(captioner, { own: other, text: '', method: first, layer });
      const all = state.targetIn({ ...settings, ...ofAnyPicture });
      if (!maps.has(keyOf(other.name, '', all, first, layer)))
        return () =>
          explain(open, { own: other, changed: '', target: all, methods: [first], layers: [layer] }, () =>
            other.blob(),
          );
    } else if (!maps.has(keyOf(other.name, '', target, first, layer)))
      return () =>
        explain(open, { own: other, changed: '', target, methods: [first], layers: [layer] }, () =>
          other.blob(),
        );
  }
  return undefined;
}

async function decode({ name, blob }: Picture): Promise<void> {
  const made = await createImageBitmap(await blob(), {
    colorSpaceConversion: 'none',
    imageOrientation: 'from-image',
    premultiplyAlpha: 'none',
  }).catch(() => undefined);
  if (!made) {
    state.pictures.value = state.pictures.value.filter((own) => own.name !== name);
    throw new Error(
      `"${name}" cannot be read as a picture: it is damaged, or in a format that the browser does not know.`,
    );
  }
  for (const old of [...bitmaps.keys()].slice(0, -3)) {
    bitmaps.get(old)?.close();
    bitmaps.delete(old);
  }
  bitmaps.set(name, made);
}

interface Asked {
  readonly own: Picture;
  readonly changed: string;
  readonly target: string;
  readonly methods: readonly string[];
  readonly layers: readonly string[];
}

async function explain(
  open: state.OpenModel,
  { own, changed, target, methods, layers }: Asked,
  source: () => Promise<Blob> | OffscreenCanvas,
): Promise<void> {
  const isEach = layers.length > 1;
  const targets = () => {
    const spec = targetOf(target);
    return spec === undefined ? {} : { targets: spec };
  };
  try {
    const options: ExplainOptions = {
      ...targets(),
      method: methods as Method[],
      ...(methods.some(isOfLayer) && layers[0] !== '' ? { layer: layers, eachLayer: isEach } : {}),
    };
    if (open.captioner) {
      await explainWords(open.captioner, { own, changed, target, methods, layers }, await source());
      return;
    }
    const [explanation] = await (open.explainer as Explainer).explain(await source(), options);
    const { picture, geometry: place } = explanation;
    const whole = { x: 0, y: 0, width: picture?.width ?? 1, height: picture?.height ?? 1 };
    scores.set(scoresKey(own.name, changed), explanation);
    for (const method of methods) {
      const all = explanation.targets.filter((one) => one.method === method);
      if (all.length === 0)
        keep(keyOf(own.name, changed, target, method, layers[0]), { error: 'The picture holds none.' });
      for (const one of isEach ? all : all.slice(0, 1))
        keep(keyOf(own.name, changed, target, method, isEach ? one.layers[0] : layers[0]), {
          explained: one,
          geometry: place ?? whole,
        });
    }
  } catch (error) {
    if (isEach) return; // each layer is asked for when it is looked at
    if (methods.length > 1) {
      for (const method of methods)
        await explain(open, { own, changed, target, methods: [method], layers }, source);
      return;
    }
    keep(keyOf(own.name, changed, target, methods[0], layers[0]), { error: (error as Error).message });
  }
}

/** Has a caption said, or takes the one that was typed; and its maps, since they are there then. */
async function sayOf(
  captioner: Captioner,
  {
    own,
    text,
    method,
    layer,
  }: { readonly own: Picture; readonly text: string; readonly method: string; readonly layer: string },
): Promise<void> {
  const key = captionKey(own.name, text);
  try {
    const explanation = await captioner.explain(await own.blob(), {
      ...(text === '' ? {} : { text }),
      ...(layer === '' ? {} : { layer }),
      method: method as Method,
    });
    const { tokens, caption } = explanation;
    captions.set(key, {
      text: caption.text,
      ids: tokens.map(({ id }) => id),
      tokens: tokens.map(({ token, continues = false, logProbability }) => ({
        token,
        continues,
        logProbability,
      })),
    });
    scores.set(scoresKey(own.name, '', text), scoresOf(explanation));
    keepWords(explanation, { own, changed: '', text, layers: [layer], isEach: false });
  } catch (error) {
    captions.set(key, { text, ids: [], tokens: [], error: (error as Error).message });
  }
}

/** With the token that begins captions, since the first of the others may be the same. */
function idsOf({ begin }: Captioner, { ids }: Said): readonly number[] {
  return begin === undefined ? ids : [begin, ...ids];
}

/** The maps of a caption that is known already. */
async function explainWords(
  captioner: Captioner,
  { own, changed, target, methods, layers }: Asked,
  source: Blob | OffscreenCanvas,
): Promise<void> {
  const { word, text } = askedIn(target);
  const said = captions.get(captionKey(own.name, text)) as Said;
  const { tokens, error } = said;
  const isEach = layers.length > 1;
  if (error !== undefined) throw new Error(error);
  if (word !== undefined && word >= tokens.length)
    throw new Error(`The caption has ${tokens.length} words; choose one of them.`);
  const explanation = await captioner.explain(source, {
    ids: idsOf(captioner, said),
    method: methods as Method[],
    ...(methods.some(isOfLayer) && layers[0] !== '' ? { layer: layers, eachLayer: isEach } : {}),
  });
  scores.set(scoresKey(own.name, changed, text), scoresOf(explanation));
  keepWords(explanation, { own, changed, text, layers, isEach, word });
}

/** Keeps the maps of all words; of all layers those of one word alone, since they are many. */
function keepWords(
  { picture, geometry: place, caption, tokens }: CaptionExplanation,
  {
    own,
    changed,
    text,
    layers,
    isEach,
    word,
  }: Pick<Asked, 'own' | 'changed' | 'layers'> & {
    readonly text: string;
    readonly isEach: boolean;
    readonly word?: number;
  },
): void {
  const whole = { x: 0, y: 0, width: picture?.width ?? 1, height: picture?.height ?? 1 };
  [caption, ...tokens].forEach(({ methods: all, logProbability }, i) => {
    const at = i === 0 ? undefined : i - 1;
    if (isEach && at !== word) return;
    for (const one of all) {
      const name = i === 0 ? caption.text : tokens[i - 1].token;
      const probability = Math.exp(i === 0 ? logProbability / tokens.length : logProbability);
      keep(
        keyOf(
          own.name,
          changed,
          state.targetIn({ target: '', text, word: at }),
          one.method,
          isEach ? one.layers[0] : layers[0],
        ),
        {
          explained: { ...one, target: { ...one.target, name, probability } },
          geometry: place ?? whole,
        },
      );
    }
  });
}

/** Of the caption, a token in the mean, and of each of its tokens. */
function scoresOf({ caption, tokens, inputDims }: CaptionExplanation): Scores {
  const logs = [
    caption.logProbability / tokens.length,
    ...tokens.map(({ logProbability }) => logProbability),
  ];
  return {
    scores: Float32Array.from(logs),
    probabilities: Float32Array.from(logs, Math.exp),
    scoreDims: [logs.length],
    inputDims,
  };
}

/** Activations and gradients of the layer; activations alone where there are no gradients. */
async function lookInside(
  key: string,
  open: state.OpenModel,
  { target, layer }: { readonly target: string; readonly layer: string },
  source: () => Promise<Blob> | OffscreenCanvas,
): Promise<void> {
  unable.add(key);
  for (const method of ['hires-cam', 'random'] as const) {
    try {
      const options = { ...(layer === '' ? {} : { layer }), method, evidence: true } as const;
      let evidence: TargetExplanation['evidence'];
      if (open.captioner) {
        const { word, text } = askedIn(target);
        const ids = idsOf(open.captioner, captions.get(captionKey(state.picture.value?.name, text)) as Said);
        const { caption, tokens } = await open.captioner.explain(await source(), { ids, ...options });
        evidence = (word === undefined ? caption : tokens[word]).methods[0].evidence;
      } else {
        const targets = targetOf(target);
        const [{ targets: all }] = await (open.explainer as Explainer).explain(await source(), {
          ...(targets === undefined ? {} : { targets }),
          ...options,
        });
        evidence = all[0].evidence;
      }
      if (!evidence) continue;
      inside.value = { key, ...evidence, gradients: evidence.gradients };
      unable.delete(key);
      return;
    } catch {
      // the next needs less
    }
  }
}

/** Begins to work, for as long as the page is open. */
export function begin(): void {
  let isAtWork = false;
  const work = async () => {
    if (isAtWork) return;
    isAtWork = true;
    for (let job = nextJob(); job; job = nextJob()) {
      state.isBusy.value = true;
      const open = state.model.value;
      try {
        await job();
      } catch (error) {
        if (open === state.model.value) {
          state.problem.value = (error as Error).message;
          isAtWork = false;
          found.value++;
          break;
        }
      }
      if (open !== state.model.value) forget(); // what came was of a model before
      found.value++;
    }
    isAtWork = false;
    state.isBusy.value = false;
  };
  effect(() => {
    void [state.settings.value, state.rested.value, state.model.value, state.pictures.value];
    queueMicrotask(() => void work());
  });
}

/** Columns and rows of what is looked at: the layer's, or those of a map that has no layer, 16 at most. */
export const grid = computed(() => {
  const own = explained.value;
  const dims = isOfLayer(state.method.value) ? own?.raw?.dims : undefined;
  if (dims?.length === 2) return { rows: dims[0], columns: dims[1] };
  const [rows, columns] = own?.map.dims ?? [];
  return own?.map.dims.length === 2
    ? { rows: Math.min(rows, 16), columns: Math.min(columns, 16) }
    : undefined;
});

/** The middle of a cell, in pixels of the picture. */
export function centreOf(at: readonly [number, number]): readonly [number, number] {
  const box = cellBox(at);
  return box ? [box.x + box.width / 2, box.y + box.height / 2] : [0, 0];
}

export function cellBox([column, row]: readonly [number, number]): Rectangle | undefined {
  const place = geometry.value;
  const own = grid.value;
  if (!place || !own) return undefined;
  const [width, height] = [place.width / own.columns, place.height / own.rows];
  return { x: place.x + column * width, y: place.y + row * height, width, height };
}

/** Regions of what is shown above the threshold, largest first. */
export const regionsShown = computed(() => {
  const map = shownMap.value;
  return map?.dims.length === 2 ? regions(map.data, map.dims, { threshold: state.now.threshold }) : [];
});

export interface Strong {
  readonly channel: number;
  readonly value: number;
}

/** The channels that add most at a place, strongest first. */
export function strongestAt([column, row]: readonly [number, number], count = 5): Strong[] {
  const own = layerInside.value;
  const all = contributions.value;
  if (!own || !all || own.dims.length !== 3) return [];
  const [channels, rows, columns] = own.dims;
  if (row >= rows || column >= columns) return [];
  const at = row * columns + column;
  const size = rows * columns;
  const strong = Array.from({ length: channels }, (_, channel) => ({
    channel,
    value: all[channel * size + at],
  }));
  return strong
    .filter(({ value }) => value > 0)
    .sort((a, b) => b.value - a.value)
    .slice(0, count);
}

/** What there is to read at a place: the map's value, before normalisation, and the picture's colour. */
export function valuesAt([x, y]: readonly [number, number]) {
  const map = shownMap.value;
  const place = geometry.value;
  const raw = explained.value?.raw;
  if (!map || !place || map.dims.length !== 2) return undefined;
  const [u, v] = [(x - place.x) / place.width, (y - place.y) / place.height];
  if (u < 0 || v < 0 || u >= 1 || v >= 1) return undefined;
  const at = ([rows, columns]: readonly number[]) => Math.floor(v * rows) * columns + Math.floor(u * columns);
  return {
    value: map.data[at(map.dims)],
    raw: raw?.dims.length === 2 && state.now.channel === undefined ? raw.data[at(raw.dims)] : undefined,
  };
}

/** A place in words. */
export function describe(at: readonly [number, number]): string {
  const own = valuesAt(centreOf(at));
  const strong = strongestAt(at, 3);
  const list = strong.map(({ channel }) => channel).join(', ');
  return [
    `Column ${at[0] + 1}, row ${at[1] + 1}: ${own ? own.value.toFixed(2) : 'outside'}.`,
    list ? `Strongest channels ${list}.` : '',
  ].join(' ');
}

/** The class that is the answer at a place of a segmenter's scores, 0…1 from the left and the top. */
export function classAt({ scores: all, scoreDims }: Scores, u: number, v: number): number | undefined {
  if (scoreDims.length !== 3 || u < 0 || v < 0 || u >= 1 || v >= 1) return undefined;
  const isLast = state.model.value?.facts.preprocessing?.layout === 'NHWC';
  const [count, rows, columns] = isLast ? [scoreDims[2], scoreDims[0], scoreDims[1]] : scoreDims;
  const at = Math.floor(v * rows) * columns + Math.floor(u * columns);
  const value = (c: number) => (isLast ? all[at * count + c] : all[c * rows * columns + at]);
  let best = 0;
  for (let c = 1; c < count; c++) if (value(c) > value(best)) best = c;
  return best;
}

/** Objects of which the network is less sure, compared with the surest, are none. */
const leastSure = 0.2;

/** Objects of a detector, surest first, in pixels of the picture. */
export function objectBoxes(): DetectedObject[] {
  const place = geometry.value;
  const own = explained.value?.target.box;
  const most = detected.value[0]?.target.probability ?? 0;
  return detected.value.flatMap(({ target: { box: at, name, probability }, map }) => {
    if (!at || !place || (probability ?? 1) < leastSure * most) return [];
    const isChosen = own !== undefined && Math.abs(own.x - at.x) + Math.abs(own.y - at.y) < 1;
    return [{ at, box: toPicture(at, map.dims, place), name, probability, isChosen }];
  });
}

export interface DetectedObject {
  /** In pixels of the network's input, and of the picture. */
  readonly at: Rectangle;
  readonly box: Rectangle;
  readonly name: string;
  readonly probability: number | undefined;
  readonly isChosen: boolean;
}

export function chooseObject({ at: box }: Pick<DetectedObject, 'at'>): void {
  const typed = [box.x, box.y, box.width, box.height].map((value) => Math.round(10 * value) / 10);
  state.change({ target: `detection:at=${typed.join(',')}`, channel: undefined });
}
