import { describe, expect, test } from 'vitest';
import { ResultNames, rootOfPattern, targetSuffix } from '../../../src/batch/results/result-names.js';
import type { TargetExplanation } from '../../../src/explain/explanation.js';
import { type ExplainOptions, settingsOf } from '../../../src/explain/explain-options.js';

describe('names of results', () => {
  test('a file: its name; in a folder that was named: its path under it', () => {
    const names = new ResultNames(['photos', './more/']);
    expect(names.nameOf('cat.jpg')).toBe('cat');
    expect(names.nameOf('/data/dog.final.png')).toBe('dog.final');
    expect(names.nameOf('photos/a/b/bird.jpeg')).toBe('a/b/bird');
    expect(names.nameOf('more/fish.png')).toBe('fish');
    expect(new ResultNames(['.']).nameOf('x/y.png')).toBe('x/y');
    expect(new ResultNames(['.']).nameOf('../x/y.png')).toBe('y');
    expect(names.nameOf('.hidden')).toBe('.hidden');
  });

  test('what is taken gets a number, whatever the case; numbers that exist are not taken twice', () => {
    const names = new ResultNames();
    const paths = ['a/cat.jpg', 'b/cat.png', 'cat-2.jpg', 'c/Cat.jpg', 'cat.gif'];
    const given = paths.map((path) => names.nameOf(path));
    expect(given).toEqual(['cat', 'cat-2', 'cat-2-2', 'Cat-3', 'cat-4']);
    expect(new Set(given.map((name) => name.toLowerCase())).size).toBe(paths.length);
  });

  test('what is longer than file systems take is cut, and stays apart; a folder that runs work in is another', () => {
    const names = new ResultNames(['photos']);
    const [long, other] = ['a', 'b'].map((end) => `photos/${'漢'.repeat(300)}${end}/cat.png`);
    const given = [long, other].map((path) => names.nameOf(path));
    for (const name of given) {
      expect(name).toMatch(/^漢{63}~[0-9a-f]{8}\/cat$/);
      expect(Buffer.byteLength(name)).toBeLessThanOrEqual(202);
    }
    expect(new Set(given).size).toBe(2);
    expect(names.nameOf(`photos/${'x'.repeat(200)}.png`)).toBe('x'.repeat(200));
    expect(names.nameOf('photos/.partial/a.png')).toBe('_.partial/a');
    expect(names.nameOf('photos/b/.merging-x/a.png')).toBe('b/.merging-x/a');
  });

  test('a pattern begins in the folder before its first wildcard', () => {
    expect(rootOfPattern('val/*/*.jpg')).toBe('val');
    expect(rootOfPattern('a/b{c,d}/*.jpg')).toBe('a');
    expect(rootOfPattern('*.jpg')).toBe('.');
  });

  test('targets and methods are told apart where there are several', () => {
    const explained = { target: { class: 281, name: 'tabby' }, method: 'grad-cam' } as TargetExplanation;
    const mixed = { target: { name: 'cat − dog' }, method: 'grad-cam' } as TargetExplanation;
    const suffix = (options: ExplainOptions, of = explained) => targetSuffix(of, settingsOf(options));
    expect(suffix({})).toBe('');
    expect(suffix({ targets: 'tabby' })).toBe('');
    expect(suffix({ targets: { top: 2 } })).toBe('.281');
    expect(suffix({ targets: [1, 281] })).toBe('.281');
    expect(suffix({ targets: [1, 281] }, mixed)).toBe('.cat-dog');
    expect(suffix({ method: ['grad-cam', 'grad-cam++'] })).toBe('.grad-cam');
    expect(suffix({ targets: { top: 2 }, method: ['grad-cam', 'cam'] })).toBe('.281.grad-cam');
  });
});
