import { Command } from '@commander-js/extra-typings';
import { workforceOptions } from '../batch/run-options.js';
import { httpOptions, listenOptions, queueOptions } from '../serve/serve-options.js';
import { choice, readOptions } from '../options.js';
import { addExplainFlags, explainFlagsOf } from './explain-flags.js';
import { addFlags, fromFlags } from './flags.js';
import { complain, print, printOptions, say } from './terminal.js';

const logOptions = {
  log: choice(['text', 'json', 'none'], {
    default: 'text',
    help: 'how answers are logged on standard error: text, json, or none',
    flag: '--log <form>',
  }),
};

const examples = `
Example:
  $ gradcampp serve --model model.onnx &
  $ curl --data-binary @cat.jpg 'http://127.0.0.1:8080/explain?top=2'
  $ curl --data-binary @cat.jpg --header 'Accept: image/*' http://127.0.0.1:8080/explain > overlay.jpg

GRADCAMPP_TOKEN in the environment: clients must send "Authorization: Bearer" with it.
SIGTERM and Ctrl-C: what was taken is answered, nothing more is taken.`;

/** `gradcampp serve`: explanations over HTTP. */
export function serveCommand() {
  const command = new Command('serve')
    .description('Explain pictures over HTTP, for programs in your own network.')
    .addHelpText('after', examples);
  addExplainFlags(command as never);
  addFlags(command, listenOptions, queueOptions, httpOptions, workforceOptions);
  addFlags(command, logOptions, printOptions);
  return command.action(async (flags) => {
    const { ExplainService, listen, serviceApp } = await import('../serve/index.js');
    const { outputs = {}, ...what } = explainFlagsOf(flags);
    const { save: _, ...drawing } = outputs;
    const { quiet = false } = fromFlags(printOptions, flags);
    const { log } = readOptions('the log', logOptions, fromFlags(logOptions, flags));
    const token = process.env.GRADCAMPP_TOKEN;
    const service = await ExplainService.open({
      ...what,
      outputs: drawing,
      workforce: fromFlags(workforceOptions, flags),
      ...fromFlags(queueOptions, flags),
    });
    try {
      const http = { ...fromFlags(httpOptions, flags), ...(token ? { token } : {}) };
      const app = serviceApp(service, http);
      if (log !== 'none')
        app.onAnswer = (answer) => say(log === 'json' ? JSON.stringify(entry(answer)) : line(answer));
      const server = await listen(app, fromFlags(listenOptions, flags));
      const end = ended();
      if (!quiet) {
        for (const note of service.opened.notes) say(note);
        if (!token && !/\/\/(127\.|\[::1\])/.test(server.address))
          complain(
            'Whoever reaches this address can ask: set GRADCAMPP_TOKEN, or see to it that only yours do.',
          );
        print(`${server.address}/explain`);
      }
      await end;
      if (!quiet) say('Answering what was taken. Ctrl-C again stops now.');
      await server.close();
    } finally {
      await service.close();
    }
  });
}

/** When the process is told to end. */
function ended(): Promise<void> {
  return new Promise((resolve) => {
    for (const name of ['SIGTERM', 'SIGINT'] as const)
      process.once(name, () => {
        process.removeAllListeners(name === 'SIGTERM' ? 'SIGINT' : 'SIGTERM');
        resolve();
      });
  });
}

type Answer = { readonly status: number; readonly milliseconds: number; readonly message?: string };

function entry({ status, milliseconds, message }: Answer) {
  const level = status < 500 ? 'info' : 'error';
  return {
    time: new Date().toISOString(),
    level,
    event: 'explain',
    status,
    milliseconds: Math.round(milliseconds),
    message,
  };
}

function line({ status, milliseconds, message }: Answer): string {
  return `${new Date().toISOString()} ${status} ${Math.round(milliseconds)} ms${message ? ` ${message}` : ''}`;
}
