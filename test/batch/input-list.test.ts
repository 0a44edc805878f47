import { expect, test } from 'vitest';
import { type Input, InputList } from '../../src/batch/input-list.js';

const inputs: Input[] = Array.from({ length: 200 }, (_, index) =>
  index % 3 === 0
    ? {
        index,
        path: `a.tar/${index}.png`,
        name: `${index}`,
        part: { archive: 'a.tar', offset: index, size: 9 },
        archive: 'a.tar',
      }
    : { index, path: `folder/ü ${index}\n\ud800.jpg`, name: `ü ${index}\n\ud800` },
);

function listOf(count: number): InputList {
  const list = new InputList();
  for (const input of inputs.slice(0, count)) list.add(input);
  return list;
}

test.each([0, 1, 63, 64, 65, 200])('%i pictures come back as they were given, in order', (count) => {
  const list = listOf(count);
  expect(list).toHaveLength(count);
  expect([...list]).toEqual(inputs.slice(0, count));
});

test('any part can be had, also between additions', () => {
  const list = new InputList();
  for (const input of inputs) {
    list.add(input);
    expect(list.slice(input.index, input.index + 5)).toEqual([input]);
  }
  for (const [start, end] of [
    [0, 1],
    [60, 70],
    [127, 129],
    [190, 300],
    [5, 5],
  ])
    expect(list.slice(start, end)).toEqual(inputs.slice(start, end));
});
