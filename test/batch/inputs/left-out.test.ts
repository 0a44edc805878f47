import { expect, test } from 'vitest';
import { LeftOut } from '../../../src/batch/inputs/left-out.js';
import { whyNoPicture } from '../../../src/image/formats.js';

test('what is left out is counted by extension, most first, and the first pictures are named', () => {
  const leftOut = new LeftOut();
  for (const path of ['d/a.md', 'd/1.HEIC', 'd/2.heic', 'd/README', 'd/x.svg'])
    leftOut.add(path, whyNoPicture(path));
  leftOut.add('d/old.overlay.jpg', 'an earlier run wrote it');
  expect(leftOut.kinds).toBe('2 .heic, 1 .md, 1 without extension, 1 .svg, 1 .jpg (an earlier run wrote it)');
  expect(leftOut.sentence).toBe(
    '6 files left out: d/1.HEIC (a HEIC picture), d/2.heic (a HEIC picture), d/x.svg (an SVG drawing), …',
  );
});

test('of many kinds only the most frequent are counted each', () => {
  const leftOut = new LeftOut();
  for (let i = 0; i < 40; i++) leftOut.add(`a.${i % 10}`);
  expect(leftOut.kinds).toBe('4 .0, 4 .1, 4 .2, 4 .3, 4 .4, 4 .5, 16 others');
});
