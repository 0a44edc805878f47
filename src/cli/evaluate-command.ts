import { Command } from 'commander';
import type { AnyEvaluation } from '../evaluate/definition.js';
import type { EvaluationProgress } from '../evaluate/evaluation.js';
import type { EvaluationName } from '../evaluate/evaluations.js';
import type { OptionsOfEvaluation } from '../evaluate/evaluate.js';
import type { OptionsOf, Stage } from '../options.js';
import { explainerOptions } from '../explain/explain-options.js';
import { addFlags, collect, fromFlags } from './flags.js';
import { complain, drawn, nowhere, print, printOptions, printText, say } from './terminal.js';

/**
 * `gradcampp evaluate`: is the explanation any good? Its commands come from the list of evaluations, which is loaded only
 * where one of them is asked for.
 */
export async function evaluateCommand(argv: readonly string[] = process.argv): Promise<Command> {
  const command = new Command('evaluate')
    .description('Measure explanations: faithfulness, localisation, sanity. Writes numbers and a report.')
    .addHelpText(
      'after',
      '\nExample:\n  $ gradcampp evaluate faithfulness --model model.onnx --data photos/ --method grad-cam++,grad-cam,random',
    );
  if (!argv.includes('evaluate')) return command;
  const { evaluations } = await import('../evaluate/evaluations.js');
  const { optionsOfAll } = await import('../evaluate/evaluation.js');
  const { evaluationPlanOptions } = await import('../fleet/shard-options.js');
  for (const evaluation of Object.values<AnyEvaluation>(evaluations))
    command.addCommand(commandOf(evaluation, optionsOfAll(evaluation), evaluationPlanOptions));
  return command;
}

type Planning = typeof import('../fleet/shard-options.js').evaluationPlanOptions;
type Shared = ReturnType<typeof import('../evaluate/evaluation.js').optionsOfAll>;

/** The command of one evaluation: its own flags, how the network is opened, and the flags of all. */
function commandOf(evaluation: AnyEvaluation, shared: Shared, planning: Planning): Command {
  const { name, description, example, options, severalNetworks } = evaluation;
  const command = new Command(name).description(description);
  if (severalNetworks) command.requiredOption('--model <file>', 'an ONNX model (repeatable)', collect);
  else command.requiredOption('--model <file>', 'the ONNX model');
  const { layer, ...others } = explainerOptions;
  const opening: Stage = 'layers' in options ? others : { layer, ...others }; // one that compares layers has its own flag
  return addFlags(command, options, opening, shared, printOptions, planning)
    .addHelpText('after', `\nExample:\n  $ gradcampp evaluate ${name} --model model.onnx ${example}`)
    .action((flags) => {
      const asked = {
        ...fromFlags(shared, flags),
        ...fromFlags(options, flags),
        model: flags.model,
        open: fromFlags(opening, flags),
      };
      if (flags.plan === undefined) return run(evaluation, flags, asked);
      return plan(evaluation, flags, asked, fromFlags(planning, flags));
    });
}

/** Writes the plan of an evaluation for many machines. */
async function plan(
  { name }: AnyEvaluation,
  flags: { readonly quiet?: boolean },
  options: object,
  where: OptionsOf<Planning>,
): Promise<void> {
  const { planEvaluation } = await import('../fleet/evaluation-shards.js');
  const planned = await planEvaluation(
    name as EvaluationName,
    options as OptionsOfEvaluation<EvaluationName>, // checked there
    where,
  );
  if (!flags.quiet) print(`${planned.images} files, ${planned.shards} shards → ${planned.plan}`);
}

/** Runs an evaluation, shows its progress, and prints its summary. */
async function run(
  { name }: AnyEvaluation,
  { quiet }: { readonly quiet?: boolean },
  options: object,
): Promise<void> {
  const { evaluate } = await import('../evaluate/evaluate.js');
  const { reportText } = await import('../evaluate/report/text.js');
  const { ProgressLine } = await import('./progress-line.js');
  const progress = new ProgressLine(quiet ? nowhere : drawn);
  let before: EvaluationProgress | undefined;
  const onProgress = (now: EvaluationProgress) => {
    if (now.step !== before?.step || now.done < before.done)
      progress.start({ images: now.total, note: now.step });
    else if (now.done > before.done) progress.step(now.failed > before.failed, now.within);
    else progress.within(now.within);
    before = now;
  };
  const { report, finishedBefore, images, failures, files } = await evaluate(
    name as EvaluationName,
    { ...options, onProgress } as OptionsOfEvaluation<EvaluationName>, // the API checks what was typed
  );
  progress.clear();
  for (const { image, error } of failures) complain(`${image}: ${error}`);
  if (!quiet) {
    if (report) printText(reportText(report));
    if (finishedBefore) say('It was finished before; --overwrite measures again.');
    say(`${images} measured, ${failures.length} failed → ${files.join(', ')}`);
  }
  if (failures.length > 0) process.exitCode = images > 0 ? 3 : 1;
}
