import { Command } from '@commander-js/extra-typings';
import type { RunOptions, Summary } from '../batch/explain-folder.js';
import { explainRunOptions, workforceOptions } from '../batch/run-options.js';
import { targetHelp } from '../targets/index.js';
import { addExplainFlags, explainFlagsOf } from './explain-flags.js';
import { addFlags, fromFlags } from './flags.js';
import { interruptSignal } from './interrupt.js';
import { jsonOption, printOptions } from './terminal.js';

const examples = `
Kinds of --target:
${targetHelp.map((line) => `  ${line}`).join('\n')}

Example:
  $ gradcampp explain cat.jpg photos/ --model model.onnx --top 3 --out maps/

Exit code: 0 all explained, 3 some pictures failed, 1 none was or the run could not start, 130 interrupted, 141 the reader of
standard output went away.`;

/** `gradcampp explain`: maps of pictures, written to a folder. */
export function explainCommand() {
  const command = new Command('explain')
    .description('Show where a network looked: a heat map over each picture, and the numbers behind it.')
    .argument('[images...]', 'pictures, folders, patterns, .npy tensors, or - for paths on standard input');
  addExplainFlags(command as never);
  addFlags(command, explainRunOptions, workforceOptions);
  addFlags(command, printOptions, jsonOption);
  return command.addHelpText('after', examples).action(async (images, flags) => {
    const { explainFolder } = await import('../batch/explain-folder.js');
    const { describeLine, RunPrinter } = await import('./run-printer.js');
    const printer = new RunPrinter(
      { ...fromFlags(printOptions, flags), ...fromFlags(jsonOption, flags) },
      describeLine,
    );
    const signal = interruptSignal(printer.say);
    const summary = await explainFolder({ ...optionsOf(images, flags), signal }, printer);
    printer.summary(summary);
    process.exitCode = exitCodeOf(summary);
  });
}

/** What was typed as the API takes it, which checks it. */
function optionsOf(images: readonly string[], flags: object): RunOptions {
  return {
    ...explainFlagsOf(flags),
    images,
    ...fromFlags(explainRunOptions, flags),
    workforce: fromFlags(workforceOptions, flags),
  };
}

/** 0: all explained · 3: some not · 1: none · 130: interrupted, by convention. */
export function exitCodeOf({
  explained,
  failed,
  stopped,
  error,
}: Pick<Summary, 'explained' | 'failed' | 'stopped' | 'error'>): number {
  if (stopped && !error) return 130;
  if (failed === 0 && !error) return 0;
  return explained > 0 || error ? 3 : 1;
}
