import { invalid } from '../check.js';
import { GradcamppError } from '../errors.js';
import {
  asTyped,
  count,
  number,
  option,
  type OptionsOf,
  readOptions,
  type SettingsOf,
  text,
  yesOrNo,
} from '../options.js';

/** Who does the work. None of these changes a result. */
export const workforceOptions = {
  /** Default: the cores that this process may use, or 1 where the execution provider is no CPU. 0: this thread, without a time limit. */
  workers: count({
    to: 1024,
    help: 'threads that work, each with its own session; 0 for none',
    otherwise: 'the cores',
    flag: '--workers <n>',
  }),
  /** Workers are processes: a native fault, the system's out-of-memory killer or a picture that takes too long then ends one of them, not all. */
  isolate: yesOrNo({
    default: false,
    help: 'workers are processes, so that a fault in native code, or a picture that takes too long, ends only one',
    flag: '--isolate',
  }),
  /** In seconds, times the pictures of a pass. A thread cannot be stopped within ONNX Runtime: it is waited for no more, and replaced. */
  timeout: number({
    above: 0,
    to: 1e6,
    default: 600,
    help: 'seconds that a picture may take before it is given up; with --isolate its worker is stopped',
    flag: '--timeout <seconds>',
  }),
};
export type WorkforceOptions = OptionsOf<typeof workforceOptions>;
export type WorkforceSettings = SettingsOf<typeof workforceOptions>;

/** @throws GradcamppError INVALID_OPTION */
export function workforceSettingsOf(options: WorkforceOptions): WorkforceSettings {
  const settings = readOptions('the workers', workforceOptions, options);
  if (settings.workers === 0 && options.timeout !== undefined)
    throw new GradcamppError(
      'INVALID_OPTION',
      '"timeout" needs workers: this thread cannot watch itself. Leave one of "timeout" and "workers" out.',
    );
  if (settings.workers === 0 && settings.isolate)
    throw new GradcamppError(
      'INVALID_OPTION',
      '"isolate" needs workers, which are then processes. Leave one of "isolate" and "workers" out.',
    );
  return settings;
}

/** What becomes of results that the output folder holds already. */
export const reuseOptions = {
  /** Go on with the run that the folder holds; it must be of the same inputs and settings. */
  resume: yesOrNo({ default: false, help: 'go on with the run in the output folder', flag: '--resume' }),
  /** Replace the run that the folder holds, finished or not. */
  overwrite: yesOrNo({ default: false, help: 'replace the run in the output folder', flag: '--overwrite' }),
};
export type Reuse = OptionsOf<typeof reuseOptions>;

/** Where results go. */
export function outOption(folder: string) {
  return {
    out: option(
      (value, name): string => {
        if (typeof value === 'string' && value !== '' && !/^[a-z][a-z0-9+.-]+:\/\//i.test(value))
          return value;
        throw invalid(name, 'the path of a folder', value);
      },
      { parse: asTyped, default: folder, help: 'where results go', flag: '--out <dir>' },
    ),
  };
}

/** What a run reads and writes beside the pictures' own options. */
export const explainRunOptions = {
  ...outOption('gradcampp-out'),
  /** Tar archives of pictures, compressed with gzip or not; the results of each go to an archive of the same name. */
  archives: paths({
    help: 'a tar archive of pictures; results go to an archive of the same name',
    flag: '--input <archive>',
  }),
  table: text({
    expected: 'a file name',
    help: 'the results as a table too, .parquet or .csv',
    flag: '--table <file>',
  }),
  ...reuseOptions,
};

/** Names of files and the like. */
export function paths(words: { readonly help: string; readonly flag?: string }) {
  return option(
    (value, name): readonly string[] => {
      if (Array.isArray(value) && value.every((path) => typeof path === 'string')) return value;
      throw invalid(name, 'a list of paths', value);
    },
    { ...words, default: [] as readonly string[], many: 'repeat' as const, parse: asTyped },
  );
}
