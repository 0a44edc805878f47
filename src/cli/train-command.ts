import { Command } from 'commander';
import { addFlags, fromFlags } from './flags.js';
import { printOptions } from './terminal.js';

/** `gradcampp train`: a network from labelled pictures. */
export async function trainCommand(argv: readonly string[] = process.argv): Promise<Command> {
  const command = new Command('train').description('Train a network on labelled pictures, or fine-tune one.');
  if (!argv.includes('train')) return command;
  const { trainOptions } = await import('../train/run/train-options.js');
  return addFlags(command, trainOptions, printOptions)
    .addHelpText(
      'after',
      '\nExample:\n  $ gradcampp train --student resnet-20 --data train/ --test test/ --epochs 30 --out run/',
    )
    .action(async (flags) => {
      const { train } = await import('../train/run/run.js');
      const { trainingPrinter } = await import('./training-printer.js');
      const options = fromFlags(trainOptions, flags);
      const printer = trainingPrinter(flags.quiet, options.out ?? trainOptions.out.default);
      const { show: onProgress, note: onNote } = printer;
      printer.trained(await train({ ...options, onProgress, onNote }).finally(printer.clear));
    });
}
