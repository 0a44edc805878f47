import { Command } from '@commander-js/extra-typings';
import { outputOptions } from '../batch/output-options.js';
import { workforceOptions } from '../batch/run-options.js';
import type { Answered } from '../serve/http.js';
import { httpOptions, listenOptions, queueOptions } from '../serve/serve-options.js';
import { addExplainFlags, explainFlagsOf } from './explain-flags.js';
import { addFlags, fromFlags } from './flags.js';
import { ended } from './interrupt.js';
import { complain, log, print, printOptions, say } from './terminal.js';

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
  const { save: _, ...drawing } = outputOptions; // every request says what is drawn
  addExplainFlags(command as never, drawing);
  addFlags(command, listenOptions, queueOptions, httpOptions, workforceOptions);
  addFlags(command, printOptions);
  return command.action(async (flags) => {
    const { ExplainService, listen, serviceApp } = await import('../serve/index.js');
    const { outputs = {}, ...what } = explainFlagsOf(flags);
    const { quiet = false } = fromFlags(printOptions, flags);
    const token = process.env.GRADCAMPP_TOKEN;
    const service = await ExplainService.open({
      ...what,
      outputs,
      workforce: fromFlags(workforceOptions, flags),
      ...fromFlags(queueOptions, flags),
    });
    try {
      const http = { ...fromFlags(httpOptions, flags), ...(token ? { token } : {}) };
      const app = serviceApp(service, http);
      if (!quiet) app.onAnswer = tell;
      const server = await listen(app, fromFlags(listenOptions, flags));
      const end = ended();
      if (!quiet) {
        for (const note of service.opened.notes) say(note);
        if (!token && !/\/\/(127\.|\[::1\])/.test(server.address))
          complain(
            'Whoever reaches this address can ask: set GRADCAMPP_TOKEN, or see to it that only yours do.',
            { event: 'note' },
          );
        print(`${server.address}/explain`);
        say([], { event: 'listening', address: server.address });
      }
      await end;
      if (!quiet) say('Answering what was taken. Ctrl-C again stops now.', { event: 'interrupted' });
      await server.close();
    } finally {
      await service.close();
    }
  });
}

/** An answer, with its time: it is the log of a server. */
function tell({ status, milliseconds, message }: Answered): void {
  const took = Math.round(milliseconds);
  const text = `${new Date().toISOString()} ${status} ${took} ms${message ? ` ${message}` : ''}`;
  const what = { event: 'answer', status, milliseconds: took, message };
  log(status < 500 ? 'info' : 'error', text, what);
}
