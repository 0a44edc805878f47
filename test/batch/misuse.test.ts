import { expect, test } from 'vitest';
import { Explainer } from '../../src/batch/explainer.js';
import { explainFolder } from '../../src/batch/explain-folder.js';
import { GradcamppError } from '../../src/errors.js';
import { bytesFrom, classifier } from '../support/network.js';

/** What a JavaScript caller may pass where it should not. */
const wrong = [null, 5, '', 'foo', true, {}, [5], Number.NaN, [null], () => 1, Symbol('x'), 10n];

async function refusal(call: () => Promise<unknown>): Promise<string> {
  const error = await call().catch((cause: unknown) => cause);
  expect(error).toBeInstanceOf(GradcamppError);
  return (error as Error).message;
}

const keys = [
  'model',
  'images',
  'archives',
  'out',
  'explain',
  'table',
  'signal',
  'stdin',
  'resume',
  'overwrite',
];

test.each(keys)('explainFolder: %s', async (key) => {
  const run = (value: unknown) =>
    refusal(() => explainFolder({ model: 'none.onnx', images: ['none.png'], [key]: value } as never));
  for (const value of [null, 5, 10n, Symbol('x')]) expect(await run(value)).toContain(`"${key}" must be `);
  for (const value of wrong) await run(value);
});

test('an empty output folder name is not the working folder, nor an address a folder', async () => {
  expect(await refusal(() => explainFolder({ model: 'none.onnx', images: ['none.png'], out: '' }))).toBe(
    '"out" must be the path of a folder; received "".',
  );
  expect(
    await refusal(() => explainFolder({ model: 'none.onnx', images: ['none.png'], out: 's3://bucket/maps' })),
  ).toBe('"out" must be the path of a folder; received "s3://bucket/maps".');
});

test.each([{ timeout: 5 }, { isolate: true }])(
  'this thread alone cannot do what workers are for: %j',
  async (own) => {
    const workforce = { workers: 0, ...own };
    expect(
      await refusal(() => explainFolder({ model: 'none.onnx', images: ['none.png'], workforce })),
    ).toMatch(new RegExp(`^"${Object.keys(own)[0]}" needs workers`));
  },
);

test('a run is continued or replaced, not both', async () => {
  const both = { model: 'none.onnx', images: ['none.png'], resume: true, overwrite: true };
  expect(await refusal(() => explainFolder(both))).toMatch(
    /^"resume" .* "overwrite" .*: give one of the two\.$/,
  );
});

test('explainAll: a stream, not one picture; options are known', async () => {
  const explainer = await Explainer.open(bytesFrom(classifier()), { backend: 'reference' });
  const all = (images: unknown, options?: unknown) => async () => {
    await explainer.explainAll(images as never, options as never).next();
  };
  for (const value of [...wrong.filter((item) => !Array.isArray(item)), Buffer.from('cat')])
    expect(await refusal(all(value))).toContain('Put one picture into a list.');
  expect(await refusal(all([], null))).toBe('The options of explainAll must be an object; received null.');
  expect(await refusal(all([], { workerz: 2 }))).toContain('Closest: "workers"');
  await explainer.close();
});
