import { Command } from '@commander-js/extra-typings';
import { outputOptions } from '../batch/output-options.js';
import type { FailedLine, ResultLine } from '../batch/results.js';
import type { RunOptions, Summary } from '../batch/explain-folder.js';
import { explainRunOptions, workforceOptions } from '../batch/run-options.js';
import { explainerOptions, explainOptions } from '../explain/options.js';
import { type Target, targetHelp } from '../targets/index.js';
import { addFlags, collect, fromFlags, number } from './flags.js';

const examples = `
Kinds of --target:
${targetHelp.map((line) => `  ${line}`).join('\n')}

Example:
  $ gradcampp explain cat.jpg photos/ --model model.onnx --top 3 --out maps/

Exit code: 0 all explained, 3 some pictures failed, 1 none was or the run could not start, 130 interrupted.`;

/** `gradcampp explain`: maps of pictures, written to a folder. */
export function explainCommand() {
  const command = new Command('explain')
    .description('Show where a network looked: a heat map over each picture, and the numbers behind it.')
    .argument('[images...]', 'pictures, folders, patterns, .npy tensors, or - for paths on standard input')
    .requiredOption('--model <file>', 'the ONNX model')
    .option('--class <class>', 'explain a class, by index or name; repeatable', collect)
    .option('--top <n>', 'explain the n best classes', number)
    .option('--json', 'print the lines of results.jsonl, and nothing else, on standard output')
    .option('--quiet', 'print nothing but errors');
  addFlags(command, explainOptions, explainerOptions, outputOptions, explainRunOptions, workforceOptions);
  return command.addHelpText('after', examples).action(async (images, flags) => {
    const { explainFolder } = await import('../batch/explain-folder.js');
    const explain = fromFlags(explainOptions, flags);
    const targets = [
      ...(flags.class ?? []),
      ...(flags.top === undefined ? [] : [{ top: flags.top }]),
      ...((explain.targets as Target[] | undefined) ?? []),
    ];
    const options = {
      model: flags.model,
      images,
      ...fromFlags(explainRunOptions, flags),
      open: fromFlags(explainerOptions, flags),
      workforce: fromFlags(workforceOptions, flags),
      explain: { ...explain, ...(targets.length > 0 ? { targets } : {}) },
      outputs: fromFlags(outputOptions, flags),
    } as RunOptions; // the API checks what was typed
    const { describeSummary, Progress } = await import('./progress.js');
    const progress = new Progress(flags.quiet ? { write: () => true } : process.stderr);
    const say = (text: string) => {
      progress.clear();
      if (!flags.quiet) process.stderr.write(`${text}\n`);
    };
    const summary = await explainFolder(
      { ...options, signal: stopSignal(say) },
      {
        started: (start) => {
          const { layers, layerIsAutomatic, notes, backend } = start;
          for (const note of notes) say(note);
          say(`Layer: ${layers.join(', ')}${layerIsAutomatic ? ' (chosen automatically)' : ''}`);
          progress.start({ ...start, note: `${layers.join(', ')}, ${backend}` });
        },
        picture: (lines) => {
          const failed = lines.some((line) => 'error' in line);
          if (failed || process.stdout.isTTY) progress.clear();
          for (const line of lines) {
            if (flags.json) process.stdout.write(`${JSON.stringify(line)}\n`);
            if ('error' in line) process.stderr.write(`gradcampp: ${named(line)}\n`);
            else if (!flags.json && !flags.quiet) process.stdout.write(`${describe(line)}\n`);
          }
          progress.step(failed);
        },
      },
    );
    if (summary.error) process.stderr.write(`gradcampp: ${summary.error.message}\n`);
    say(describeSummary(summary));
    process.exitCode = exitCodeOf(summary);
  });
}

/** 0: all explained · 3: some not · 1: none · 130: interrupted, by convention. */
function exitCodeOf({ explained, failed, stopped, error }: Summary): number {
  if (stopped && !error) return 130;
  if (failed === 0 && !error) return 0;
  return explained > 0 || error ? 3 : 1;
}

/** Ctrl-C once finishes what is in flight, twice stops now. */
function stopSignal(say: (text: string) => void): AbortSignal {
  const controller = new AbortController();
  const stop = (signal: NodeJS.Signals) => {
    if (controller.signal.aborted) {
      process.removeAllListeners(signal);
      process.kill(process.pid, signal); // as if it had never been caught; `exit` would wait for the workers
      return;
    }
    controller.abort();
    say('Finishing the pictures in flight. Ctrl-C again stops now; --resume continues later.');
  };
  process.on('SIGINT', stop);
  process.on('SIGTERM', stop);
  return controller.signal;
}

/** The message, after the picture's path where it does not hold it. */
function named({ image: { path }, error: { message } }: FailedLine): string {
  return path === undefined || message.includes(path) ? message : `${path}: ${message}`;
}

/** `cat.jpg: tabby 93.1 % → cat.overlay.png` */
function describe({ image, target, files }: ResultLine): string {
  const value =
    target.probability === undefined ? target.score : `${(100 * target.probability).toFixed(1)} %`;
  const written = Object.values(files).join(', ');
  return `${image.path}: ${target.name} ${value}${written ? ` → ${written}` : ''}`;
}
