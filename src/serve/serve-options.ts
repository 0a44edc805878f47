import { count, number, option, type OptionsOf, text } from '../options.js';
import { GradcamppError } from '../errors.js';

/** How pictures are taken in, by whatever hands them over. */
export const queueOptions = {
  /** Pictures that wait while all workers are busy; more are refused, so that memory and waiting stay bounded. Default 64. */
  queue: count({ default: 64, help: 'pictures that may wait; more are answered 503', flag: '--queue <n>' }),
};
export type QueueOptions = OptionsOf<typeof queueOptions>;

/** What the HTTP interface takes. */
export const httpOptions = {
  /** Bytes of a request's body at most. Default 32 MiB. */
  maxBody: count({
    from: 1,
    default: 32 * 2 ** 20,
    help: 'bytes that a picture may have',
    flag: '--max-body <bytes>',
  }),
  /** Classes that a request may ask for at most, since each has an explanation and pictures of its own. Default 20. */
  maxTargets: count({
    from: 1,
    default: 20,
    help: 'classes that a request may ask for',
    flag: '--max-targets <n>',
  }),
  /** Who may ask: `Authorization: Bearer TOKEN`. Default: anyone. On the command line it is GRADCAMPP_TOKEN, which no list of processes shows. */
  token: option(
    (value, name): string => {
      if (typeof value === 'string' && /^[\x21-\x7e]+$/.test(value)) return value;
      throw new GradcamppError(
        'INVALID_OPTION',
        `"${name}" (GRADCAMPP_TOKEN) must be visible characters of ASCII without spaces; what was received is a secret, and not shown.`,
      );
    },
    { help: 'who may ask' },
  ),
};
export type HttpOptions = OptionsOf<typeof httpOptions>;

/** Where the server listens, and for how long it waits. */
export const listenOptions = {
  /** Default 127.0.0.1: this machine alone. 0.0.0.0 is every network that it is in. */
  host: text({
    expected: 'an address of this machine',
    default: '127.0.0.1',
    help: 'address to listen on; 0.0.0.0 for all',
    flag: '--host <address>',
  }),
  /** 0: any that is free. Default 8080. */
  port: count({ to: 65535, default: 8080, help: 'port to listen on, 0 for a free one', flag: '--port <n>' }),
  /** Seconds in which a request must have arrived; clients that are slower are answered 408. As long they may take to read the answer. Default 30. */
  patience: number({
    above: 0,
    to: 3600,
    default: 30,
    help: 'seconds in which a request must have arrived, and its answer been read',
    flag: '--patience <seconds>',
  }),
};
export type ListenOptions = OptionsOf<typeof listenOptions>;
