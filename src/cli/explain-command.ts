import { Command } from '@commander-js/extra-typings';
import type { RunOptions, Summary } from '../batch/explain-folder.js';
import { outputOptions } from '../batch/output-options.js';
import { explainRunOptions, workforceOptions } from '../batch/run-options.js';
import { explainerOptions, explainOptions } from '../explain/explain-options.js';
import { yesOrNo } from '../options.js';
import { type Target, targetHelp } from '../targets/index.js';
import { addFlags, collect, fromFlags, number } from './flags.js';
import { interruptSignal } from './interrupt.js';
import { printOptions } from './terminal.js';

const examples = `
Kinds of --target:
${targetHelp.map((line) => `  ${line}`).join('\n')}

Example:
  $ gradcampp explain cat.jpg photos/ --model model.onnx --top 3 --out maps/

Exit code: 0 all explained, 3 some pictures failed, 1 none was or the run could not start, 130 interrupted, 141 the reader of
standard output went away.`;

const jsonOption = {
  json: yesOrNo({
    default: false,
    help: 'print the lines of results.jsonl, and nothing else, on standard output',
    flag: '--json',
  }),
};

/** `gradcampp explain`: maps of pictures, written to a folder. */
export function explainCommand() {
  const command = new Command('explain')
    .description('Show where a network looked: a heat map over each picture, and the numbers behind it.')
    .argument('[images...]', 'pictures, folders, patterns, .npy tensors, or - for paths on standard input')
    .requiredOption('--model <file>', 'the ONNX model')
    .option('--class <class>', 'explain a class, by index or name; repeatable', collect)
    .option('--top <n>', 'explain the n best classes', number)
    .option(
      '--like <picture>',
      'explain how alike its embedding is to another picture’s; repeatable',
      collect,
    );
  addFlags(command, explainOptions, explainerOptions, outputOptions, explainRunOptions, workforceOptions);
  addFlags(command, printOptions, jsonOption);
  return command.addHelpText('after', examples).action(async (images, flags) => {
    const { explainFolder } = await import('../batch/explain-folder.js');
    const { RunPrinter } = await import('./run-printer.js');
    const printer = new RunPrinter({ ...fromFlags(printOptions, flags), ...fromFlags(jsonOption, flags) });
    const signal = interruptSignal(printer.say);
    const summary = await explainFolder({ ...optionsOf(images, flags), signal }, printer);
    printer.summary(summary);
    process.exitCode = exitCodeOf(summary);
  });
}

/** What was typed as the API takes it, which checks it. */
function optionsOf(
  images: readonly string[],
  flags: {
    readonly model: string;
    readonly class?: readonly string[];
    readonly top?: number;
    readonly like?: readonly string[];
  },
): RunOptions {
  const { targets = [], ...explain } = fromFlags(explainOptions, flags);
  const top = flags.top === undefined ? [] : [{ top: flags.top }];
  const like = (flags.like ?? []).map((picture) => ({ kind: 'embedding', like: picture }) as const);
  const all = [...(flags.class ?? []), ...top, ...like, ...(targets as readonly Target[])];
  return {
    model: flags.model,
    images,
    ...fromFlags(explainRunOptions, flags),
    open: fromFlags(explainerOptions, flags),
    workforce: fromFlags(workforceOptions, flags),
    explain: { ...explain, ...(all.length > 0 ? { targets: all } : {}) },
    outputs: fromFlags(outputOptions, flags),
  };
}

/** 0: all explained · 3: some not · 1: none · 130: interrupted, by convention. */
function exitCodeOf({ explained, failed, stopped, error }: Summary): number {
  if (stopped && !error) return 130;
  if (failed === 0 && !error) return 0;
  return explained > 0 || error ? 3 : 1;
}
