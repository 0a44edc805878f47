#!/usr/bin/env node
import { Command, CommanderError } from 'commander';
import { GradcamppError, InternalFault, messageOf } from '../errors.js';
import { version } from '../package.js';
import { captionCommand } from './caption-command.js';
import { differentiateCommand } from './differentiate-command.js';
import { evaluateCommand } from './evaluate-command.js';
import { distillCommand } from './distill-command.js';
import { explainCommand } from './explain-command.js';
import { exploreCommand } from './explore-command.js';
import { exportCommand } from './export-command.js';
import { inspectCommand } from './inspect-command.js';
import { opsCommand } from './ops-command.js';
import { serveCommand } from './serve-command.js';
import { shardCommand } from './shard-command.js';
import { studyCommand } from './study-command.js';
import { trainCommand } from './train-command.js';
import { complain, log, logAs, printText, say, watchStreams } from './terminal.js';

/** The command line: argv → the options the API takes. Commands load what they need when they run. */
async function program(): Promise<Command> {
  const root = new Command('gradcampp')
    .description('Grad-CAM++ for ONNX networks: which regions of a picture drove a class score.')
    .version(version)
    .showHelpAfterError('(gradcampp --help shows how)')
    .addHelpText(
      'after',
      '\nExample:\n  $ gradcampp explain cat.jpg photos/ --model model.onnx --out maps/\n\nEvery command has its own --help.',
    );
  for (const command of [
    explainCommand,
    exploreCommand,
    captionCommand,
    inspectCommand,
    differentiateCommand,
    exportCommand,
    opsCommand,
    evaluateCommand,
    studyCommand,
    distillCommand,
    trainCommand,
    shardCommand,
    serveCommand,
  ])
    root.addCommand((await command()) as unknown as Command);
  printThroughTerminal(root);
  return root.exitOverride();
}

/** What commander prints, which may be what was typed. */
function printThroughTerminal(command: Command): void {
  command.configureOutput({
    writeOut: (text) => printText(text),
    writeErr: (text) => printText(text, (line) => log('error', line, { event: 'usage' })),
  });
  command.on('option:log', logAs); // at once, so that what is wrong with the others is said in the same way
  for (const own of command.commands) printThroughTerminal(own);
}

/** 0: done · 1: bad input · 2: a fault of this program · 3 is set by commands whose run failed in part. */
function exitCode(error: unknown): number {
  if (error instanceof CommanderError) return error.exitCode;
  if (error instanceof GradcamppError && !(error instanceof InternalFault)) {
    complain(error.message, { event: 'error', code: error.code });
    return 1;
  }
  const fault = error instanceof InternalFault ? error.cause : error;
  complain(`internal fault: ${messageOf(fault)} (GRADCAMPP_DEBUG=1 shows where; please report it)`);
  if (process.env.GRADCAMPP_DEBUG && fault instanceof Error) printText(fault.stack ?? '', say);
  return 2;
}

watchStreams();
program()
  .then((root) => root.parseAsync())
  .catch((error: unknown) => {
    process.exitCode = exitCode(error);
  });
