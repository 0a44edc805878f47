/** A row of a table, and the line that it begins in. */
export interface Row {
  readonly cells: readonly string[];
  readonly line: number;
}

/** Between cells, the surest first. */
const delimiters = ['\t', ';', ','];

/**
 * The rows of a table in text: cells between tabs, semicolons or commas, whichever most lines have; where hardly any has, the
 * last white space of a line parts two cells. Cells may be quoted as in RFC 4180. Empty lines are left out.
 */
export function parseTable(text: string): Row[] {
  const sample = text
    .split(/\r\n|\r|\n/)
    .filter((line) => line.trim() !== '')
    .slice(0, 20);
  const linesWith = (mark: string) => sample.filter((line) => unquoted(line).includes(mark)).length;
  const delimiter = delimiters.reduce((best, mark) => (linesWith(mark) > linesWith(best) ? mark : best));
  if (linesWith(delimiter) * 2 < sample.length) return spaced(text);
  const rows: Row[] = [];
  let [cells, cell, line, start]: [string[], string, number, number] = [[], '', 1, 1];
  const endCell = () => {
    cells.push(cell.trim());
    cell = '';
  };
  const endRow = () => {
    endCell();
    if (cells.some((found) => found !== '')) rows.push({ cells, line: start });
    cells = [];
  };
  const tokens = new RegExp(`"((?:[^"]|"")*)"|\\r\\n|[\\r\\n${delimiter}]|[^"\\r\\n${delimiter}]+|"`, 'g');
  for (const [token, quoted] of text.matchAll(tokens)) {
    if (token === delimiter) endCell();
    else if (/^[\r\n]/.test(token)) {
      endRow();
      start = ++line;
    } else if (quoted !== undefined && cell.trim() === '') {
      cell = quoted.replaceAll('""', '"');
      line += quoted.split(/\r\n|\r|\n/).length - 1;
    } else cell += token;
  }
  endRow();
  return rows;
}

function unquoted(line: string): string {
  return line.replace(/"(?:[^"]|"")*"/g, '');
}

/** `n01440764/a b.jpg 0` */
function spaced(text: string): Row[] {
  return text.split(/\r\n|\r|\n/).flatMap((content, i) => {
    const found = /^(.+?)\s+(\S+)$/.exec(content.trim());
    return found ? [{ cells: [found[1], found[2]], line: i + 1 }] : [];
  });
}
