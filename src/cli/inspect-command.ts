import { Command } from '@commander-js/extra-typings';
import { print, printText } from './terminal.js';

/** `gradcampp inspect`: what a model has that can be explained. */
export function inspectCommand() {
  return new Command('inspect')
    .description(
      'Show inputs, outputs, the score tensor, the layers that can be explained, and what has a gradient.',
    )
    .argument('<model>', 'the ONNX file')
    .option('--layer <name>', 'show every operator between this layer and the scores', 'auto')
    .option('--output <name>', 'the output that holds the scores')
    .option('--all', 'list every candidate layer, not only the ten best', false)
    .option('--json', 'print one JSON object', false)
    .addHelpText('after', '\nExample:\n  $ gradcampp inspect model.onnx --layer layer4')
    .action(async (model, { layer, output, all, json }) => {
      const { inspect, describe } = await import('../explain/inspect.js');
      const inspection = await inspect(model, { layer, output });
      if (json) print(JSON.stringify(inspection));
      else printText(describe(inspection, all ? undefined : 10));
    });
}
