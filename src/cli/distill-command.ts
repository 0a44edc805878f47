import { Command } from 'commander';
import type { DistillOptions, Trained } from '../train/run/run.js';
import { addFlags, fromFlags } from './flags.js';
import { printOptions } from './terminal.js';

/** Without teacher and pictures: on drawn ones. */
async function demonstrate(given: DistillOptions): Promise<Trained> {
  const { demonstrationOptions } = await import('../train/demonstration/demonstration.js');
  const { distill } = await import('../train/run/run.js');
  return distill(await demonstrationOptions(given));
}

/** `gradcampp distill`: a student that looks where its teacher looks. */
export async function distillCommand(argv: readonly string[] = process.argv): Promise<Command> {
  const command = new Command('distill').description(
    'Train a small network to do what a trained one does, and to look where it looks.',
  );
  if (!argv.includes('distill')) return command;
  const { distillOptions, trainOptions } = await import('../train/run/train-options.js');
  return addFlags(command, distillOptions, trainOptions, printOptions)
    .addHelpText(
      'after',
      '\nWithout --teacher and --data pictures are drawn, and a teacher is trained on them: a first try, of a minute or two.\n\nExample:\n  $ gradcampp distill --teacher T.onnx --student resnet-8 --data train/ --test test/ --epochs 10 --seeds 3 --out run/',
    )
    .action(async (flags) => {
      const { distill } = await import('../train/run/run.js');
      const { trainingPrinter } = await import('./training-printer.js');
      const options = fromFlags({ ...distillOptions, ...trainOptions }, flags);
      const printer = trainingPrinter(flags.quiet, options.out ?? trainOptions.out.default);
      const given = { ...options, onProgress: printer.show, onNote: printer.note };
      const isDemonstration = options.teacher === undefined && options.data === undefined;
      printer.trained(await (isDemonstration ? demonstrate(given) : distill(given)).finally(printer.clear));
    });
}
