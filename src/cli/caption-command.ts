import { Command } from '@commander-js/extra-typings';
import type { CaptionLine } from '../caption/caption-files.js';
import type { CaptionRun } from '../caption/caption-folder.js';
import { captionOutputOptions, captionRunOptions } from '../caption/caption-run-options.js';
import {
  captionerOptions,
  type CaptionerOptions,
  captionExplainOptions,
  captionOptions,
} from '../caption/caption-options.js';
import { exitCodeOf } from './explain-command.js';
import { addFlags, fromFlags } from './flags.js';
import { interruptSignal } from './interrupt.js';
import { jsonOption, printOptions } from './terminal.js';

const examples = `
Decoders: decoder_model.onnx and decoder_model_merged.onnx as optimum exports them, and decoders that make one step with their states.
What begins and ends captions is read from generation_config.json or config.json beside the encoder, pictures are prepared as
preprocessor_config.json says.

Examples:
  $ gradcampp caption cat.jpg --encoder encoder_model.onnx --decoder decoder_model_merged.onnx --tokenizer tokenizer.json
  $ gradcampp caption photos/ --encoder enc.onnx --decoder dec.onnx --tokenizer words.json --text "two red apples" --beams 3
  $ gradcampp caption input.npy --encoder enc.onnx --decoder dec.onnx --ids 1,5,0 --method grad-cam++,grad-cam

Exit code: 0 all explained, 3 some pictures failed, 1 none was or the run could not start, 130 interrupted.`;

/** `gradcampp caption`: a map for every word that is said of a picture. */
export function captionCommand() {
  const command = new Command('caption')
    .description('Show which places of a picture made each word of its caption likely.')
    .argument('[images...]', 'pictures, folders, patterns, .npy tensors, or - for paths on standard input');
  addFlags(command, captionerOptions, captionOptions, captionExplainOptions);
  addFlags(command, captionOutputOptions, captionRunOptions);
  addFlags(command, printOptions, jsonOption);
  return command.addHelpText('after', examples).action(async (images, flags) => {
    const { captionFolder } = await import('../caption/caption-folder.js');
    const { RunPrinter } = await import('./run-printer.js');
    const printed = { ...fromFlags(printOptions, flags), ...fromFlags(jsonOption, flags) };
    const printer = new RunPrinter<CaptionLine>(printed, describe);
    const summary = await captionFolder(
      { ...runOf(images, flags), signal: interruptSignal(printer.say) },
      printer,
    );
    printer.summary(summary);
    process.exitCode = exitCodeOf(summary);
  });
}

function runOf(images: readonly string[], flags: object): CaptionRun {
  return {
    images,
    open: fromFlags(captionerOptions, flags) as CaptionerOptions,
    explain: { ...fromFlags(captionOptions, flags), ...fromFlags(captionExplainOptions, flags) },
    outputs: fromFlags(captionOutputOptions, flags),
    ...fromFlags(captionRunOptions, flags),
  };
}

/** `cat.jpg: a cat on a mat (12.1 % a token): a 40 %, cat 13 %, … → cat.strip.png` */
function describe({ image, caption, tokens, files }: CaptionLine): string {
  const percent = (log: number) => `${(100 * Math.exp(log)).toFixed(1)} %`;
  const words = tokens.map(({ token, logProbability }) => `${token} ${percent(logProbability)}`).join(', ');
  const mean = percent(caption.logProbability / tokens.length);
  const written = files.strip ?? files.npy;
  return `${image.path}: ${caption.text} (${mean} a token): ${words}${written ? ` → ${written}` : ''}`;
}
