import { Command } from '@commander-js/extra-typings';
import { collect, commaSeparated, given, number, numbers } from './flags.js';
import type { Evaluated, EvaluateOptions } from '../evaluate/evaluation.js';

/** `gradcampp evaluate`: is the explanation any good? */
export function evaluateCommand() {
  const command = new Command('evaluate')
    .description('Measure explanations: faithfulness, localisation, sanity. Writes numbers and a report.')
    .addHelpText(
      'after',
      '\nExample:\n  $ gradcampp evaluate faithfulness --model model.onnx --data photos/ --methods grad-cam++,grad-cam,random',
    );
  for (const kind of [faithfulness, localization, grid, sanity, ablation, generalization])
    command.addCommand(kind() as unknown as Command);
  return command;
}

/** What every evaluation takes but the networks and the pictures. */
function shared(name: string, description: string) {
  return new Command(name)
    .description(description)
    .option('--layer <name>', 'the layer to explain; repeat it to average several (default: auto)', collect)
    .option('--preprocess <file>', 'JSON sidecar (default: <model>.json, else ImageNet preprocessing)')
    .option('--output <name>', 'the output that holds the scores (default: found)')
    .option('--backend <name>', 'auto, reference, native or webgpu (default: auto)')
    .option('--provider <name>', 'ONNX Runtime execution provider, repeatable (default: cpu)', collect)
    .option('--out <dir>', 'where results go', `gradcampp-${name}`)
    .option('--table <format>', 'csv or parquet, for the numbers of each picture (default: csv)')
    .option('--seed <n>', 'for everything that is drawn (default: 1)', number)
    .option('--workers <n>', 'worker threads, 0 for none (default: the cores)', number)
    .option('--resume', 'go on with a run that was cut off')
    .option('--quiet', 'print nothing but errors');
}

function base(name: string, description: string) {
  return shared(name, description)
    .requiredOption('--model <file>', 'the ONNX model')
    .requiredOption('--data <path>', 'pictures: a folder, file or pattern, repeatable', collect);
}

const methodsHelp = 'comma-separated; random is the control (default: grad-cam++,grad-cam,random)';

function curves<C extends ReturnType<typeof base>>(command: C) {
  return command
    .option(
      '--masking <baseline>',
      'what is hidden becomes zero, black, mean or blur; tensor = zero, pixels = black (default: zero)',
    )
    .option('--steps <n>', 'intervals of the curves, 0 for none (default: 10)', number)
    .option('--deletion-baseline <baseline>', 'what deleted pixels become (default: zero)')
    .option('--insertion-baseline <baseline>', 'what insertion starts from (default: blur)')
    .option('--batch <n>', 'masked pictures in one pass (default: 4)', number);
}

function faithfulness() {
  return curves(
    base('faithfulness', 'Average drop, increase, wins, confidence against area, deletion, insertion.'),
  )
    .option('--methods <names>', methodsHelp, commaSeparated)
    .addHelpText(
      'after',
      '\nExample:\n  $ gradcampp evaluate faithfulness --model model.onnx --data photos/ --layer fire9/concat --out faithfulness/',
    )
    .action(async (flags) => {
      const { evaluateFaithfulness } = await import('../evaluate/faithfulness/evaluate.js');
      await report(flags, async (common) =>
        evaluateFaithfulness({ ...common, ...(await variantsOf(flags)), ...masks(flags) }),
      );
    });
}

function ablation() {
  return curves(base('ablation', 'The same of the forms of Grad-CAM++ and of several layers, side by side.'))
    .option(
      '--variants <names>',
      'of exp,softmax,no-gradient-relu,alpha-normalization or methods (default: those four)',
      commaSeparated,
    )
    .option('--layers <names>', 'compare these layers (default: only the one of --layer)', commaSeparated)
    .addHelpText(
      'after',
      '\nExample:\n  $ gradcampp evaluate ablation --model model.onnx --data photos/ --variants exp,softmax --layers fire9/concat,fire8/concat',
    )
    .action(async (flags) => {
      const { evaluateFaithfulness } = await import('../evaluate/faithfulness/evaluate.js');
      const { ablationVariants } = await import('../evaluate/variants.js');
      const variants = ablationVariants(flags.variants ?? [], flags.layers ?? []);
      await report(flags, (common) =>
        evaluateFaithfulness({ ...common, variants, ...masks(flags), title: 'Ablation' }),
      );
    });
}

function localization() {
  return base('localization', 'Loc(δ), box IoU, pointing game and energy on annotated pictures.')
    .requiredOption('--boxes <format>', 'yolo, voc, coco or masks; --data is then a data set folder as usual')
    .option('--annotations <path>', 'labels, annotations, masks or the COCO file (default: found in --data)')
    .option(
      '--mapping <name>',
      'imagenet-to-coco, imagenet-to-voc or a file (default: classes of equal names)',
    )
    .option('--methods <names>', methodsHelp, commaSeparated)
    .option('--delta <numbers>', 'thresholds (default: 0,0.25,0.5)', numbers)
    .option('--tolerance <pixels>', 'of the pointing game (default: 0)', number)
    .option('--target <which>', 'explain the top class, or the best annotated one (default: top)')
    .addHelpText(
      'after',
      '\nExample:\n  $ gradcampp evaluate localization --model model.onnx --data coco128/ --boxes yolo --mapping imagenet-to-coco',
    )
    .action(async (flags) => {
      const { evaluateLocalization } = await import('../evaluate/localization/evaluate.js');
      const { findTruth } = await import('../evaluate/localization/truth.js');
      const annotations = flags.boxes as Parameters<typeof findTruth>[1]; // checked there
      const found = flags.annotations === undefined ? findTruth(flags.data[0], annotations) : undefined;
      await report(flags, async (common) =>
        evaluateLocalization({
          ...common,
          ...(found ? { images: [found.images, ...flags.data.slice(1)] } : {}),
          ...(await variantsOf(flags)),
          annotations,
          annotationPath: flags.annotations ?? (found as { annotationPath: string }).annotationPath,
          ...given({
            mapping: flags.mapping,
            deltas: flags.delta,
            tolerance: flags.tolerance,
            target: flags.target as 'top',
          }),
        }),
      );
    });
}

function grid() {
  return base('grid', 'The grid pointing game, from pictures of one class each.')
    .option('--methods <names>', methodsHelp, commaSeparated)
    .option('--size <n>', 'cells along each edge (default: 2)', number)
    .option('--grids <n>', 'how many are drawn (default: 100)', number)
    .option('--min-probability <p>', 'of the top class of a picture that takes part (default: 0.5)', number)
    .addHelpText(
      'after',
      '\nExample:\n  $ gradcampp evaluate grid --model model.onnx --data photos/ --size 3',
    )
    .action(async (flags) => {
      const { evaluateGrid } = await import('../evaluate/grid/evaluate.js');
      const { size, grids, minProbability } = flags;
      await report(flags, async (common) =>
        evaluateGrid({ ...common, ...(await variantsOf(flags)), ...given({ size, grids, minProbability }) }),
      );
    });
}

function sanity() {
  return base('sanity', 'Do maps change when the weights are random, and with the class?')
    .option('--methods <names>', methodsHelp, commaSeparated)
    .option('--stages <n>', 'of randomisation, cascading and independent each (default: 8)', number)
    .addHelpText('after', '\nExample:\n  $ gradcampp evaluate sanity --model model.onnx --data photos/')
    .action(async (flags) => {
      const { evaluateSanity } = await import('../evaluate/sanity/evaluate.js');
      await report(flags, async (common) =>
        evaluateSanity({ ...common, ...(await variantsOf(flags)), ...given({ stages: flags.stages }) }),
      );
    });
}

function generalization() {
  return shared('generalization', 'Average drop of several networks beside their train/test gap.')
    .requiredOption('--model <file>', 'an ONNX model, repeatable', collect)
    .requiredOption('--train <path>', 'training pictures, repeatable', collect)
    .requiredOption('--test <path>', 'test pictures, repeatable', collect)
    .option('--labels <how>', 'folder, prefix or a CSV file of picture,class (default: folder)')
    .option('--methods <names>', methodsHelp, commaSeparated)
    .addHelpText(
      'after',
      '\nExample:\n  $ gradcampp evaluate generalization --model a.onnx --model b.onnx --train train/ --test test/',
    )
    .action(async (flags) => {
      const { evaluateGeneralization } = await import('../evaluate/generalization/evaluate.js');
      const { model, train, test, labels } = flags;
      await report({ ...flags, data: [], model: '' }, async (common) =>
        evaluateGeneralization({
          ...common,
          ...(await variantsOf(flags)),
          models: model,
          train,
          test,
          ...given({ labels }),
        }),
      );
    });
}

interface SharedFlags {
  readonly model: string;
  readonly data: readonly string[];
  readonly layer?: readonly string[];
  readonly preprocess?: string;
  readonly output?: string;
  readonly backend?: string;
  readonly provider?: readonly string[];
  readonly out: string;
  readonly table?: string;
  readonly seed?: number;
  readonly workers?: number;
  readonly resume?: boolean;
  readonly quiet?: boolean;
}

/** Runs an evaluation with the flags that all share, shows its progress, and prints its summary. */
async function report(
  flags: SharedFlags,
  evaluate: (common: Omit<EvaluateOptions, 'variants'>) => Promise<Evaluated>,
): Promise<void> {
  const { reportText } = await import('../evaluate/report/text.js');
  const { model, data, layer, preprocess, output, backend, provider, table, seed, workers, resume } = flags;
  const { Progress } = await import('./progress.js');
  const progress = new Progress(flags.quiet ? { write: () => true } : process.stderr);
  let failed = 0;
  const common = {
    model,
    images: data,
    out: flags.out,
    open: given({ layer, preprocess, output, backend, executionProviders: provider }),
    ...given({ table, seed, workers, resume }),
    onProgress: (now) => {
      if (now.done === 0) progress.start({ images: now.total, note: now.step });
      else progress.step(now.failed > failed);
      ({ failed } = now);
    },
  } as Omit<EvaluateOptions, 'variants'>; // the API checks what was typed
  const { report: result, images, failures, files } = await evaluate(common);
  progress.clear();
  for (const { image, error } of failures) process.stderr.write(`gradcampp: ${image}: ${error}\n`);
  if (!flags.quiet) {
    process.stdout.write(reportText(result));
    process.stderr.write(`${images} measured, ${failures.length} failed → ${files.join(', ')}\n`);
  }
  if (failures.length > 0) process.exitCode = images > 0 ? 3 : 1;
}

async function variantsOf({ methods }: { methods?: readonly string[] }) {
  const { variantsOfMethods } = await import('../evaluate/variants.js');
  return { variants: variantsOfMethods(methods ?? ['grad-cam++', 'grad-cam', 'random']) };
}

/** The two ways of masking by the names that the documentation uses. */
const maskings: Readonly<Record<string, string>> = { tensor: 'zero', pixels: 'black' };

function masks(flags: {
  masking?: string;
  steps?: number;
  deletionBaseline?: string;
  insertionBaseline?: string;
  batch?: number;
}) {
  const { masking, steps, deletionBaseline, insertionBaseline, batch } = flags;
  return given({
    masking: masking && (maskings[masking] ?? masking),
    steps,
    deletionBaseline: deletionBaseline ?? (masking === 'pixels' ? 'black' : undefined),
    insertionBaseline,
    batch,
  }) as object;
}
