/** The least and the largest of some values. */
export function rangeOf(values: Float32Array | Float64Array): { least: number; most: number } {
  let [least, most] = [values[0], values[0]];
  for (let i = 1; i < values.length; i++) {
    least = Math.min(least, values[i]);
    most = Math.max(most, values[i]);
  }
  return { least, most };
}

export function isConstant(values: Float32Array): boolean {
  return values.every((value) => value === values[0]);
}

/** sum + factor · values, in place. */
export function addTimes(sum: Float64Array, factor: number, values: Float32Array | Float64Array): void {
  for (let i = 0; i < sum.length; i++) sum[i] += factor * values[i];
}

/** factor · values. */
export function timesInto(out: Float32Array, factor: number, values: Float32Array): void {
  for (let i = 0; i < out.length; i++) out[i] = factor * values[i];
}
