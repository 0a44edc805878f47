import { Command } from 'commander';
import type { AnyLine } from '../batch/results/result-line.js';
import { workforceOptions } from '../batch/run-options.js';
import { yesOrNo } from '../options.js';
import { exitCodeOf } from './explain-command.js';
import { addExplainFlags, explainFlagsOf } from './explain-flags.js';
import { addFlags, fromFlags } from './flags.js';
import { interruptSignal } from './interrupt.js';
import { complain, drawn, nowhere, print, printOptions, say } from './terminal.js';

const examples = `
Example:
  $ gradcampp shard plan photos/ --model model.onnx --size 512 --out work/
  $ gradcampp shard run work/ --index 0          (on any machine, for each shard)
  $ gradcampp shard merge work/ --out maps/`;

/** `gradcampp shard`: a run on many machines. */
export async function shardCommand(argv: readonly string[] = process.argv): Promise<Command> {
  const command = new Command('shard')
    .description(
      'Explain on many machines: plan shards, run each anywhere, merge what one machine would write.',
    )
    .addHelpText('after', examples);
  if (!argv.includes('shard')) return command;
  return command
    .addCommand(await plan())
    .addCommand(await run())
    .addCommand(await submit())
    .addCommand(await work())
    .addCommand(status())
    .addCommand(await merge());
}

async function plan(): Promise<Command> {
  const { planOptions } = await import('../fleet/shard-options.js');
  const command = new Command('plan')
    .description('Cut pictures into shards, and write plan.json and their lists.')
    .argument('[images...]', 'pictures, folders, patterns, .npy tensors, or - for paths on standard input');
  addExplainFlags(command);
  return addFlags(command, planOptions, printOptions).action(async (images: string[], flags) => {
    const { planShards } = await import('../fleet/plan.js');
    const options = { ...explainFlagsOf(flags), ...fromFlags(planOptions, flags), images };
    const planned = await planShards(options as Parameters<typeof planShards>[0]);
    if (flags.quiet) return;
    for (const note of [...planned.notes, ...(planned.leftOut?.remarks ?? [])]) say(note);
    const what = planned.images === undefined ? '' : `${planned.images} pictures, `;
    print(`${what}${planned.shards} shards → ${planned.plan}`);
  });
}

async function run(): Promise<Command> {
  const { shardOptions } = await import('../fleet/shard-options.js');
  const command = new Command('run')
    .description('Explain one shard. Running it again, or twice at once, changes nothing.')
    .argument('<plan>', 'plan.json, or the folder that it is in')
    .addHelpText(
      'after',
      '\nExit code: 0 the shard is done (pictures that failed are lines of its results), 1 it is not, 130 interrupted.',
    );
  return addFlags(command, shardOptions, workforceOptions, printOptions).action(
    async (where: string, flags) => {
      const { runShard } = await import('../fleet/run-shard.js');
      const { describeLine, RunPrinter } = await import('./run-printer.js');
      const printer = new RunPrinter(fromFlags(printOptions, flags), describeLine);
      const workforce = fromFlags(workforceOptions, flags);
      const signal = interruptSignal(printer.say, 'nothing of the shard is kept');
      const done = await runShard(
        { ...fromFlags(shardOptions, flags), plan: where, workforce, signal },
        {
          started: (start) => printer.started(start),
          picture: (lines) => printer.picture(lines.filter(isFailed)),
        },
      );
      for (const note of done.notes) complain(note, { event: 'note' });
      if (done.outcome === 'stopped') process.exitCode = 130;
      const failed = done.failed > 0 ? `, ${done.failed} failed` : '';
      const pictures = done.outcome === 'stopped' ? '' : `: ${done.images} pictures${failed}`;
      const { notes: _, ...facts } = done;
      printer.say(`Shard ${done.index} of ${done.shards} ${done.outcome}${pictures}.`, {
        event: 'shard',
        plan: where,
        ...facts,
      });
    },
  );
}

async function submit(): Promise<Command> {
  const { queueOptions } = await import('../fleet/queue.js');
  const command = new Command('submit')
    .description(
      'Put the shards that are not done into a queue of BullMQ, on Redis. Doing it again changes nothing.',
    )
    .argument('<plan>', 'plan.json, or the folder that it is in, by the name under which workers find it');
  return addFlags(command, queueOptions, printOptions).action(async (plan: string, flags) => {
    const { submitShards } = await import('../fleet/submit.js');
    const { shards, done, added, waiting, queue } = await submitShards({
      ...fromFlags(queueOptions, flags),
      plan,
    });
    if (flags.quiet) return;
    print(
      `${added} of ${shards} shards submitted to queue "${queue}"; ${waiting} were in it, ${done} are done.`,
    );
  });
}

async function work(): Promise<Command> {
  const { queueOptions } = await import('../fleet/queue.js');
  const { workOptions } = await import('../fleet/work.js');
  const command = new Command('work')
    .description('Run shards out of a queue, one after the other. Start it on as many machines as there are.')
    .addHelpText(
      'after',
      '\nExit code: 0 ended with --until-empty, 3 some shards failed here for good, 130 interrupted.',
    );
  return addFlags(command, queueOptions, workOptions, workforceOptions, printOptions).action(
    async (flags) => {
      const { workShards } = await import('../fleet/work.js');
      const tell = flags.quiet ? () => undefined : say;
      const signal = interruptSignal(tell, 'the shard goes back into the queue');
      const { failed } = await workShards(
        {
          ...fromFlags(queueOptions, flags),
          ...fromFlags(workOptions, flags),
          workforce: fromFlags(workforceOptions, flags),
          signal,
        },
        {
          begun: (job) => tell([], { event: 'shard begun', ...job }),
          ended: ({ index, shards, images, failed: own, outcome }, { plan }) =>
            tell(
              `${plan}: shard ${index} of ${shards} ${outcome}: ${images} pictures${own > 0 ? `, ${own} failed` : ''}`,
              { event: 'shard', plan, index, shards, outcome, images, failed: own },
            ),
          failed: ({ plan, index }, error, isTriedAgain) =>
            complain(
              `${plan}: shard ${index} failed${isTriedAgain ? ', and is tried again' : ''}: ${error.message}`,
              { event: 'shard', plan, index, outcome: 'failed', isTriedAgain },
            ),
          note: (text) => complain(text, { event: 'connection' }),
        },
      );
      process.exitCode = signal.aborted ? 130 : failed > 0 ? 3 : 0;
    },
  );
}

function isFailed(line: AnyLine): boolean {
  return 'error' in line;
}

function status(): Command {
  const options = {
    json: yesOrNo({ default: false, help: 'print one JSON object', flag: '--json' }),
    missing: yesOrNo({
      default: false,
      help: 'print the numbers of the shards that are not done, and nothing else, as 0,3-5',
      flag: '--missing',
    }),
  };
  const command = new Command('status')
    .description('Which shards are done.')
    .argument('<plan>', 'plan.json, or the folder that it is in')
    .addHelpText('after', '\nExit code: 0 all shards are done, 3 some are not.');
  return addFlags(command, options).action(async (where: string, flags) => {
    const { shardStatus } = await import('../fleet/status.js');
    const { ranges } = await import('../fleet/manifest.js');
    const found = await shardStatus(where);
    if (found.missing.length > 0) process.exitCode = 3;
    if (flags.json) return print(JSON.stringify(found));
    if (flags.missing) return print(ranges(found.missing).replaceAll(' ', ''));
    print(`${found.done} of ${found.shards} shards done: ${found.images} pictures, ${found.failed} failed`);
    if (found.missing.length > 0) print(`Not done: ${ranges(found.missing)}`);
  });
}

async function merge(): Promise<Command> {
  const { mergeOptions } = await import('../fleet/shard-options.js');
  const command = new Command('merge')
    .description('Make of all shards the folder that one machine would write.')
    .argument('<plan>', 'plan.json, or the folder that it is in')
    .addHelpText('after', '\nExit code: 0 all explained, 3 some pictures failed, 1 a shard is missing.');
  return addFlags(command, mergeOptions, printOptions).action(async (where: string, flags) => {
    const { mergeShards } = await import('../fleet/merge.js');
    const { ProgressLine } = await import('./progress-line.js');
    const progress = new ProgressLine(flags.quiet ? nowhere : drawn);
    const merged = await mergeShards({
      ...fromFlags(mergeOptions, flags),
      plan: where,
      onProgress: (done, shards) => {
        if (done === 0) progress.start({ images: shards, note: 'shards' });
        else progress.step(false);
      },
    }).finally(() => progress.clear());
    const { images, failed, shards, out, notes } = merged;
    process.exitCode = exitCodeOf({ explained: images - failed, failed, stopped: false });
    if (flags.quiet) return;
    for (const note of notes) say(note);
    const remark = failed > 0 ? `, ${failed} failed` : '';
    say(`${images - failed} of ${images} pictures of ${shards} shards explained${remark} → ${out}`);
  });
}
