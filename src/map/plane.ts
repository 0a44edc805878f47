/** Four running sums, because one would wait for every addition. */
export function planeSum(values: Float32Array, at: number, count: number): number {
  let s0 = 0;
  let s1 = 0;
  let s2 = 0;
  let s3 = 0;
  const end = at + count;
  let p = at;
  for (; p + 3 < end; p += 4) {
    s0 += values[p];
    s1 += values[p + 1];
    s2 += values[p + 2];
    s3 += values[p + 3];
  }
  for (; p < end; p++) s0 += values[p];
  return s0 + s1 + (s2 + s3);
}
