import { oneOf } from '../check.js';
import { GradcamppError, show } from '../errors.js';
import { explainerOptions, explainOptions, type Method } from '../explain/explain-options.js';
import { methodNamed, methodNames, methodOptions } from '../methods/index.js';
import { type Option, option, type OptionsOf, type Stage } from '../options.js';

/** Methods that are graphs: what the others compute needs passes of their own. */
export const exportable: readonly string[] = methodNames.filter(
  (name) => methodNamed(name).nodes !== undefined,
);

/** What is exported, and how it explains. */
export const exportOptions = {
  layer: explainerOptions.layer,
  tokens: explainerOptions.tokens,
  preprocess: explainerOptions.preprocess,
  output: explainerOptions.output,
  /** What is explained, one map each; default: what fits the output, { top: 1 } for a classifier. */
  targets: explainOptions.targets,
  /** A method that is a graph; default 'grad-cam++'. */
  method: option(checkMethod, {
    default: 'grad-cam++' as Method,
    help: `of ${exportable.join(', ')}`,
    flag: '--method <name>',
  }),
  form: unset(methodOptions.form),
  alphaNormalization: unset(methodOptions.alphaNormalization),
  gradientRelu: unset(methodOptions.gradientRelu),
  eigen: unset(methodOptions.eigen),
  combine: explainOptions.combine,
} satisfies Stage;
export type ExportOptions = OptionsOf<typeof exportOptions>;

/** The option without its default, so that what is not given is not asked of methods that do not have it. */
function unset<T, D extends T | undefined>(own: Option<T, D>): Option<T, T | undefined> {
  return { ...own, default: undefined };
}

function checkMethod(value: unknown): Method {
  if (!methodNames.includes(value as string)) return oneOf('method', value, exportable) as Method;
  const { name, nodes } = methodNamed(value as string);
  if (nodes) return name as Method;
  throw new GradcamppError(
    'INVALID_OPTION',
    `The method ${show(name)} cannot be exported, since no graph holds what it does; use one of ${exportable.join(', ')}.`,
  );
}
