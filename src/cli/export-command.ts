import { Command } from '@commander-js/extra-typings';
import { exportOptions } from '../export/export-options.js';
import type { Target } from '../targets/index.js';
import { addFlags, collect, fromFlags, number, outputFile, showValues } from './flags.js';
import { print } from './terminal.js';

/** `gradcampp export`: a model that explains itself. */
export function exportCommand() {
  const command = new Command('export')
    .description(
      'Write one ONNX file that also returns the explained classes and their maps, for any ONNX runtime.',
    )
    .argument('<model>', 'the ONNX file')
    .requiredOption('--out <file>', 'where to write the model')
    .option('--class <class>', 'explain a class, by index or name; repeatable', collect)
    .option('--top <n>', 'explain the n best classes', number);
  addFlags(command, exportOptions);
  return command
    .addHelpText(
      'after',
      `
Examples:
  $ gradcampp export model.onnx --method grad-cam++ --top 3 --out model.explained.onnx
  $ gradcampp export detector.onnx --target detection:dog:top=2 --out detector.explained.onnx`,
    )
    .action(async (model, flags) => {
      const { exportExplained } = await import('../export/self-explaining.js');
      const out = outputFile(flags.out, model);
      const { targets = [], ...options } = fromFlags(exportOptions, flags);
      const top = flags.top === undefined ? [] : [{ top: flags.top as number }];
      const all = [...(flags.class ?? []), ...top, ...(targets as readonly Target[])];
      const file = await exportExplained(model, { ...options, ...(all.length > 0 ? { targets: all } : {}) });
      await file.save(out);
      const { inputs, outputs } = file.graph;
      for (const line of [out, `inputs   ${showValues(inputs)}`, `outputs  ${showValues(outputs)}`])
        print(line);
    });
}
