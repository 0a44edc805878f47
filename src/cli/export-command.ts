import { Command } from '@commander-js/extra-typings';
import { GradcamppError } from '../errors.js';
import { buildOptions } from '../explore/explore-options.js';
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
    .option('--out <file>', 'where to write the model')
    .option('--web <folder>', 'write a page that explains pictures by this model, for any server of files')
    .option('--picture <file>', 'a picture that the page begins with; repeatable', collect)
    .option('--class <class>', 'explain a class, by index or name; repeatable', collect)
    .option('--top <n>', 'explain the n best classes', number);
  addFlags(command, exportOptions, buildOptions);
  const typedTargets: string[] = [];
  command.on('option:target', (typed: string) => typedTargets.push(typed));
  return command
    .addHelpText(
      'after',
      `
Examples:
  $ gradcampp export model.onnx --method grad-cam++ --top 3 --out model.explained.onnx
  $ gradcampp export detector.onnx --target detection:dog:top=2 --out detector.explained.onnx
  $ gradcampp export model.onnx --method grad-cam++ --picture cat.jpg --web page/`,
    )
    .action(async (model, flags) => {
      const { exportExplained } = await import('../export/self-explaining.js');
      if (flags.web !== undefined)
        return exportPage(model, typedFlags(command, flags) as never, typedTargets);
      if (flags.out === undefined)
        throw new GradcamppError(
          'INVALID_OPTION',
          'Say what to write: a model (--out FILE), or a page (--web FOLDER).',
        );
      const out = outputFile(flags.out, model);
      const { targets = [], ...options } = fromFlags(exportOptions, flags);
      const top = flags.top === undefined ? [] : [{ top: flags.top as number }];
      const all = [...(flags.class ?? []), ...top, ...(targets as readonly Target[])];
      const file = await exportExplained(model, { ...options, ...(all.length > 0 ? { targets: all } : {}) });
      await file.save(out);
      const { inputs, outputs } = file.graph;
      for (const line of [out, `inputs   ${showValues(inputs)}`, `outputs  ${showValues(outputs)}`])
        print(line);
      return undefined;
    });
}

/** Flags that were typed, without the defaults of others. */
function typedFlags(
  command: { getOptionValueSource(name: string): string | undefined },
  flags: object,
): object {
  return Object.fromEntries(
    Object.entries(flags).filter(([name]) => command.getOptionValueSource(name) === 'cli'),
  );
}

interface PageFlags {
  readonly web: string;
  readonly picture?: readonly string[];
  readonly class?: readonly string[];
  readonly layer?: readonly string[];
  readonly method?: string;
  readonly preprocess?: string;
  readonly overwrite?: boolean;
}
const pageFlags = ['picture', 'class', 'target', 'layer', 'method', 'preprocess', 'overwrite'];

/** A page of one network. It explains by this package's own code, so that readers can look at other classes and layers. */
async function exportPage(model: string, flags: PageFlags, target: readonly string[]): Promise<void> {
  const targets = [...(flags.class ?? []), ...target];
  const other =
    Object.keys(flags).find((name) => name !== 'web' && !pageFlags.includes(name)) ??
    (targets.length > 1 ? 'several targets' : (flags.layer ?? []).length > 1 ? 'several layers' : undefined);
  if (other !== undefined)
    throw new GradcamppError(
      'INVALID_OPTION',
      `"--web" writes a page that begins with one target, layer and method, and takes ${pageFlags.map((name) => `--${name}`).join(', ')}; received ${other}.`,
    );
  const { buildExplorer } = await import('../explore/index.js');
  const { picture: pictures = [], layer: [layer] = [], method = '', preprocess, overwrite, web } = flags;
  const begins = { target: targets[0] ?? '', layer: layer ?? '', methods: method };
  const settings = Object.fromEntries(Object.entries(begins).filter(([, value]) => value !== ''));
  const session = {
    model,
    pictures,
    isReduced: true,
    settings,
    ...(preprocess === undefined ? {} : { preprocess }),
  };
  await buildExplorer(web, session, overwrite === undefined ? {} : { overwrite });
  print(web);
}
