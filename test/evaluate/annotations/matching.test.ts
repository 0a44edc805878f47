import { describe, expect, it } from 'vitest';
import type { AnnotationEntry } from '../../../src/evaluate/annotations/annotation.js';
import { anyExtension, matchAnnotations } from '../../../src/evaluate/annotations/matching.js';
import { processorTime } from '../../support/processor-time.js';

/** What each picture gets: an annotation's name, nothing, or a problem. */
function match(images: readonly string[], pictures: readonly string[]) {
  const entries = pictures.map(
    (picture): AnnotationEntry => ({ picture, source: picture, files: [], read: async () => ({}) }),
  );
  return matchAnnotations(images, entries).map((found) =>
    found && 'source' in found ? found.source : found?.problem,
  );
}

describe('annotations are found', () => {
  it('by the same path below images and labels', () => {
    expect(
      match(
        ['set/images/train/a.jpg', 'set/images/val/a.jpg', 'set/images/val/b.png'],
        ['train/a.*', 'val/a.*', 'val/b.*', 'val/c.*'],
      ),
    ).toEqual(['train/a.*', 'val/a.*', 'val/b.*']);
    expect(match(['set/train/images/a.jpg'], ['set/train/labels/a.*', 'set/valid/labels/a.*'])).toEqual([
      'set/train/labels/a.*',
    ]);
  });

  it('by folders that other pictures of the name do not have', () => {
    const images = ['images/cat/a.jpg', 'images/dog/a.jpg'];
    expect(match(images, ['cat/a.jpg', 'dog/a.jpg'])).toEqual(['cat/a.jpg', 'dog/a.jpg']);
    expect(match(['images/cat/a.jpg'], ['cat/a.jpg', 'dog/a.jpg'])).toEqual(['cat/a.jpg']);
    expect(match(['images/cat/a.jpg'], ['C:\\data\\cat\\a.jpg', 'C:\\data\\dog\\a.jpg'])).toEqual([
      'C:\\data\\cat\\a.jpg',
    ]);
    expect(match(images, ['dog/a.jpg'])).toEqual([undefined, 'dog/a.jpg']);
  });

  it('by a name that only one picture and one annotation have', () => {
    expect(match(['photos/a.jpg', 'photos/b.jpg'], ['train2017/b.jpg', 'a.jpg'])).toEqual([
      'a.jpg',
      'train2017/b.jpg',
    ]);
    expect(match(['images/deep/er/a.jpg', 'images/b.jpg'], ['a.*', 'b.*'])).toEqual(['a.*', 'b.*']);
  });

  it('never by a name that several have: a sentence says so', () => {
    const images = ['images/dogs/a.jpg', 'images/not_dogs/a.jpg', 'images/dogs/b.jpg'];
    const [first, second, third] = match(images, ['a.*', 'b.*']);
    const problem =
      'a.* could be of "images/dogs/a.jpg" or of "images/not_dogs/a.jpg": pictures and annotations must lie in folders of the same names, or have names of their own.';
    expect([first, second, third]).toEqual([problem, problem, 'b.*']);
    expect(match(['x/a.jpg'], ['cat/a.jpg', 'dog/a.jpg'])[0]).toContain(
      '"x/a.jpg" could be annotated by cat/a.jpg or dog/a.jpg',
    );
    expect(match(['a.jpg'], ['a.jpg', 'a.jpg'])[0]).toContain('could be annotated by a.jpg or a.jpg');
  });

  it('of the picture that lies as the annotation does, where others of the name do not', () => {
    expect(match(['images/a.jpg', 'images/backup/a.jpg'], ['a.*'])).toEqual(['a.*', undefined]);
  });

  it('for a picture in two formats: of both, unless the annotation names one', () => {
    expect(match(['images/a.jpg', 'images/a.png'], ['a.*'])).toEqual(['a.*', 'a.*']);
    expect(match(['images/a.jpg', 'images/a.png'], ['a.jpg'])).toEqual(['a.jpg', undefined]);
    expect(match(['images/a.jpg', 'images/a.png'], ['a.png', 'a.jpg'])).toEqual(['a.jpg', 'a.png']);
    expect(match(['images/a.webp'], ['a.jpg'])).toEqual(['a.jpg']);
  });

  it('whatever dots and accents are in names', () => {
    expect(anyExtension('labels/a.b.txt')).toBe('labels/a.b.*');
    expect(match(['i/a.b.jpg', 'i/a.jpg'], ['a.b.*', 'a.*'])).toEqual(['a.b.*', 'a.*']);
    expect(match(['i/v1.2.jpg'], ['v1.2'])).toEqual(['v1.2']);
    expect(match(['i/caf\u00e9.jpg'], ['cafe\u0301.*'])).toEqual(['cafe\u0301.*']);
  });

  it('in time that grows with their number alone', () => {
    const images = Array.from({ length: 20_000 }, (_, i) => `images/${i}/a.jpg`);
    const start = processorTime();
    expect(match(images, ['a.*']).every((found) => found?.includes('could be of'))).toBe(true);
    expect(match(images, images).every((found, i) => found === images[i])).toBe(true);
    expect(processorTime() - start).toBeLessThan(20_000);
  });
});
