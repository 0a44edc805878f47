import { Command } from '@commander-js/extra-typings';

/** `gradcampp export`: a model that explains itself. */
export function exportCommand() {
  return new Command('export')
    .description(
      'Write one ONNX file that also returns the explained classes and their maps, for any ONNX runtime.',
    )
    .argument('<model>', 'the ONNX file')
    .option('--layer <name...>', 'the layer to explain; several are averaged', ['auto'])
    .option('--preprocess <file>', 'JSON sidecar that names the layer and the layout')
    .option('--output <name>', 'the output that holds the scores')
    .option(
      '--method <name>',
      'grad-cam++, grad-cam, xgrad-cam, hires-cam, layer-cam, guided-grad-cam++ or guided-backprop',
    )
    .option('--form <form>', 'exp or softmax, for grad-cam++')
    .option('--top <n>', 'explain the n best classes of each picture', Number)
    .option('--class <index...>', 'explain these classes instead')
    .requiredOption('--out <file>', 'where to write the model')
    .addHelpText(
      'after',
      '\nExample:\n  $ gradcampp export model.onnx --method grad-cam++ --top 3 --out model.explained.onnx',
    )
    .action(async (model, options) => {
      const { exportExplained } = await import('../export/self-explaining.js');
      const { layer, preprocess, output, method, form, top, class: classes, out } = options;
      const file = await exportExplained(model, {
        layer,
        preprocess,
        output,
        method: method as never,
        form: form as never,
        top,
        classes: classes?.map(Number),
      });
      await file.save(out);
      const outputs = file.graph.outputs.map(({ name, dims }) => `${name} [${dims?.join(', ')}]`);
      process.stdout.write(`${out}: ${outputs.join(', ')}\n`);
    });
}
