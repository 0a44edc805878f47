import { reuseOptions } from '../../batch/run-options.js';
import type { ExplainerOptions } from '../../explain/explain-options.js';
import { count, names, option, type OptionsOf, text } from '../../options.js';
import { pictureSources } from '../listed-pictures.js';
import type { Variant } from '../subject.js';

/** What building a study takes. */
export const studyOptions = {
  model: text({ help: 'the ONNX model', expected: 'the path of an ONNX model' }),
  images: pictureSources('--data <path>', 'labelled pictures: a folder, file or pattern'),
  labels: text({
    help: 'where the true classes are: folder, prefix or a table of picture and class',
    flag: '--labels <how>',
    default: 'folder',
  }),
  /** Two methods, which are shown side by side. */
  method: names({
    help: 'the two that are compared',
    flag: '--method <name>',
    default: ['grad-cam++', 'grad-cam'] as readonly string[],
  }),
  /** In place of `method`: two ways to explain, with settings and layers of their own. */
  variants: option((value) => value as readonly Variant[], { help: 'what is compared' }),
  /** Of the classes with enough pictures, those with the highest F1. */
  classes: count({ help: 'the ones with the highest F1', flag: '--classes <n>', default: 5, from: 1 }),
  perClass: count({ help: 'pictures of each', flag: '--per-class <n>', default: 50, from: 1 }),
  title: text({
    help: 'of the page',
    flag: '--title <text>',
    expected: 'a text',
    default: 'Which explanation do you trust?',
  }),
  seed: count({ help: 'for everything that is drawn', flag: '--seed <n>', default: 1 }),
  open: option((value) => value as ExplainerOptions, { help: 'how the network is opened', default: {} }),
  /** Where `study.html` and `study.json` go; made if need be. */
  out: text({
    help: 'where the study goes',
    flag: '--out <dir>',
    expected: 'a folder',
    default: 'gradcampp-study',
  }),
  overwrite: reuseOptions.overwrite,
  onProgress: option((value) => value as (done: number, total: number) => void, { help: 'told of progress' }),
};

export type StudyOptions = OptionsOf<typeof studyOptions>;
