import { Command } from '@commander-js/extra-typings';
import { explainerOptions } from '../explain/explain-options.js';
import { addFlags, fromFlags } from './flags.js';

const tokenFlags = { tokens: explainerOptions.tokens };
import { print, printText } from './terminal.js';

/** `gradcampp inspect`: what a model has that can be explained. */
export function inspectCommand() {
  const command = new Command('inspect')
    .description(
      'Show inputs, outputs, the score tensor, the layers that can be explained, and what has a gradient.',
    )
    .argument('<model>', 'the ONNX file')
    .option('--layer <name>', 'show every operator between this layer and the scores', 'auto')
    .option('--output <name>', 'the output that holds the scores')
    .option('--all', 'list every candidate layer, not only the ten best', false)
    .option('--json', 'print one JSON object', false);
  addFlags(command, tokenFlags);
  return command
    .addHelpText('after', '\nExample:\n  $ gradcampp inspect model.onnx --layer layer4')
    .action(async (model, flags) => {
      const { layer, output, all, json } = flags;
      const { inspect, describe } = await import('../explain/inspect.js');
      const inspection = await inspect(model, { layer, output, ...fromFlags(tokenFlags, flags) });
      if (json) print(JSON.stringify(inspection));
      else printText(describe(inspection, all ? undefined : 10));
    });
}
