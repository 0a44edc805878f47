import { expect, test } from 'vitest';
import { differentiate } from '../../src/differentiate.js';
import { GradcamppError } from '../../src/errors.js';
import { exportExplained } from '../../src/export/self-explaining.js';
import { inspect } from '../../src/explain/inspect.js';
import { bytesFrom, classifier } from '../support/network.js';

/** What a JavaScript caller may pass where it should not. */
const wrong = [null, 5, '', 'foo', {}, [], Number.NaN, [null], () => 1, Symbol('x'), 10n];
const model = bytesFrom(classifier());

const calls: Record<string, (value: never) => Promise<unknown>> = {
  'differentiate: model': (value) => differentiate(value, { wrt: 'image' }),
  'differentiate: options': (value) => differentiate(model, value),
  'differentiate: of': (of) => differentiate(model, { wrt: 'image', of: of ?? '' }),
  'differentiate: wrt': (wrt) => differentiate(model, { wrt }),
  'differentiate: seed': (seed) => differentiate(model, { wrt: 'image', seed }),
  'differentiate: again': (again) => differentiate(model, { wrt: 'image', again }),
  'inspect: model': (value) => inspect(value),
  'inspect: layer': (layer) => inspect(model, { layer }),
  'inspect: output': (output) => inspect(model, { output }),
  'exportExplained: model': (value) => exportExplained(value),
  'exportExplained: targets': (output) =>
    exportExplained(model, { targets: { output: output ?? 0 } as never }),
  'exportExplained: layer': (layer) => exportExplained(model, { layer }),
};

test.each(Object.entries(calls))('%s of a wrong type is refused in one sentence', async (_, call) => {
  for (const value of wrong) {
    const error = await call(value as never).catch((cause: unknown) => cause);
    expect(error, String(value)).toBeInstanceOf(GradcamppError);
    expect((error as Error).message.split('\n')).toHaveLength(1);
  }
});

test('misspelt options of inspect are refused', async () => {
  await expect(inspect(model, { layr: 'relu1' } as never)).rejects.toThrow('Closest: "layer"');
});
