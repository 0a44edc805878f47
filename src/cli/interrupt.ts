import type { Happening } from './terminal.js';

/**
 * A signal that Ctrl-C gives: once finishes what is in flight, twice stops now.
 *
 * @param later what becomes of the rest
 */
export function interruptSignal(
  say: (text: string, what: Happening) => void,
  later = '--resume continues later',
): AbortSignal {
  const controller = new AbortController();
  const stop = (signal: NodeJS.Signals) => {
    if (controller.signal.aborted) {
      process.removeAllListeners(signal);
      process.kill(process.pid, signal); // as if it had never been caught; `exit` would wait for the workers
      return;
    }
    controller.abort();
    say(`Finishing what is in flight. Ctrl-C again stops now; ${later}.`, { event: 'interrupted' });
  };
  process.on('SIGINT', stop);
  process.on('SIGTERM', stop);
  return controller.signal;
}

/** When the process is told to end. */
export function ended(): Promise<void> {
  return new Promise((resolve) => {
    for (const name of ['SIGTERM', 'SIGINT'] as const)
      process.once(name, () => {
        process.removeAllListeners(name === 'SIGTERM' ? 'SIGINT' : 'SIGTERM');
        resolve();
      });
  });
}
