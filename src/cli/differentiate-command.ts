import { Command } from '@commander-js/extra-typings';
import { collect, outputFile, showValues } from './flags.js';
import { print, say } from './terminal.js';

/** `gradcampp differentiate`: a model that also returns gradients. */
export function differentiateCommand() {
  return new Command('differentiate')
    .description(
      'Write a model that also returns gradients, in standard ONNX operators: inputs plus "seed", outputs plus "grad(<name>)".',
    )
    .argument('<model>', 'the ONNX file')
    .option('--of <name>', 'the value that is differentiated (default: the first float output)')
    .requiredOption(
      '--wrt <name>',
      'an input, weight or activation whose gradient is wanted; repeatable',
      collect,
    )
    .option('--class', 'make "seed" a class index, int64 [N], instead of the upstream gradient', false)
    .option(
      '--again',
      'keep every path from the weights, so that the result can be differentiated by them again',
      false,
    )
    .requiredOption('--out <file>', 'where to write the model')
    .addHelpText(
      'after',
      '\nExample:\n  $ gradcampp differentiate model.onnx --of logits --wrt input --wrt conv1.weight --out model.grad.onnx',
    )
    .action(async (model, options) => {
      const { differentiate } = await import('../differentiate.js');
      const { of, wrt, again } = options;
      const out = outputFile(options.out, model);
      const seed = options.class ? 'class' : 'gradient';
      const result = await differentiate(model, { of, wrt, seed, ...(again ? { again } : {}) });
      await result.save(out);
      for (const note of result.notes) say(note);
      const { inputs, outputs } = result.graph;
      for (const line of [out, `inputs   ${showValues(inputs)}`, `outputs  ${showValues(outputs)}`])
        print(line);
    });
}
