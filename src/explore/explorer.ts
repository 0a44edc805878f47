import { GradcamppError } from '../errors.js';
import { readOptions } from '../options.js';
import { listen } from '../serve/listen.js';
import { type LocalOptions, localOptions, type SessionOptions } from './explore-options.js';
import { localApp } from './local-app.js';
import { namedFiles } from './named-files.js';
import { pageFiles, policy } from './page-files.js';
import { installedRuntime } from './runtime-files.js';

/** An explorer that is served. */
export interface ServedExplorer {
  /** Of the page, token included. */
  readonly address: string;
  /** Where the port that was asked for was taken: which. */
  readonly takenPort?: number;
  close(): Promise<void>;
}

/**
 * Serves the explorer on this machine's own address.
 *
 * @throws GradcamppError INVALID_MODEL, INVALID_OPTION, RUNTIME where onnxruntime-web is not installed
 */
export async function serveExplorer(
  session: SessionOptions,
  options: LocalOptions = {},
): Promise<ServedExplorer> {
  const { port, patience } = readOptions('the explorer', localOptions, options);
  const runtime = installedRuntime();
  const named = await namedFiles(session);
  const files = new Map([...pageFiles(), ...runtime, ...named.files]);
  const app = localApp({ session: named.session, files, policy: await policy() });
  const on = (own: number) =>
    listen(app, { host: '127.0.0.1', port: own, patience }, { patienceIsFor: 'more' });
  let takenPort: number | undefined;
  const server = await on(port).catch((error: unknown) => {
    if (!isTaken(error)) throw error;
    takenPort = port;
    return on(0);
  });
  return {
    address: `${server.address}/${app.token}/`,
    close: async () => {
      const closed = server.close();
      server.drop(); // a page that stopped in the middle of a download would hold it up
      await closed;
    },
    ...(takenPort === undefined ? {} : { takenPort }),
  };
}

function isTaken(error: unknown): boolean {
  const { cause } = error as GradcamppError;
  return ['EADDRINUSE', 'EACCES'].includes((cause as NodeJS.ErrnoException | undefined)?.code ?? '');
}
