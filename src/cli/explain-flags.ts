import type { Command } from 'commander';
import type { RunOptions } from '../batch/explain-folder.js';
import { outputOptions } from '../batch/output-options.js';
import { explainerOptions, explainOptions } from '../explain/explain-options.js';
import type { Stage } from '../options.js';
import type { Target } from '../targets/index.js';
import { addFlags, collect, fromFlags, number } from './flags.js';

/** What is explained, how, and what is drawn of it. @param drawing the options of what is drawn */
export function addExplainFlags(command: Command, drawing: Stage = outputOptions): void {
  command
    .requiredOption('--model <file>', 'the ONNX model')
    .option('--class <class>', 'explain a class, by index or name; repeatable', collect)
    .option('--top <n>', 'explain the n best classes', number)
    .option(
      '--like <picture>',
      'explain how alike its embedding is to another picture’s; repeatable',
      collect,
    );
  addFlags(command, explainOptions, explainerOptions, drawing);
}

interface Typed {
  readonly model: string;
  readonly class?: readonly string[];
  readonly top?: number;
  readonly like?: readonly string[];
}

/** What was typed as the API takes it, which checks it. */
export function explainFlagsOf(flags: object): Pick<RunOptions, 'model' | 'open' | 'explain' | 'outputs'> {
  const typed = flags as Typed;
  const { targets = [], ...explain } = fromFlags(explainOptions, flags);
  const top = typed.top === undefined ? [] : [{ top: typed.top }];
  const like = (typed.like ?? []).map((picture) => ({ kind: 'embedding', like: picture }) as const);
  const all = [...(typed.class ?? []), ...top, ...like, ...(targets as readonly Target[])];
  return {
    model: typed.model,
    open: fromFlags(explainerOptions, flags),
    explain: { ...explain, ...(all.length > 0 ? { targets: all } : {}) },
    outputs: fromFlags(outputOptions, flags),
  };
}
