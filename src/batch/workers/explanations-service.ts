import type { ErrorCode } from '../../errors.js';
import type { NetworkExplainer } from '../../explain/network-explainer.js';
import type { Explanation } from '../../explain/explanation.js';
import { type ExplainOptions, type Settings, settingsOf } from '../../explain/explain-options.js';
import { explainEach, type Item } from '../each.js';
import { type Opening, openForBatch } from './open-explainer.js';
import type { Service } from './messages.js';
import { ownBuffers } from '../../transfer.js';

export interface ExplanationsInit extends Opening {
  readonly kind: 'explanations';
  readonly explain: ExplainOptions;
}

/** Outcomes as they travel between threads, which do not keep an error's class. */
export type SentOutcome =
  | { readonly explanation: Explanation }
  | { readonly error: { readonly code: ErrorCode; readonly message: string } };

/** In a worker. */
export async function openExplanations(init: ExplanationsInit): Promise<Service> {
  const settings = settingsOf(init.explain);
  const { explainer, opened } = await openForBatch(init, settings);
  const service = await explanationsService(explainer, settings);
  return { ...service, ready: opened, close: () => explainer.close() };
}

/** Explains pictures and hands the explanations over. The explainer stays the caller's. */
export async function explanationsService(explainer: NetworkExplainer, settings: Settings): Promise<Service> {
  return {
    ready: undefined,
    run: async (items: readonly Item[]) => {
      const outcomes = await explainer.use((calls) => explainEach(calls, items, settings));
      const result = outcomes.map((list) =>
        list.map(
          (outcome): SentOutcome =>
            'explanation' in outcome
              ? outcome
              : { error: { code: outcome.error.code, message: outcome.error.message } },
        ),
      );
      return { result, transfer: [...ownBuffers(result)] };
    },
    close: async () => {},
  };
}
