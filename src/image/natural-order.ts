/**
 * Compares names as people order them: runs of digits by their value ("2" before "10"), everything else by
 * UTF-16 code unit, so the order is the same in every locale. Names that are equal in that sense ("01", "1")
 * go by code units alone.
 */
export function naturalOrder(a: string, b: string): number {
  let [i, j] = [0, 0];
  while (i < a.length && j < b.length) {
    if (isDigit(a, i) && isDigit(b, j)) {
      while (a[i] === '0') i++;
      while (b[j] === '0') j++;
      const [startA, startB] = [i, j];
      while (i < a.length && isDigit(a, i)) i++;
      while (j < b.length && isDigit(b, j)) j++;
      const longer = i - startA - (j - startB);
      if (longer !== 0) return longer;
      const order = codeUnits(a.slice(startA, i), b.slice(startB, j));
      if (order !== 0) return order;
    } else {
      const order = a.charCodeAt(i++) - b.charCodeAt(j++);
      if (order !== 0) return order;
    }
  }
  return a.length - i - (b.length - j) || codeUnits(a, b);
}

function isDigit(text: string, at: number): boolean {
  const code = text.charCodeAt(at);
  return code >= 48 && code <= 57;
}

function codeUnits(a: string, b: string): number {
  return a < b ? -1 : a > b ? 1 : 0;
}
