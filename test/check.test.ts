import { describe, expect, it } from 'vitest';
import { closest, onlyKeys, text } from '../src/check.js';

describe('closest names', () => {
  it('forgives a missing, a wrong and two swapped letters', () => {
    expect(closest('tagets', ['targets', 'method'])).toEqual(['targets']);
    expect(closest('relu9', ['relu1', 'conv1'])).toEqual(['relu1']);
    expect(closest('dgo', ['cat', 'dog'])).toEqual(['dog']);
  });

  it('offers what contains the name, and nothing that merely shares letters', () => {
    expect(closest('layer3', ['layer3.2/relu2', 'conv1'])).toEqual(['layer3.2/relu2']);
    expect(closest('top', ['method', 'form'])).toEqual([]);
  });
});

describe('options', () => {
  it('are an object, whatever a program passes', () => {
    for (const bad of [null, 5, 'path', true, [], () => 1, 10n])
      expect(() => onlyKeys('explain', bad as never, ['top'])).toThrow(
        /^The options of explain must be an object; received /,
      );
  });

  it('that are unknown are listed with the known ones, or the nearest', () => {
    expect(() => onlyKeys('explain', { top: 3 }, ['targets', 'method'])).toThrow(
      '"top" is not an option of explain. Known: targets, method.',
    );
    expect(() => onlyKeys('explain', { tagets: 3 }, ['targets', 'method'])).toThrow('Closest: "targets".');
  });

  it('that are names are strings and not empty', () => {
    expect(text('out', 'maps')).toBe('maps');
    for (const bad of ['', 5, null, undefined, ['maps']])
      expect(() => text('out', bad, 'a folder')).toThrow(/^"out" must be a folder; received /);
  });
});
