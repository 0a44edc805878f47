import { compositeOperators } from '../graph/composite.js';
import { newestOpset, oldestOpset, type Row, table } from './table.js';

/** A row of the table as people and programs read it. */
export interface OperatorInfo {
  readonly opType: string;
  /** First and last operator set that has it, within those that are read; none outside the default domain. */
  readonly since?: number;
  readonly until?: number;
  readonly outcome: Row['outcome'];
  /** What is special about the rule; what the operator is read as; why it has no gradient. */
  readonly note: string;
}

/** The table, and ONNX Runtime's own operators that are read as standard ones. */
export function operators(): OperatorInfo[] {
  const standard = Object.entries(table).map(([opType, row]) => {
    const { since, until, outcome } = row;
    return { opType, since, until, outcome, note: noteOf(row) };
  });
  const note = 'read as the standard operators that it stands for';
  return [
    ...standard,
    ...compositeOperators.map((opType) => ({ opType, outcome: 'rewritten', note }) as const),
  ];
}

/** `7–26`, or nothing outside the default domain. */
export function rangeOf({ since, until }: OperatorInfo): string {
  return since === undefined ? '' : `${since}–${until}`;
}

function noteOf(row: Row): string {
  if (row.outcome === 'rewritten') return `read as ${row.as}`;
  if (row.outcome !== 'rule') return row.reason;
  const still = row.still.length > 0 ? `none to ${row.still.join(', ')}` : '';
  return [row.note, still].filter(Boolean).join('; ');
}

const headings: Readonly<Record<Row['outcome'], string>> = {
  rule: 'A gradient rule',
  rewritten: 'Read as other operators, which have rules',
  stop: 'No gradient, on purpose',
  none: 'No rule: an error that names operator, node and operator set',
};

/** The page docs/operators.md. */
export function operatorsPage(): string {
  const all = operators();
  const parts = Object.entries(headings).map(([outcome, heading]) => {
    const rows = all.filter((row) => row.outcome === outcome).sort((a, b) => (a.opType < b.opType ? -1 : 1));
    const lines = rows.map((row) => `| ${row.opType} | ${rangeOf(row)} | ${row.note} |`);
    return `## ${heading} (${rows.length})\n\n| operator | operator sets | note |\n|---|---|---|\n${lines.join('\n')}\n`;
  });
  return `# Operators and their gradients

Made by \`npm run docs:operators\` from the table in src/autodiff/table.ts, which \`gradcampp ops\` prints too. Operator sets
${oldestOpset} to ${newestOpset} are read; an operator without a row takes no float input, so no gradient arrives at it.

${parts.join('\n')}`;
}
