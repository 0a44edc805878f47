import { didYouMean, invalid } from '../check.js';
import { GradcamppError } from '../errors.js';
import type { SettingsOf, Stage } from '../options.js';
import { ablationCam } from './ablation-cam.js';
import { attentionGradient } from './attention-gradient.js';
import { attentionRollout } from './attention-rollout.js';
import { cam } from './cam.js';
import { type PeerName, peers } from './compat/index.js';
import type { Peer, PeerMethod } from './compat/peer.js';
import { eigenCam } from './eigen-cam.js';
import { eigenGradCam } from './eigen-grad-cam.js';
import { fem } from './fem.js';
import { gradCam } from './grad-cam.js';
import { gradCamPlusPlus } from './grad-cam++.js';
import { gradInput } from './grad-input.js';
import { guidedBackprop } from './guided-backprop.js';
import { guidedGradCamPlusPlus } from './guided-grad-cam++.js';
import { hiResCam } from './hires-cam.js';
import { integratedGradients } from './integrated-gradients.js';
import { layerCam } from './layer-cam.js';
import { type AnyMethod, hasChannels, type Need } from './common/method.js';
import { modifiers } from './common/modifiers.js';
import { randomMap } from './random.js';
import { reciproCam } from './recipro-cam.js';
import { rise } from './rise.js';
import { saliency } from './saliency.js';
import { scoreCam } from './score-cam.js';
import { shapleyCam } from './shapley-cam.js';
import { smoothGrad } from './smooth-grad.js';
import { smoothGradCamPlusPlus } from './smooth-grad-cam++.js';
import { xGradCam } from './xgrad-cam.js';

/** Every method, in the order in which tables show them. */
export const methods = [
  gradCamPlusPlus,
  gradCam,
  cam,
  xGradCam,
  hiResCam,
  layerCam,
  smoothGradCamPlusPlus,
  eigenCam,
  eigenGradCam,
  shapleyCam,
  fem,
  ablationCam,
  scoreCam,
  reciproCam,
  rise,
  attentionRollout,
  attentionGradient,
  guidedGradCamPlusPlus,
  guidedBackprop,
  saliency,
  gradInput,
  smoothGrad,
  integratedGradients,
  randomMap,
] as const satisfies readonly { readonly name: string; readonly kind: AnyMethod['kind'] }[];

export type MethodName = (typeof methods)[number]['name'];
export const methodNames: readonly string[] = methods.map(({ name }) => name);

type Merged<U> = (U extends unknown ? (part: U) => void : never) extends (whole: infer W) => void ? W : never;
type AllOptions = Merged<(typeof methods)[number]['options']> & typeof modifiers;

/** The options of all methods together, modifiers among them; methods that share a name share the option. */
export const methodOptions = Object.assign(
  {},
  ...methods.map(({ options }) => options),
  modifiers,
) as AllOptions & Stage;
export type MethodOptions = {
  readonly [K in keyof AllOptions]?: AllOptions[K] extends { check: (...args: never[]) => infer T }
    ? T
    : never;
};

const byName = new Map(methods.map((method) => [method.name as string, method as unknown as AnyMethod]));

/** A method by name. */
export function methodNamed(name: string): AnyMethod {
  const found = byName.get(name);
  if (found) return found;
  throw invalid('method', `one of ${methodNames.join(', ')}`, name, didYouMean(String(name), methodNames));
}

/** The options that change a method: its own, and the modifiers that it can have; of another package, those that it has. */
export function optionsOf(method: AnyMethod, compat?: PeerName): Stage {
  const all = { ...method.options, ...modifiers };
  const keys =
    compat === undefined
      ? Object.keys(all)
      : ['compat', ...peers[compat].modifiers, ...peerMethodOf(method, compat).options];
  return Object.fromEntries(
    Object.entries(all).filter(([key]) => keys.includes(key) && (key !== 'eigen' || hasChannels(method))),
  );
}

/** A method as another package has it. */
export function peerMethodOf({ name }: AnyMethod, compat: PeerName): PeerMethod {
  const its: Peer['methods'] = peers[compat].methods;
  if (Object.hasOwn(its, name)) return its[name];
  throw new GradcamppError(
    'INVALID_OPTION',
    `"compat" ${compat} has no ${name}; it has ${Object.keys(its).join(', ')}. Name one of these, or leave "compat" out.`,
  );
}

/** All that a method needs with some settings. */
export function needsOf(method: AnyMethod, settings: SettingsOf<Stage>): readonly Need[] {
  return [...method.needs, ...(method.alsoNeeds?.(settings) ?? [])];
}

const withGradients: readonly Need[] = [
  'gradients',
  'moments',
  'input gradients',
  'guided gradients',
  'second derivatives',
  'attention gradients',
];

/** Methods of a network that need no gradient of it. */
export const gradientFreeMethods: readonly string[] = (methods as unknown as readonly AnyMethod[])
  .filter(({ name, needs }) => name !== randomMap.name && !needs.some((need) => withGradients.includes(need)))
  .map(({ name }) => name);
