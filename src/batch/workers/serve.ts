import { isMainThread, parentPort, type Transferable, workerData } from 'node:worker_threads';
import { GradcamppError } from '../../errors.js';
import { type Busy, during } from './busy.js';
import { endMessage, type Reply, type Request, type Service, type ThrownError } from './messages.js';

/** Answers a pool, in a thread or in a process of its own. */
export function serve(open: (init: never) => Promise<Service>): void {
  if (!isMainThread && parentPort) {
    const port = parentPort;
    const reply = (message: Reply, transfer?: readonly Transferable[]) => port.postMessage(message, transfer);
    const { request, end } = answer(open, workerData.init, reply, workerData.busy);
    port.on('message', (message) => void (message === endMessage ? end() : request(message)));
    return;
  }
  const ignored = () => undefined; // the pool may have gone
  const send = (reply: Reply) =>
    void (process.connected && process.send?.(reply, undefined, undefined, ignored));
  process.on('SIGINT', () => undefined); // the terminal sends it to all; the pool decides
  // Not process.exit, which would wait for what is being computed.
  process.on('disconnect', () => process.kill(process.pid, 'SIGKILL'));
  let service: ReturnType<typeof answer> | undefined;
  process.on('message', (message: Request & { init?: unknown }) => {
    if (service) void service.request(message);
    else service = answer(open, message.init, send);
  });
}

function answer(
  open: (init: never) => Promise<Service>,
  init: unknown,
  send: (reply: Reply, transfer?: readonly Transferable[]) => void,
  busy?: Busy,
): { request(request: Request): Promise<void>; end(): Promise<void> } {
  const service = during(busy, () => open(init as never));
  service.then(
    ({ ready }) => send({ ready }),
    (error: unknown) => send({ error: thrown(error) }),
  );
  const request = async ({ task, body }: Request) => {
    try {
      const opened = await service;
      const { result, transfer } = await during(busy, () =>
        opened.run(body as never, (progress) => send({ task, progress })),
      );
      try {
        send({ task, result }, transfer);
      } catch (error) {
        if ((error as Error).name !== 'DataCloneError') throw error;
        send({ task, result }); // memory of a native library that cannot be handed over
      }
    } catch (error) {
      send({ task, error: thrown(error) });
    }
  };
  const end = async () => {
    await service.then((opened) => opened.close()).catch(() => undefined);
    process.exit(); // of this thread alone
  };
  return { request, end };
}

function thrown(error: unknown): ThrownError {
  if (error instanceof GradcamppError) return { code: error.code, message: error.message };
  return error instanceof Error ? { message: error.message, stack: error.stack } : { message: String(error) };
}
