import { annotationFormats } from './annotations/annotation-formats.js';
import type { AnyEvaluation } from './definition.js';
import { evaluations } from './evaluations.js';

const all = Object.values<AnyEvaluation>(evaluations);

/** The parts of `docs/evaluating.md` that come from the list: an example of every command, what each asks, and the metrics. */
export const documentedParts: Readonly<Record<string, string>> = {
  commands: fenced(
    all.map(({ name, example }) => `gradcampp evaluate ${name} --model model.onnx ${example}`),
  ),
  evaluations: table(
    ['command', 'asks'],
    all.map(({ name, asks }) => [`\`${name}\``, asks]),
  ),
  formats: table(
    ['`--boxes`', 'where annotations and pictures lie'],
    annotationFormats.map(({ name, layout }) => [`\`${name}\``, layout]),
  ),
  metrics: table(
    ['metric', 'definition', 'a map that knows nothing'],
    all.flatMap(({ metrics }) =>
      metrics.map(({ name, unit, better, definition, byChance = '', chanceIsBound }) => [
        `${name}${unit && ` ${unit}`}${better ? (better === 'lower' ? ' ↓' : ' ↑') : ''}`,
        definition,
        `${chanceIsBound ? 'at most ' : ''}${byChance}`,
      ]),
    ),
  ),
};

/** The page with its parts as the list has them; each stands between `<!-- name -->` and `<!-- /name -->`. */
export function documented(page: string): string {
  return Object.entries(documentedParts).reduce((text, [name, part]) => {
    const [before, rest] = split(text, `<!-- ${name} -->\n`);
    const [, after] = split(rest, `<!-- /${name} -->`);
    return `${before}<!-- ${name} -->\n${part}<!-- /${name} -->${after}`;
  }, page);
}

function split(text: string, mark: string): [string, string] {
  const at = text.indexOf(mark);
  if (at < 0) throw new RangeError(`the page lacks ${mark}`);
  return [text.slice(0, at), text.slice(at + mark.length)];
}

function fenced(lines: readonly string[]): string {
  return `\`\`\`\n${lines.join('\n')}\n\`\`\`\n`;
}

function table(head: readonly string[], rows: readonly (readonly string[])[]): string {
  const line = (cells: readonly string[]) => `| ${cells.join(' | ')} |\n`;
  return `\n${line(head)}${line(head.map(() => '---'))}${rows.map(line).join('')}\n`;
}
