import { invalid } from '../check.js';
import { explainerOptions, type Method } from '../explain/explain-options.js';
import { methodNamed, methodNames, methodOptions } from '../methods/index.js';
import { choice, count, type OptionsOf, option, type Stage } from '../options.js';

/** Methods that are graphs: what the others compute needs passes of their own. */
const exportable = methodNames.filter((name) => methodNamed(name).nodes !== undefined);

/** What is exported, and how it explains. */
export const exportOptions = {
  layer: explainerOptions.layer,
  tokens: explainerOptions.tokens,
  preprocess: explainerOptions.preprocess,
  output: explainerOptions.output,
  /** A method that is a graph; default 'grad-cam++'. */
  method: choice(exportable as Method[], {
    default: 'grad-cam++',
    help: `of ${exportable.join(', ')}`,
    flag: '--method <name>',
  }),
  form: { ...methodOptions.form, default: undefined },
  /** Explain the n best classes of each picture; default 1. */
  top: count({
    from: 1,
    help: 'explain the n best classes of each picture',
    otherwise: '1',
    flag: '--top <n>',
  }),
  /** Explain these classes instead: indices, or names that the sidecar knows. */
  classes: option(checkClasses, {
    help: 'explain this class instead, an index or a name',
    flag: '--class <class>',
    many: 'repeat',
    parse: (typed) => typed,
  }),
} satisfies Stage;
export type ExportOptions = OptionsOf<typeof exportOptions>;

function checkClasses(value: unknown): readonly (number | string)[] {
  const isClass = (item: unknown) => typeof item === 'number' || typeof item === 'string';
  if (Array.isArray(value) && value.length > 0 && value.every(isClass)) return value;
  throw invalid('classes', 'a list of class indices or names', value);
}
