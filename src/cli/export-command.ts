import { Command } from '@commander-js/extra-typings';
import { exportOptions } from '../export/export-options.js';
import { addFlags, fromFlags, outputFile, showValues } from './flags.js';
import { print } from './terminal.js';

/** `gradcampp export`: a model that explains itself. */
export function exportCommand() {
  const command = new Command('export')
    .description(
      'Write one ONNX file that also returns the explained classes and their maps, for any ONNX runtime.',
    )
    .argument('<model>', 'the ONNX file')
    .requiredOption('--out <file>', 'where to write the model');
  addFlags(command, exportOptions);
  return command
    .addHelpText(
      'after',
      '\nExample:\n  $ gradcampp export model.onnx --method grad-cam++ --top 3 --out model.explained.onnx',
    )
    .action(async (model, flags) => {
      const { exportExplained } = await import('../export/self-explaining.js');
      const out = outputFile(flags.out, model);
      const file = await exportExplained(model, fromFlags(exportOptions, flags));
      await file.save(out);
      const { inputs, outputs } = file.graph;
      for (const line of [out, `inputs   ${showValues(inputs)}`, `outputs  ${showValues(outputs)}`])
        print(line);
    });
}
