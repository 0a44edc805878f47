import { Command } from '@commander-js/extra-typings';
import { collect, given, number, outputFile, showValues } from './flags.js';

/** `gradcampp export`: a model that explains itself. */
export function exportCommand() {
  return new Command('export')
    .description(
      'Write one ONNX file that also returns the explained classes and their maps, for any ONNX runtime.',
    )
    .argument('<model>', 'the ONNX file')
    .option('--layer <name>', 'the layer to explain; repeat it to average several (default: auto)', collect)
    .option('--preprocess <file>', 'JSON sidecar: layer, layout, class names (default: <model>.json)')
    .option('--output <name>', 'the output that holds the scores (default: found)')
    .option(
      '--method <name>',
      'grad-cam++, grad-cam, xgrad-cam, hires-cam, layer-cam, guided-grad-cam++ or guided-backprop (default: grad-cam++)',
    )
    .option('--form <form>', 'Grad-CAM++ of exp or softmax of the scores (default: exp)')
    .option('--top <n>', 'explain the n best classes of each picture (default: 1)', number)
    .option('--class <class>', 'explain this class instead, an index or a name; repeatable', collect)
    .requiredOption('--out <file>', 'where to write the model')
    .addHelpText(
      'after',
      '\nExample:\n  $ gradcampp export model.onnx --method grad-cam++ --top 3 --out model.explained.onnx',
    )
    .action(async (model, options) => {
      const { exportExplained } = await import('../export/self-explaining.js');
      const { layer, preprocess, output, method, form, top, class: classes } = options;
      const out = outputFile(options.out, model);
      const file = await exportExplained(
        model,
        given({
          layer,
          preprocess,
          output,
          method: method as never,
          form: form as never,
          top,
          classes,
        }),
      );
      await file.save(out);
      const { inputs, outputs } = file.graph;
      process.stdout.write(`${out}\ninputs   ${showValues(inputs)}\noutputs  ${showValues(outputs)}\n`);
    });
}
