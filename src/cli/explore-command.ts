import { Command } from '@commander-js/extra-typings';
import { buildOptions, localOptions, sessionOptions } from '../explore/explore-options.js';
import { addFlags, fromFlags } from './flags.js';
import { ended } from './interrupt.js';
import { print, printOptions, say } from './terminal.js';

const examples = `
Examples:
  $ gradcampp explore model.onnx photos/
  $ gradcampp explore                          # models and pictures are dropped into the page
  $ gradcampp explore model.onnx photos/ --build site/
  $ gradcampp explore photos/ --encoder encoder_model.onnx --decoder decoder_model.onnx --tokenizer tokenizer.json

The page is served to this machine alone, gives out the files that were named and no others, and sends nothing anywhere.
Networks run in the browser, by onnxruntime-web: npm install onnxruntime-web@~1.30.0. Ctrl-C ends the server.`;

/** `gradcampp explore`: a page in which networks are looked at. */
export function exploreCommand() {
  const command = new Command('explore')
    .description(
      'Open a page in which a network and pictures can be explored: layers, methods, classes, channels.',
    )
    .argument('[model]', 'the ONNX file')
    .argument('[pictures...]', 'pictures, folders or patterns')
    .option('--build <folder>', 'write the page as static files, for any server, instead of serving it')
    .option('--no-open', 'print the address, and open no browser')
    .addHelpText('after', examples);
  addFlags(command, sessionOptions, localOptions, buildOptions, printOptions);
  return command.action(async (first, others, flags) => {
    const { buildExplorer, openBrowser, serveExplorer } = await import('../explore/index.js');
    const { quiet = false } = fromFlags(printOptions, flags);
    const own = fromFlags(sessionOptions, flags);
    // With an encoder all that is named are pictures.
    const [named, pictures] =
      own.encoder === undefined || first === undefined ? [first, others] : [undefined, [first, ...others]];
    const session = {
      ...own,
      ...(named === undefined ? {} : { model: named }),
      ...(pictures.length > 0 ? { pictures } : {}),
    };
    if (flags.build !== undefined) {
      const files = await buildExplorer(flags.build, session, fromFlags(buildOptions, flags));
      print(flags.build);
      if (!quiet) say(`${files.length} files. Any server of files serves them, as: npx serve ${flags.build}`);
      return;
    }
    const server = await serveExplorer(session, fromFlags(localOptions, flags));
    const end = ended();
    if (server.takenPort !== undefined && !quiet) say(`Port ${server.takenPort} is taken; this one is free.`);
    print(server.address);
    if (!quiet) say('Ctrl-C ends it.');
    if (flags.open) openBrowser(server.address);
    await end;
    await server.close();
  });
}
