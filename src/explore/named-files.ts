import { existsSync } from 'node:fs';
import { basename } from 'node:path';
import { captionerFiles, readWords } from '../caption/read-parts.js';
import { missing } from '../check.js';
import { GradcamppError } from '../errors.js';
import { sidecarOf } from '../explain/model-files.js';
import { takesClips } from '../explain/open-parts.js';
import type { Sidecar } from '../image/sidecar.js';
import { expandSources } from '../image/sources.js';
import { modelFiles } from '../onnx/read.js';
import { onlyOneOf, readOptions } from '../options.js';
import { runtimeModules } from './runtime-files.js';
import type { Session, SessionCaption } from './session.js';
import { sessionOptions, type SessionOptions } from './explore-options.js';

/** What a page is opened with, and the files that it may ask for: by address, relative to the page. */
export interface Named {
  readonly session: Session;
  readonly files: ReadonlyMap<string, string>;
}

/**
 * Lists the files that were named: the model and those that it keeps tensors in, and pictures. Nothing else is ever served or copied.
 *
 * @throws GradcamppError INVALID_MODEL, INVALID_OPTION, UNSUPPORTED_MODEL for networks that take clips
 */
export async function namedFiles(options: SessionOptions = {}): Promise<Named> {
  const {
    model: network,
    encoder,
    decoder,
    tokenizer,
    begin,
    end,
    pictures: sources,
    preprocess,
    settings,
    isReduced,
  } = readOptions('the explorer', sessionOptions, options);
  const model = encoder ?? network;
  if (encoder !== undefined && network !== undefined)
    onlyOneOf({ model: network, encoder }, ['model', 'encoder']);
  if (encoder !== undefined && decoder === undefined)
    throw missing('decoder', 'the ONNX file that says the words', '--decoder <file>');
  for (const [name, value] of Object.entries({ decoder, tokenizer, begin, end }))
    if (value !== undefined && encoder === undefined)
      throw new GradcamppError(
        'INVALID_OPTION',
        `"${name}" (--${name}) belongs to a captioner: name the model that reads the picture, too, as "encoder" (--encoder).`,
      );
  const files = new Map<string, string>();
  const add = (path: string): string => {
    const url = `files/${files.size}/${encodeURIComponent(basename(path))}`;
    files.set(url, path);
    return url;
  };
  const common = { runtime: runtimeModules, settings: new URLSearchParams(settings).toString(), isReduced };
  const pictures: { path: string; url: string }[] = [];
  if (model === undefined) {
    if (preprocess !== undefined)
      throw new GradcamppError(
        'INVALID_OPTION',
        '"preprocess" says how pictures become the input of a model: name the model, too.',
      );
    for await (const path of picturesIn(sources)) pictures.push({ path, url: add(path) });
    return { session: { ...common, pictures }, files };
  }
  const beside = await modelFiles(model);
  if (await takesClips(model, { preprocess }))
    throw new GradcamppError(
      'UNSUPPORTED_MODEL',
      `The explorer shows pictures, and "${model}" takes clips: explain them with "gradcampp explain", whose index.html plays them.`,
    );
  const sidecar = await sidecarOf(model, preprocess);
  const url = add(model);
  const externalData = Object.fromEntries([...beside].map(([location, path]) => [location, add(path)]));
  const caption =
    decoder === undefined ? undefined : await captionIn({ encoder: model, decoder, tokenizer }, add);
  for await (const path of picturesIn(sources)) pictures.push({ path, url: add(path) });
  return {
    session: {
      ...common,
      pictures,
      model: {
        path: model,
        url,
        externalData: { ...externalData, ...caption?.externalData },
        ...(sidecar ? { preprocess: plain(sidecar) } : {}),
        ...(preprocess === undefined ? {} : { preprocessPath: preprocess }),
        ...(caption ? { caption: { ...caption.told, begin, end } } : {}),
      },
    },
    files,
  };
}

/** What says the words, and the files beside it. */
async function captionIn(
  {
    encoder,
    decoder,
    tokenizer,
  }: { readonly encoder: string; readonly decoder: string; readonly tokenizer?: string },
  add: (path: string) => string,
): Promise<{
  readonly told: SessionCaption;
  readonly externalData: Readonly<Record<string, string>>;
}> {
  const beside = await modelFiles(decoder);
  if (tokenizer !== undefined) await readWords(tokenizer);
  const { generation, tokenizerConfig, withoutPast } = captionerFiles({ encoder, decoder, tokenizer });
  const more = withoutPast === undefined ? [] : await modelFiles(withoutPast);
  const named = (path: string) => ({ path, url: add(path) });
  return {
    told: {
      decoder: named(decoder),
      withoutPast: withoutPast === undefined ? undefined : add(withoutPast),
      tokenizer: tokenizer === undefined ? undefined : named(tokenizer),
      tokenizerConfig: tokenizerConfig === undefined ? undefined : add(tokenizerConfig),
      generation: generation.map(add),
    },
    externalData: Object.fromEntries([...beside, ...more].map(([location, path]) => [location, add(path)])),
  };
}

/** Pictures; tensors and what is none is left out where it was not named, and refused where it was. */
async function* picturesIn(sources: readonly string[]): AsyncGenerator<string> {
  for await (const path of expandSources(sources)) {
    if (!existsSync(path)) throw new GradcamppError('INVALID_OPTION', `There is no picture "${path}".`);
    if (/\.npy$/i.test(path))
      throw new GradcamppError(
        'INVALID_OPTION',
        `The explorer shows pictures, and "${path}" is a tensor: explain it with "gradcampp explain".`,
      );
    yield path;
  }
}

/** A checked sidecar as a page takes it: without what is said of it. */
function plain({ input, output, classes, targetLayer, alternativeLayers, inputs }: Sidecar): object {
  const files = Object.entries(inputs ?? {}).filter(([, value]) => typeof value === 'string');
  if (files.length > 0)
    throw new GradcamppError(
      'INVALID_OPTION',
      `The sidecar feeds "${files[0][0]}" from a file, which the explorer does not take: write its numbers into the sidecar.`,
    );
  return { input, output, classes, targetLayer, alternativeLayers, inputs };
}
