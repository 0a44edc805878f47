import { captionerOptions } from '../caption/caption-options.js';
import { count, names, number, type OptionsOf, option, text, yesOrNo } from '../options.js';

/** What the explorer opens with. */
export const sessionOptions = {
  /** The ONNX file; left out, one is dropped into the page. */
  model: text({ help: 'the ONNX file' }),
  /** In place of a model: what reads the picture and what says the words, as `gradcampp caption` takes them. */
  encoder: text({
    help: 'in place of a model: the ONNX file that reads the picture',
    flag: '--encoder <file>',
  }),
  decoder: text({ help: 'the ONNX file that says the words', flag: '--decoder <file>' }),
  tokenizer: text({
    help: 'tokenizer.json, or a JSON list of tokens',
    otherwise: 'ids alone',
    flag: '--tokenizer <file>',
  }),
  begin: captionerOptions.begin,
  end: captionerOptions.end,
  /** Files, folders, patterns, as `gradcampp explain` takes them. */
  pictures: names({ default: [], help: 'pictures, folders or patterns' }),
  /** Default: `<model>.json`, where there is one. */
  preprocess: text({ help: 'JSON sidecar', otherwise: '<model>.json', flag: '--preprocess <file>' }),
  /** What the page shows at first, as a link holds it: `target`, `layer`, `methods`, … */
  settings: option((value): Readonly<Record<string, string>> => value as Record<string, string>, {
    default: {},
    help: 'what the page shows at first',
  }),
  /** A page of one network for readers: nothing else can be opened in it. */
  isReduced: yesOrNo({ default: false, help: 'a page for readers' }),
};
export type SessionOptions = OptionsOf<typeof sessionOptions>;

/** How the local server listens. The address is always this machine's own. */
export const localOptions = {
  port: count({
    to: 65535,
    default: 8090,
    help: 'port; another is taken where it is not free',
    flag: '--port <n>',
  }),
  /** Seconds in which a request must have arrived, and in which something must have been read of its answer. Default 30. */
  patience: number({
    above: 0,
    to: 3600,
    default: 30,
    help: 'seconds after which a page that reads nothing of a file is dropped',
    flag: '--patience <seconds>',
  }),
};
export type LocalOptions = OptionsOf<typeof localOptions>;

/** Where a page is written. */
export const buildOptions = {
  overwrite: yesOrNo({ default: false, help: 'replace what the folder holds', flag: '--overwrite' }),
};
export type BuildOptions = OptionsOf<typeof buildOptions>;
