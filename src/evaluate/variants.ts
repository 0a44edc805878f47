import { didYouMean, invalid } from '../check.js';
import { GradcamppError } from '../errors.js';
import type { Method } from '../explain/explain-options.js';
import { methodNamed, methodNames } from '../methods/index.js';
import type { Subject, Variant } from './subject.js';

/** Variants for plain method names. */
export function variantsOfMethods(names: readonly string[]): Variant[] {
  if (names.length === 0) throw invalid('method', `at least one of ${methodNames.join(', ')}`, names);
  for (const name of names)
    if (!methodNames.includes(name))
      throw invalid('method', `of ${methodNames.join(', ')}`, name, didYouMean(name, methodNames));
  if (new Set(names).size < names.length)
    throw new GradcamppError('INVALID_OPTION', `"method" must not repeat; received ${names.join(', ')}.`);
  return names.map((name) => ({ name, method: name as Method }));
}

/** Methods that draw do so by the evaluation's seed, where their variant has none of its own. */
export function seeded(variants: readonly Variant[], seed: number): Variant[] {
  return variants.map((variant) =>
    'seed' in methodNamed(variant.method).options ? { seed, ...variant } : variant,
  );
}

/** What can be varied, by the names that `--variant` takes; the first of each is Eq. 19 of the paper as it stands. */
const forms: Readonly<Record<string, Omit<Variant, 'name' | 'layer'>>> = {
  exp: { method: 'grad-cam++', form: 'exp' },
  softmax: { method: 'grad-cam++', form: 'softmax' },
  'no-gradient-relu': { method: 'grad-cam++', gradientRelu: false },
  'alpha-normalization': { method: 'grad-cam++', alphaNormalization: true },
};
export const variantNames = Object.keys(forms);

/** What the forms change, for the notes of a report; nothing where no variant is one. */
export function variantsNote(variants: readonly Variant[]): string | undefined {
  const meanings: readonly [string, (variant: Variant) => boolean][] = [
    ['exp is Eq. 19 of the paper as it stands', ({ form }) => form === 'exp'],
    ['softmax differentiates softmax instead of exp', ({ form }) => form === 'softmax'],
    ['no-gradient-relu leaves out the ReLU on the gradient', ({ gradientRelu }) => gradientRelu === false],
    [
      'alpha-normalization divides α by its sum in each channel, as the authors’ code does',
      ({ alphaNormalization }) => alphaNormalization === true,
    ],
  ];
  const said = meanings.filter(([, is]) => variants.some(is)).map(([text]) => text);
  return said.length > 0 ? `Grad-CAM++ in several forms: ${said.join('; ')}.` : undefined;
}

/**
 * The ablation: every named variant at every layer. A name is one of `variantNames` or a method; without layers
 * all are computed at the evaluation's own.
 */
export function ablationVariants(names: readonly string[], layers: readonly string[]): Variant[] {
  const choices = [...variantNames, ...methodNames];
  const chosen = (names.length > 0 ? names : variantNames).map((name): Variant => {
    if (forms[name]) return { name, ...forms[name] };
    if (methodNames.includes(name)) return { name, method: name as Method };
    throw invalid('variant', `of ${choices.join(', ')}`, name, didYouMean(name, choices));
  });
  if (layers.length === 0) return chosen;
  return layers.flatMap((layer) =>
    chosen.map((variant) => ({ ...variant, name: `${variant.name} @ ${layer}`, layer })),
  );
}

/**
 * What is to be said where variants are compared that cannot differ: at a layer whose channels are the classes, the gradient
 * of a class is of one channel alone, and every method that weighs channels by gradients gives that channel.
 */
export function sameMapRemarks(
  { classMaps = () => [] }: Pick<Subject, 'classMaps'>,
  variants: readonly Variant[],
): string[] {
  const names = new Map<string, string[]>();
  for (const variant of variants) {
    const needs: readonly string[] = methodNamed(variant.method).needs;
    if (!needs.includes('activations') || !needs.includes('gradients')) continue;
    for (const layer of classMaps(variant)) names.set(layer, [...(names.get(layer) ?? []), variant.name]);
  }
  return [...names]
    .filter(([, alike]) => alike.length > 1)
    .map(
      ([layer, alike]) =>
        `The channels of ${JSON.stringify(layer)} are the classes: there ${alike.join(', ')} cannot differ, since only the explained class's channel has a gradient. Compare them at another layer (--layer).`,
    );
}
