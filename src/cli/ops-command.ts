import { Command } from '@commander-js/extra-typings';
import { print } from './terminal.js';

/** `gradcampp ops`: which operators have a gradient. */
export function opsCommand() {
  return new Command('ops')
    .description('Show which operators have a gradient, and why the others have none.')
    .option('--json', 'print one JSON object an operator', false)
    .addHelpText('after', '\nExample:\n  $ gradcampp ops')
    .action(async ({ json }) => {
      const { operators, rangeOf } = await import('../autodiff/operators.js');
      const rows = operators();
      const width = Math.max(...rows.map(({ opType }) => opType.length));
      for (const row of rows) {
        const { opType, outcome, note } = row;
        const range = rangeOf(row).padStart(5);
        const line = json
          ? JSON.stringify(row)
          : `${opType.padEnd(width)}  ${range}  ${outcome.padEnd(9)}  ${note}`;
        print(line.trimEnd());
      }
    });
}
