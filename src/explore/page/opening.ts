import {
  Captioner,
  type DownloadProgress,
  Explainer,
  type PageFile,
  type WebExplainerOptions,
} from '../../web/index.js';
import { chosenProvider } from '../../web/provider.js';
import type { Session, SessionCaption } from '../session.js';
import * as state from './state.js';
import type { CaptionFiles, ModelFiles, Picture } from './state.js';
import { forget } from './found.js';
import { layersFor } from './work.js';

const here = (url: string) => new URL(url, document.baseURI).href;
let current: AbortController | undefined;

/** Opens a model in place of the one that is open. */
export async function openModel(files: ModelFiles): Promise<void> {
  current?.abort();
  const controller = new AbortController();
  current = controller;
  const { signal } = controller;
  const last = state.model.value;
  state.model.value = undefined;
  state.problem.value = '';
  state.status.value = { kind: 'opening', what: files.name };
  forget();
  await last?.facts.close();
  try {
    const { provider } = await chosenProvider(undefined, false);
    const options = {
      runtime: { module: here(state.session.value.runtime[provider]) },
      executionProviders: [provider],
      preprocess: files.preprocess,
      externalData: files.externalData,
      signal,
      onProgress: ({ loaded, total }: DownloadProgress) => {
        if (!signal.aborted)
          state.status.value = {
            kind: 'opening',
            what: files.name,
            share: total ? loaded / total : undefined,
          };
      },
    };
    const { caption } = files;
    const own = caption
      ? { captioner: await openCaptioner(files.file, caption, options) }
      : { explainer: await Explainer.open(files.file, options) };
    const facts = own.captioner ?? own.explainer;
    const isOfClips = own.explainer?.takesClips === true;
    if (isOfClips) await facts.close();
    if (isOfClips && !signal.aborted)
      throw new Error(
        `The explorer shows pictures, and "${files.name}" takes clips: explain them with "gradcampp explain", whose index.html plays them.`,
      );
    if (signal.aborted) {
      await facts.close();
      return;
    }
    const names = facts.candidates.map(({ name }) => name);
    const { settings } = state;
    const isOther = settings.value.model !== '' && settings.value.model !== files.name;
    const { layer } = settings.value;
    state.change({
      model: files.name,
      ...(isOther ? { target: '', text: '', word: undefined, channel: undefined, at: undefined } : {}),
      ...(layer !== '' && !names.includes(layer) ? { layer: '' } : {}),
    });
    state.model.value = { ...files, ...own, facts, layers: layersFor(facts) };
    state.status.value = { kind: 'ready' };
  } catch (error) {
    if (!signal.aborted)
      state.status.value = { kind: 'failed', message: withNames((error as Error).message) };
  }
}

/** Files by their names, not by the addresses from which the page has them. */
function withNames(message: string): string {
  return message.replaceAll(here('./'), '').replaceAll(/\bfiles\/\d+\//g, '');
}

function openCaptioner(
  encoder: PageFile,
  { decoder, withoutPast, tokenizer, tokenizerConfig, generation, begin, end }: CaptionFiles,
  options: Omit<WebExplainerOptions, 'output'>,
): Promise<Captioner> {
  const given = { ...options, withoutPast, tokenizer, tokenizerConfig, begin, end };
  const known = Object.entries(given).filter(([, value]) => value !== undefined);
  return Captioner.open({ encoder, decoder, generation, ...Object.fromEntries(known) });
}

/** What the page was told to begin with. */
export async function openSession({ model, pictures }: Session): Promise<void> {
  state.pictures.value = named(
    pictures.map(({ path, url }) => ({
      path,
      url: here(url),
      blob: async () => {
        const response = await fetch(here(url));
        if (!response.ok) throw new Error(`"${path}" cannot be read: the server says ${response.status}.`);
        return response.blob();
      },
    })),
  );
  if (!model) return;
  await openModel({
    name: nameOf(model.path),
    path: model.path,
    file: here(model.url),
    preprocess: model.preprocess,
    preprocessPath: model.preprocessPath,
    externalData: Object.fromEntries(
      Object.entries(model.externalData).map(([name, url]) => [name, here(url)]),
    ),
    ...(model.caption ? { caption: captionFiles(model.caption) } : {}),
  });
}

function captionFiles({
  decoder,
  withoutPast,
  tokenizer,
  tokenizerConfig,
  generation,
  begin,
  end,
}: SessionCaption): CaptionFiles {
  return {
    decoder: here(decoder.url),
    withoutPast: withoutPast && here(withoutPast),
    tokenizer: tokenizer && here(tokenizer.url),
    tokenizerConfig: tokenizerConfig && here(tokenizerConfig),
    generation: generation.map(here),
    begin,
    end,
    paths: { decoder: decoder.path, tokenizer: tokenizer?.path },
  };
}

/** What was dropped that belongs to a model, until there is one. */
let beside: readonly File[] = [];
let modelFile: File | undefined;
let decoderFile: File | undefined;

/** Files that were dropped or chosen: a model, its sidecar, files in which it keeps tensors, pictures. */
export async function takeFiles(files: readonly File[]): Promise<void> {
  const isPicture = ({ type, name }: File) =>
    type.startsWith('image/') || /\.(png|jpe?g|webp|gif|avif)$/i.test(name);
  const own = files.filter(isPicture);
  state.problem.value = '';
  const models = files.filter(({ name }) => /\.onnx$/i.test(name));
  const others = files.filter((file) => !isPicture(file) && !models.includes(file));
  if (own.length > 0) {
    const added = own.map((file) => ({
      path: file.name,
      url: URL.createObjectURL(file),
      blob: async () => file,
    }));
    const before = state.pictures.value;
    state.pictures.value = named([...before, ...added]);
    const first = state.pictures.value[before.length];
    if (!state.pictures.value.some(({ name }) => name === state.settings.value.picture) || before.length > 0)
      state.change({ picture: first.name, ...state.ofOnePicture });
  }
  if (models.length > 0) beside = [];
  if (models.length > 0) {
    const decoders = models.filter(({ name }) => /decoder/i.test(name));
    const encoder = models.findLast((file) => !decoders.includes(file));
    modelFile = encoder ?? models.at(-1);
    decoderFile = encoder && (decoders.find(({ name }) => !/with_past/i.test(name)) ?? decoders[0]);
  }
  beside = [...beside, ...others];
  if (!modelFile && others.length > 0 && !state.session.value.isReduced) {
    const names = others.map(({ name }) => JSON.stringify(name)).join(', ');
    state.problem.value = `${names} ${others.length === 1 ? 'is neither a picture nor a model' : 'are neither pictures nor models'}: what belongs to an ONNX model is dropped together with it.`;
    return;
  }
  if (state.session.value.isReduced || !modelFile || (models.length === 0 && others.length === 0)) return;
  const jsonNamed = (pattern: RegExp) => beside.findLast(({ name }) => pattern.test(name));
  const caption = decoderFile && {
    decoder: decoderFile,
    tokenizer: jsonNamed(/^(?!tokenizer_config).*(tokenizer|vocab|words).*\.json$/i),
    tokenizerConfig: jsonNamed(/^tokenizer_config\.json$/i),
    generation: [jsonNamed(/^generation_config\.json$/i), jsonNamed(/^config\.json$/i)].filter(
      (own) => own !== undefined,
    ),
  };
  const ofCaption: readonly (File | undefined)[] = caption
    ? [caption.tokenizer, caption.tokenizerConfig, ...caption.generation]
    : [];
  const sidecar = beside.findLast((file) => /\.json$/i.test(file.name) && !ofCaption.includes(file));
  let preprocess: object | undefined;
  try {
    preprocess = sidecar && JSON.parse(await sidecar.text());
  } catch {
    state.status.value = {
      kind: 'failed',
      message: `"${sidecar?.name}" is no JSON, and cannot say how pictures become the input.`,
    };
    return;
  }
  const externalData: Record<string, PageFile> = {};
  for (const file of beside)
    if (file !== sidecar && !ofCaption.includes(file)) externalData[file.name] = file;
  const { name } = modelFile;
  await openModel({
    name,
    path: name,
    file: modelFile,
    preprocess,
    externalData,
    ...(caption
      ? {
          caption: {
            ...caption,
            paths: { decoder: caption.decoder.name, tokenizer: caption.tokenizer?.name },
          },
        }
      : {}),
  });
}

/** Pictures by names that tell them apart. */
function named(all: readonly Omit<Picture, 'name'>[]): Picture[] {
  const counts = new Map<string, number>();
  return all.map((picture) => {
    const name = nameOf(picture.path);
    const count = (counts.get(name) ?? 0) + 1;
    counts.set(name, count);
    return { ...picture, name: count === 1 ? name : `${name} (${count})` };
  });
}

function nameOf(path: string): string {
  return path.replace(/^.*[\\/]/, '');
}
