import { Command } from '@commander-js/extra-typings';
import { collect, commaSeparated, given, number } from './flags.js';

/** `gradcampp study`: which explanation do people trust? */
export function studyCommand() {
  const command = new Command('study')
    .description('A study of human trust: build the page that subjects answer, and score their answers.')
    .addHelpText(
      'after',
      '\nExample:\n  $ gradcampp study build --model model.onnx --data photos/ --methods grad-cam++,grad-cam --out study/\n  $ gradcampp study score study/answers/*.json',
    );
  for (const kind of [build, score]) command.addCommand(kind() as unknown as Command);
  return command;
}

function build() {
  return new Command('build')
    .description('Write study.html, to be handed out, and study.json, the key that subjects must not see.')
    .requiredOption('--model <file>', 'the ONNX model')
    .requiredOption('--data <path>', 'labelled pictures: a folder, file or pattern, repeatable', collect)
    .option('--labels <how>', 'folder, prefix or a CSV file of picture,class (default: folder)')
    .option('--methods <names>', 'the two that are compared (default: grad-cam++,grad-cam)', commaSeparated)
    .option('--classes <n>', 'the ones with the highest F1 (default: 5)', number)
    .option('--per-class <n>', 'pictures of each (default: 50)', number)
    .option('--title <text>', 'of the page')
    .option('--seed <n>', 'for everything that is drawn (default: 1)', number)
    .option('--layer <name>', 'the layer to explain; repeat it to average several (default: auto)', collect)
    .option('--preprocess <file>', 'JSON sidecar (default: <model>.json, else ImageNet preprocessing)')
    .option('--output <name>', 'the output that holds the scores (default: found)')
    .option('--out <dir>', 'where the study goes', 'gradcampp-study')
    .option('--quiet', 'print nothing but errors')
    .addHelpText(
      'after',
      '\nExample:\n  $ gradcampp study build --model model.onnx --data photos/ --classes 5 --per-class 50 --out study/',
    )
    .action(async (flags) => {
      const { writeStudy } = await import('../evaluate/study/evaluate.js');
      const { variantsOfMethods } = await import('../evaluate/variants.js');
      const { model, data, labels, methods, classes, perClass, title, seed, out, quiet } = flags;
      const { layer, preprocess, output } = flags;
      const { Progress } = await import('./progress.js');
      const progress = new Progress(quiet ? { write: () => true } : process.stderr);
      const { key, files } = await writeStudy({
        model,
        images: data,
        variants: variantsOfMethods(methods ?? ['grad-cam++', 'grad-cam']),
        out,
        open: given({ layer, preprocess, output }),
        ...given({ labels, classes, perClass, title, seed }),
        onProgress: (done, total) => {
          if (done === 0) progress.start({ images: total, note: 'pictures classified, then explained' });
          else progress.step(false);
        },
      });
      progress.clear();
      if (quiet) return;
      for (const { name, f1, pictures } of key.classes)
        process.stdout.write(`${name}: F1 ${f1.toFixed(3)}, ${pictures} pictures\n`);
      process.stdout.write(`Hand out ${files[0]}; keep ${files[1]} for scoring.\n`);
    });
}

function score() {
  return new Command('score')
    .description("The paper's score of each method, overall and by class, and how far subjects agree.")
    .argument('<answers...>', 'the files that subjects saved')
    .option('--key <file>', 'study.json (default: found beside the answers or in the folder above)')
    .option('--out <dir>', 'also write results.json and report.html there')
    .option('--json', 'print one JSON object')
    .addHelpText(
      'after',
      '\nExample:\n  $ gradcampp study score answers/*.json --key study/study.json --out score/',
    )
    .action(async (answers, { key, out, json }) => {
      const { scoreAnswers } = await import('../evaluate/study/evaluate.js');
      const { reportText } = await import('../evaluate/report/text.js');
      const { score: result, files } = await scoreAnswers({ answers, ...given({ key, out }) });
      const { report, ...plain } = result;
      process.stdout.write(json ? `${JSON.stringify(plain)}\n` : reportText({ ...report, provenance: [] }));
      if (files.length > 0) process.stderr.write(`→ ${files.join(', ')}\n`);
    });
}
