import { Command } from 'commander';
import { explainerOptions } from '../explain/explain-options.js';
import { addFlags, fromFlags, given } from './flags.js';
import { complain, drawn, nowhere, print, printOptions, printText, say } from './terminal.js';

/** `gradcampp study`: which explanation do people trust? */
export async function studyCommand(argv: readonly string[] = process.argv): Promise<Command> {
  const command = new Command('study')
    .description('A study of human trust: build the page that subjects answer, and score their answers.')
    .addHelpText(
      'after',
      '\nExample:\n  $ gradcampp study build --model model.onnx --data photos/ --method grad-cam++,grad-cam --out study/\n  $ gradcampp study score study/answers/*.json',
    );
  if (!argv.includes('study')) return command;
  return command.addCommand(await build()).addCommand(score());
}

async function build(): Promise<Command> {
  const { studyOptions } = await import('../evaluate/study/study-options.js');
  const command = new Command('build')
    .description('Write study.html, to be handed out, and study.json, the key that subjects must not see.')
    .requiredOption('--model <file>', 'the ONNX model');
  return addFlags(command, studyOptions, explainerOptions, printOptions)
    .addHelpText(
      'after',
      '\nExample:\n  $ gradcampp study build --model model.onnx --data photos/ --classes 5 --per-class 50 --out study/',
    )
    .action(async (flags) => {
      const { writeStudy } = await import('../evaluate/study/study-folder.js');
      const { ProgressLine } = await import('./progress-line.js');
      const progress = new ProgressLine(flags.quiet ? nowhere : drawn);
      const { key, files, failures, remarks } = await writeStudy({
        ...fromFlags(studyOptions, flags),
        model: flags.model,
        open: fromFlags(explainerOptions, flags),
        onProgress: (done, total) => {
          if (done === 0) progress.start({ images: total, note: 'pictures classified, then explained' });
          else progress.step(false);
        },
      });
      progress.clear();
      for (const { image, error } of failures) complain(`${image}: ${error}`);
      if (failures.length > 0) process.exitCode = 3;
      if (flags.quiet) return;
      for (const remark of remarks) say(remark);
      for (const { name, f1, pictures } of key.classes)
        print(`${name}: F1 ${f1.toFixed(3)}, ${pictures} pictures`);
      print(`Hand out ${files[0]}; keep ${files[1]} for scoring.`);
    });
}

function score(): Command {
  return new Command('score')
    .description("The paper's score of each method, overall and by class, and how far subjects agree.")
    .argument('<answers...>', 'the files that subjects saved')
    .option('--key <file>', 'study.json (default: found beside the answers or in the folder above)')
    .option('--out <dir>', 'also write results.json and report.html there')
    .option('--overwrite', 'replace those that are there')
    .option('--json', 'print one JSON object')
    .addHelpText(
      'after',
      '\nExample:\n  $ gradcampp study score answers/*.json --key study/study.json --out score/',
    )
    .action(async (answers: string[], flags) => {
      const { key, out, json, overwrite } = flags as {
        key?: string;
        out?: string;
        json?: boolean;
        overwrite?: boolean;
      };
      const { scoreAnswers } = await import('../evaluate/study/study-folder.js');
      const { reportText } = await import('../evaluate/report/text.js');
      const { score: result, files } = await scoreAnswers({ answers, ...given({ key, out, overwrite }) });
      const { report, ...plain } = result;
      if (json) print(JSON.stringify(plain));
      else printText(reportText({ ...report, provenance: [] }));
      if (files.length > 0) say(`→ ${files.join(', ')}`);
    });
}
