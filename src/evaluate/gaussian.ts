/** Gaussian weights at whole distances from the middle of an odd number of taps, summing to 1. */
export function gaussian(taps: number, sigma: number): Float64Array {
  const kernel = Float64Array.from({ length: taps }, (_, i) =>
    Math.exp(-((i - (taps - 1) / 2) ** 2) / (2 * sigma * sigma)),
  );
  const sum = kernel.reduce((total, value) => total + value, 0);
  return kernel.map((value) => value / sum);
}
