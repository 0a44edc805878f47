import { existsSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import type { ResultLine } from '../../src/batch/results/result-line.js';
import type * as RunModule from '../../src/batch/explain-folder.js';
import { encodePng } from '../../src/image/encode.js';
import { built } from '../support/built.js';
import { bytesFrom, classifier } from '../support/network.js';

const { explainFolder } = await built<typeof RunModule>('batch/explain-folder.js');

test('variants of a method and combinations without a name keep a file each', async () => {
  const folder = mkdtempSync(join(tmpdir(), 'gradcampp-alike-'));
  const [model, picture, out] = ['model.onnx', 'cat.png', 'out'].map((name) => join(folder, name));
  writeFileSync(model, bytesFrom(classifier()));
  writeFileSync(picture, encodePng({ data: new Uint8Array(192).fill(99), width: 8, height: 8, channels: 3 }));
  const files: (string | undefined)[] = [];
  const combination = (index: number) => ({ scores: new Float32Array(5).fill(1, index) });
  await explainFolder(
    {
      model,
      images: [picture],
      out,
      explain: {
        targets: [combination(1), combination(2)],
        method: [{ method: 'grad-cam++' }, { method: 'grad-cam++', gradientRelu: false }],
      },
      workforce: { workers: 0 },
    },
    { picture: (lines) => files.push(...lines.map((line) => (line as ResultLine).files.overlay)) },
  );
  const stem = 'cat.combination.grad-cam++';
  expect(files).toEqual(['', '-2', '-3', '-4'].map((number) => `${stem}${number}.overlay.jpg`));
  for (const file of files) expect(existsSync(join(out, file as string))).toBe(true);
  rmSync(folder, { recursive: true });
});
