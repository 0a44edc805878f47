import { Command } from 'commander';
import { addFlags, fromFlags } from './flags.js';
import { printOptions } from './terminal.js';

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
      '\nExample:\n  $ gradcampp distill --teacher T.onnx --student resnet-8 --data train/ --test test/ --epochs 10 --seeds 3 --out run/',
    )
    .action(async (flags) => {
      const { distill } = await import('../train/run/run.js');
      const { printTrained, trainingProgress } = await import('./training-printer.js');
      const progress = trainingProgress(flags.quiet);
      const options = fromFlags({ ...distillOptions, ...trainOptions }, flags);
      const trained = await distill({ ...options, onProgress: progress.show }).finally(progress.clear);
      if (!flags.quiet) printTrained(trained);
    });
}
