import { availableCores } from '../batch/cores.js';
import { isCpu } from '../batch/workforce.js';
import { invalid, wholeNumber } from '../check.js';
import type { ExplainerOptions } from '../explain/options.js';
import { choice, count, names, option, type OptionsOf, type SettingsOf, text, yesOrNo } from '../options.js';
import { openSubject } from './open.js';
import type { Failure, Report } from './report/report.js';
import { type Measurer, measureHere, measureInWorkers, type Progress } from './run.js';
import type { Variant } from './subject.js';
import { methodNames } from '../methods/index.js';

/** A network: its ONNX model, or a measurer that is ready (it is closed). */
export type Network = string | Measurer;

/** What every evaluation takes. */
export const evaluationOptions = {
  /** The network; of an evaluation that compares networks, a list. */
  model: option(checkNetworks, { help: 'the ONNX model' }),
  method: names({
    help: `what is compared: of ${methodNames.join(', ')}; random is the control`,
    flag: '--method <name>',
    default: ['grad-cam++', 'grad-cam', 'random'] as readonly string[],
  }),
  /** In place of `method`: the ways to explain, with settings and layers of their own. */
  variants: option(checkVariants, { help: 'what is compared' }),
  /** As for `Explainer.open`, which checks them. */
  open: option((value) => value as ExplainerOptions, { help: 'how the network is opened', default: {} }),
  /** Where `results.json`, the table and `report.html` go; made if need be. */
  out: text({
    help: 'where results go',
    flag: '--out <dir>',
    expected: 'a folder',
    otherwise: 'gradcampp-<evaluation>',
  }),
  table: choice(['csv', 'parquet'], {
    help: 'csv or parquet, for the numbers of each picture',
    flag: '--table <format>',
    default: 'csv',
  }),
  seed: count({ help: 'for everything that is drawn', flag: '--seed <n>', default: 1 }),
  /** Each with a session of one thread; 0 measures in this thread. */
  workers: count({
    help: 'worker threads, 0 for none',
    flag: '--workers <n>',
    otherwise: 'the cores',
    to: 1024,
  }),
  resume: yesOrNo({ help: 'go on with a run that was cut off', flag: '--resume', default: false }),
  onProgress: option((value) => value as (progress: EvaluationProgress) => void, {
    help: 'told of progress',
  }),
};

/** How far a run is; `step` is what is counted. */
export type EvaluationProgress = Progress & { readonly step: string };
export type EvaluateOptions = OptionsOf<typeof evaluationOptions>;
export type EvaluateSettings = SettingsOf<typeof evaluationOptions>;

/** What an evaluation says when it is done. */
export interface Evaluated {
  readonly report: Report;
  readonly images: number;
  readonly failures: readonly Failure[];
  readonly files: readonly string[];
}

function checkNetworks(value: unknown, name: string): Network | readonly Network[] {
  const isNetwork = (item: unknown) =>
    (typeof item === 'string' && item !== '') ||
    (item !== null && typeof item === 'object' && 'measure' in item);
  const list = Array.isArray(value) ? value : [value];
  if (list.length === 0 || !list.every(isNetwork)) throw invalid(name, 'the path of an ONNX model', value);
  const twice = list.find((item, i) => list.indexOf(item) < i);
  if (twice !== undefined) throw invalid(name, 'networks that differ', `${String(twice)} twice`);
  return value as Network | readonly Network[];
}

function checkVariants(value: unknown, name: string): readonly Variant[] {
  const isVariant = (item: unknown) =>
    item !== null && typeof item === 'object' && 'name' in item && 'method' in item;
  if (Array.isArray(value) && value.length > 0 && value.every(isVariant)) return value as Variant[];
  throw invalid(name, 'a list of {name, method}, at least one', value);
}

/** Opens a network, for as many jobs. */
export async function openMeasurer(
  model: Network,
  { open, workers }: Pick<EvaluateSettings, 'open' | 'workers'>,
  jobs: number,
): Promise<Measurer> {
  if (typeof model !== 'string') return model;
  const cores = isCpu(open) ? availableCores() : 1;
  const wanted = wholeNumber('workers', workers ?? Math.min(cores, jobs), 0, 1024);
  const subject = await openSubject(model, open);
  return wanted === 0 ? measureHere(subject) : measureInWorkers(subject, model, open, wanted);
}
