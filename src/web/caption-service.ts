import type { CaptionExplanation } from '../caption/caption-explanation.js';
import { CaptionNetworks } from '../caption/caption-networks.js';
import type { CaptionerOptions, CaptionOptions } from '../caption/caption-options.js';
import { checkCaptioner, partsOf } from '../caption/caption-parts.js';
import { type Json, limitsOf } from '../caption/generation.js';
import { idsAlone, wordsOf } from '../caption/words.js';
import { decodeText } from '../decode-text.js';
import { GradcamppError, messageOf, show } from '../errors.js';
import type { ImageInput } from '../explain/input.js';
import { readSource } from '../explain/model-files.js';
import type { Layer } from '../graph/layers.js';
import type { Preprocessing } from '../image/preprocess.js';
import { useRuntime, type WebProvider } from '../runtime/onnxruntime.web.js';
import { bytesOf, type DownloadOptions, filesOf, nameOf, type PageFile } from './download.js';
import type { Places } from './page-options.js';
import { chosenProvider } from './provider.js';
import { queue } from './service.js';

/** JSON as a page has it: a file, or what is in it. */
export type PageJson = PageFile | object;

/** What a captioner is opened with, as it goes to a worker. */
export interface CaptionOpening extends Places {
  readonly encoder: PageFile;
  readonly decoder: PageFile;
  readonly withoutPast: PageFile | undefined;
  readonly tokenizer: PageJson | undefined;
  readonly tokenizerConfig: PageJson | undefined;
  readonly generation: readonly PageJson[];
  readonly options: Omit<CaptionerOptions, 'encoder' | 'decoder' | 'tokenizer'>;
}

/** What is known of a captioner once it is open. */
export interface CaptionFacts {
  readonly layers: readonly string[];
  readonly layerIsAutomatic: boolean;
  readonly preprocessing: Preprocessing | undefined;
  readonly notes: readonly string[];
  readonly provider: WebProvider;
  readonly candidates: readonly Layer[];
  /** Id of the token that begins captions, where it is known. */
  readonly begin: number | undefined;
  /** Whether tokens are spelt; else they are ids. */
  readonly hasWords: boolean;
}

export interface CaptionService {
  readonly facts: CaptionFacts;
  explain(picture: ImageInput, options: CaptionOptions): Promise<CaptionExplanation>;
  close(): Promise<void>;
}

/** Downloads and opens both models. */
export async function openCaptionService(
  opening: CaptionOpening,
  download: DownloadOptions,
): Promise<CaptionService> {
  const {
    encoder,
    decoder,
    withoutPast,
    tokenizer,
    tokenizerConfig,
    generation,
    externalData,
    options,
    runtime,
  } = opening;
  const { provider, note } = await chosenProvider(options.executionProviders, runtime.module !== undefined);
  useRuntime({ ...runtime, provider });
  const bytes = {
    encoder: await bytesOf(encoder, 'encoder', download),
    decoder: await bytesOf(decoder, 'decoder', download),
  };
  const { rest } = checkCaptioner({ ...options, ...bytes, executionProviders: [provider] });
  const files = await filesOf(externalData, download);
  // The compiler sees Node's side of explain/model-files.ts, which takes paths.
  const sourceOf = (own: Uint8Array, file: PageFile) =>
    ({ bytes: own, name: nameOf(file), externalData: files }) as unknown as Uint8Array;
  const source = sourceOf(bytes.encoder, encoder);
  const config =
    tokenizerConfig === undefined ? {} : await jsonOf(tokenizerConfig, 'tokenizerConfig', download);
  const limits: Json[] = [];
  for (const own of generation) limits.push((await jsonOf(own, 'generation', download)) as Json);
  const parts = await partsOf(
    {
      source,
      encoder: await readSource(source),
      decoder: await readSource(sourceOf(bytes.decoder, decoder)),
      withoutPast: async () =>
        withoutPast === undefined
          ? undefined
          : readSource(sourceOf(await bytesOf(withoutPast, 'withoutPast', download), withoutPast)),
      words:
        tokenizer === undefined
          ? idsAlone
          : await wordsOf(await jsonOf(tokenizer, 'tokenizer', download), jsonName(tokenizer), config),
      limits: limitsOf(limits),
    },
    rest,
  );
  const networks = await CaptionNetworks.of(parts);
  if (download.signal?.aborted) {
    await networks.close();
    throw download.signal.reason;
  }
  const { explainer, layerIsAutomatic } = networks.first;
  const queued = queue();
  return {
    facts: {
      layers: explainer.layers,
      layerIsAutomatic,
      preprocessing: explainer.preprocessing,
      notes: note === undefined ? networks.notes : [...networks.notes, note],
      provider,
      candidates: networks.first.candidates(),
      begin: parts.limits.begin,
      hasWords: tokenizer !== undefined,
    },
    explain: (picture, own) => queued(() => networks.explain(picture, own)),
    close: () => queued(() => networks.close()),
  };
}

function jsonName(file: PageJson): string {
  const isFile = typeof file === 'string' || file instanceof URL || file instanceof Blob;
  return isFile ? show(nameOf(file)) : '"tokenizer"';
}

async function jsonOf(file: PageJson, what: string, download: DownloadOptions): Promise<object> {
  const isFile =
    typeof file === 'string' || [URL, Blob, Uint8Array, ArrayBuffer].some((kind) => file instanceof kind);
  if (!isFile) return file;
  try {
    return JSON.parse(decodeText(await bytesOf(file as PageFile, what, { signal: download.signal })));
  } catch (cause) {
    if (download.signal?.aborted) throw cause;
    throw new GradcamppError(
      'INVALID_OPTION',
      `"${what}" cannot be read as JSON: ${messageOf(cause).replace(/\.$/, '')}.`,
      {
        cause,
      },
    );
  }
}
