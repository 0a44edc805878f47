import { describe, expect, test } from 'vitest';
import { classNamesOf, taskOf } from '../../src/graph/metadata.js';
import { graphOf } from '../../src/graph/from-model.js';
import { modelFile } from '../../src/graph/model-file.js';
import { readModel } from '../../src/onnx/read.js';
import { classifier, graphFrom } from '../support/network.js';

const namesOf = (text: string, key = 'names') => classNamesOf({ metadata: new Map([[key, text]]) });

describe('class names in the metadata', () => {
  test.each<[string, string, readonly string[]]>([
    [
      'a Python dict, as Ultralytics writes it',
      `{0: 'person', 1: "driver's seat", 2: 'it\\'s', 3: 'café'}`,
      ['person', "driver's seat", "it's", 'café'],
    ],
    ['a Python dict out of order', `{2: 'c', 0: 'a', 1: 'b'}`, ['a', 'b', 'c']],
    ['a dict of names to indices', `{'b': 1, 'a': 0}`, ['a', 'b']],
    ['a Python list', `['a', "b, c", 'd: e']`, ['a', 'b, c', 'd: e']],
    ['a tuple with a comma at its end', `('a', 'b',)`, ['a', 'b']],
    ['a JSON list', `["a", "b\\u00e9", "tab\\t"]`, ['a', 'bé', 'tab\t']],
    ['a JSON object by number', `{"0": "a", "1": "b"}`, ['a', 'b']],
    ['names with commas', `cat, dog,eel`, ['cat', 'dog', 'eel']],
    ['names a line', `cat\ndog, small\neel`, ['cat', 'dog, small', 'eel']],
    ['numbers', `[10, 20]`, ['10', '20']],
  ])('%s', (_, text, expected) => {
    expect(namesOf(text)).toEqual(expected);
  });

  test('under each of their keys', () => {
    for (const key of ['names', 'class_names', 'classes', 'labels', 'id2label'])
      expect(namesOf(`['a', 'b']`, key)).toEqual(['a', 'b']);
    expect(namesOf(`['a', 'b']`, 'author')).toBeUndefined();
  });

  test.each([
    '',
    '   ',
    'alone',
    '{',
    `{0: 'a'`,
    `{0: 'a', 2: 'c'}`,
    `{'x': {'y': 1}}`,
    `['a' 'b']`,
    `[] []`,
    '[]',
    `{999999999: 'a'}`,
    `{-1: 'a'}`,
    'a,,b',
    '['.repeat(10_000),
  ])('not from %j', (text) => expect(namesOf(text)).toBeUndefined());

  test('are read from a file, with the task', async () => {
    const metadata = new Map([
      ['names', `{0: 'a', 1: 'b'}`],
      ['task', 'Segment'],
    ]);
    const graph = graphOf(await readModel(modelFile({ ...graphFrom(classifier()), metadata }).toBytes()));
    expect([classNamesOf(graph), taskOf(graph)]).toEqual([['a', 'b'], 'segment']);
    expect(taskOf({ metadata: new Map([['task', 'make tea']]) })).toBeUndefined();
  });
});
