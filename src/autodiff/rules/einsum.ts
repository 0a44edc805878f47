import { identityMatrix } from '../axis.js';
import type { Name } from '../../graph/builder.js';
import { extent, filled } from '../extent.js';
import type { Pass, Rule } from '../rule.js';

/**
 * In dX of an operand the output changes places with the operand: ab,bc->ac gives ac,bc->ab. An index that only the
 * operand has is filled by a vector of ones; a repeated one (ii) gets an identity matrix; an axis that was broadcast
 * is left out, and so summed.
 */
export const einsum: Rule = (pass) => {
  const { inputs, output } = readEquation(pass);
  return inputs.map((_, operand) =>
    pass.needs(operand) ? operandGradient(pass, inputs, output, operand) : undefined,
  );
};

function operandGradient(pass: Pass, inputs: readonly string[], output: string, operand: number): Name {
  const { b, dY, x } = pass;
  const others = inputs.flatMap((term, i) => (i === operand ? [] : [{ term, name: x[i] }]));
  const factors = [{ term: output, name: dY }, ...others];
  const present = new Set(factors.flatMap(({ term }) => [...term]));
  const letters = unused([...inputs, output].join(''));
  const dims = pass.dims(x[operand]);
  const target: string[] = [];
  let reduced = false;
  for (const [axis, letter] of [...inputs[operand]].entries()) {
    if (target.includes(letter)) {
      const twin = letters.next().value as string;
      factors.push({ term: letter + twin, name: identityMatrix(pass, extent(pass, x[operand], axis)) });
      target.push(twin);
    } else if (dims[axis] === 1) reduced = true;
    else {
      if (!present.has(letter))
        factors.push({ term: letter, name: filled(pass, [extent(pass, x[operand], axis)], 1) });
      target.push(letter);
    }
  }
  const equation = `${factors.map(({ term }) => term).join(',')}->${target.join('')}`;
  const dX = b.op(
    'Einsum',
    factors.map(({ name }) => name),
    { equation },
  );
  return reduced ? pass.reshapeLike(dX, x[operand]) : dX;
}

interface Equation {
  /** A letter an axis, the ellipses written out. */
  readonly inputs: readonly string[];
  readonly output: string;
}

function readEquation(pass: Pass): Equation {
  const equation = pass.string('equation', '').replaceAll(' ', '');
  const [left, right] = equation.split('->');
  const terms = left.split(',');
  const letters = unused(equation);
  const covered = terms.map((term, i) =>
    term.includes('...') ? pass.rank(pass.x[i]) - (term.length - 3) : 0,
  );
  const hidden = Array.from({ length: Math.max(...covered) }, () => letters.next().value as string);
  const inputs = terms.map((term, i) => term.replace('...', lastOf(hidden, covered[i])));
  const output = right ?? implicitOutput(left);
  return { inputs, output: output.replace('...', hidden.join('')) };
}

const lastOf = (letters: readonly string[], count: number) => letters.slice(letters.length - count).join('');

/** Without an arrow: the ellipsis, then the letters that appear once, in order. */
function implicitOutput(left: string): string {
  const letters = [...left.replaceAll('.', '').replaceAll(',', '')];
  const once = letters.filter((letter) => letters.indexOf(letter) === letters.lastIndexOf(letter));
  return (left.includes('...') ? '...' : '') + once.sort().join('');
}

/** Letters that an equation does not use. */
function* unused(equation: string): Generator<string> {
  for (const letter of 'abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ')
    if (!equation.includes(letter)) yield letter;
}
