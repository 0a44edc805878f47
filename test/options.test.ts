import { Command } from 'commander';
import { expect, test } from 'vitest';
import { addFlags, fromFlags } from '../src/cli/flags.js';
import { choice, choices, count, number, onlyOneOf, readOptions, text, yesOrNo } from '../src/options.js';

const stage = {
  method: choices(['a', 'b'], { default: ['a'], help: 'which ways', flag: '--method <name>', many: true }),
  form: choice(['exp', 'softmax'], { default: 'exp', help: 'which function', flag: '--form <form>' }),
  top: count({ from: 1, to: 9, help: 'the n best', flag: '--top <n>' }),
  threshold: number({
    from: 0,
    below: 1,
    default: 0.15,
    help: 'of the maximum',
    flag: '--threshold <number>',
  }),
  relu: yesOrNo({ default: true, help: 'gradients of either sign', flag: '--no-relu' }),
  output: text({ help: 'the output', otherwise: 'found', flag: '--output <name>' }),
};

test('options are checked, completed and frozen; unknown names are refused with the closest', () => {
  const settings = readOptions('a stage', stage, { top: 3 });
  expect(settings).toEqual({
    method: ['a'],
    form: 'exp',
    top: 3,
    threshold: 0.15,
    relu: true,
    output: undefined,
  });
  expect(Object.isFrozen(settings)).toBe(true);
  const form: 'exp' | 'softmax' = settings.form;
  const top: number | undefined = settings.top;
  expect([form, top]).toEqual(['exp', 3]);
  expect(() => readOptions('a stage', stage, { tpo: 3 } as never)).toThrow(
    '"tpo" is not an option of a stage. Closest: "top".',
  );
  expect(() => onlyOneOf({ a: 1, b: 2 }, ['a', 'b'])).toThrow('"a" and "b" exclude each other: give one.');
});

test.each([
  [{ top: 0 }, '"top" must be a whole number from 1 to 9; received 0.'],
  [{ threshold: 1 }, '"threshold" must be a number from 0 to below 1; received 1.'],
  [{ threshold: Number.NaN }, '"threshold" must be a number from 0 to below 1; received NaN.'],
  [{ form: 'sofmax' }, '"form" must be one of exp, softmax; received "sofmax". Closest: "softmax".'],
  [{ method: 'a' }, '"method" must be a list of a, b; received "a".'],
  [{ relu: 1 }, '"relu" must be true or false; received 1.'],
  [{ output: '' }, '"output" must be a name; received "".'],
])('%j is refused in one sentence', (given, message) => {
  expect(() => readOptions('a stage', stage, given as never)).toThrow(message);
});

test('flags come from the same list: spelled, helped, parsed', () => {
  const command = addFlags(new Command(), stage);
  const help = command.helpInformation().replaceAll(/\s+/g, ' ');
  expect(help).toContain('--method <name> which ways (repeatable or comma-separated; default: a)');
  expect(help).toContain('--threshold <number> of the maximum (default: 0.15)');
  expect(help).toContain('--output <name> the output (default: found)');
  command.parse(['--method', 'a,b', '--method', 'a', '--top', '2', '--no-relu'], { from: 'user' });
  expect(fromFlags(stage, command.opts())).toEqual({ method: ['a', 'b', 'a'], top: 2, relu: false });
  const nothing = addFlags(new Command(), stage).parse([], { from: 'user' });
  expect(fromFlags(stage, nothing.opts())).toEqual({});
  const typo = addFlags(new Command(), stage).parse(['--top', 'two'], { from: 'user' });
  expect(() => readOptions('a stage', stage, fromFlags(stage, typo.opts()))).toThrow('received "two"');
});
