import { chooseBackend } from '../batch/workers/open-explainer.js';
import { outOption, reuseOptions, type WorkforceOptions, workforceOptions } from '../batch/run-options.js';
import { invalid } from '../check.js';
import type { ExplainerOptions } from '../explain/explain-options.js';
import { choice, count, names, option, type OptionsOf, type SettingsOf } from '../options.js';
import type { AnyEvaluation } from './definition.js';
import { openSubject } from './open.js';
import type { Failure, Report } from './report/report.js';
import type { Progress } from './jobs.js';
import { type Measurer, measureInWorkers } from './measurer.js';
import type { Variant } from './subject.js';
import { methodNames } from '../methods/index.js';

/** A network: its ONNX model, or a measurer that is ready (it is closed). */
export type Network = string | Measurer;

/** What every evaluation takes. */
const evaluationOptions = {
  /** The network; of an evaluation that compares networks, a list. */
  model: option(checkNetworks, { help: 'the ONNX model' }),
  /** In place of `method`: the ways to explain, with settings and layers of their own. */
  variants: option(checkVariants, { help: 'what is compared' }),
  /** As for `Explainer.open`, which checks them. */
  open: option((value) => value as ExplainerOptions, { help: 'how the network is opened', default: {} }),
  table: choice(['csv', 'parquet'], {
    help: 'csv or parquet, for the numbers of each picture',
    flag: '--table <format>',
    default: 'csv',
  }),
  seed: count({ help: 'for everything that is drawn', flag: '--seed <n>', default: 1 }),
  ...workforceOptions,
  ...reuseOptions,
  onProgress: option((value) => value as (progress: EvaluationProgress) => void, {
    help: 'told of progress',
  }),
};

const methodOption = {
  method: names({
    help: `what is compared: of ${methodNames.join(', ')}; random is the control`,
    flag: '--method <name>',
    default: ['grad-cam++', 'grad-cam', 'random'] as readonly string[],
  }),
};

/** Those of one evaluation: unless it names its variants itself, its methods, and the folder where everything is written. */
export function optionsOfAll({ name, variants }: Pick<AnyEvaluation, 'name' | 'variants'>) {
  const method = variants ? ({} as typeof methodOption) : methodOption;
  return { ...method, ...evaluationOptions, ...outOption(`gradcampp-${name}`) };
}

/** How far a run is; `step` is what is counted. */
export type EvaluationProgress = Progress & { readonly step: string };
export type EvaluateOptions = OptionsOf<ReturnType<typeof optionsOfAll>>;
export type EvaluateSettings = SettingsOf<ReturnType<typeof optionsOfAll>>;

/** What an evaluation says when it is done. */
export interface Evaluated {
  /** Of an earlier run it has no gallery, which is in `report.html`; undefined where the earlier run's record has none. */
  readonly report?: Report;
  /** Whether an earlier run had finished it, so that nothing was measured. */
  readonly finishedBefore: boolean;
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

/** Whether a network takes clips, before it is opened. @throws GradcamppError where it cannot be read */
export async function isOfClips(model: Network, open: ExplainerOptions): Promise<boolean> {
  if (typeof model !== 'string') return model.subject.takesClips ?? false;
  const { takesClips } = await import('../explain/open-parts.js'); // importing the package stays cheap
  return takesClips(model, open);
}

/** Opens a network, for as many jobs. */
export async function openMeasurer(
  model: Network,
  { open, workers, isolate, timeout }: Pick<EvaluateSettings, 'open' | keyof WorkforceOptions>,
  jobs: number,
): Promise<Measurer> {
  if (typeof model !== 'string') return model;
  const subject = await openSubject(model, open);
  const { backend } = await chooseBackend(open); // which all workers are to share
  return measureInWorkers(
    subject,
    { model, open: { ...open, backend } },
    { workers, isolate, timeout },
    jobs,
  );
}
