/**
 * One channel shrunk (or kept) by averaging areas: every target pixel is the mean of the source rectangle under it,
 * partly covered pixels counted by their share. Linear, so it may run on preprocessed values.
 */
export function resizeArea(
  source: Float32Array,
  width: number,
  height: number,
  toWidth: number,
  toHeight: number,
): Float32Array {
  const rows = new Float64Array(toWidth * height);
  for (let y = 0; y < height; y++) averageLine(source, y * width, 1, width, rows, y * toWidth, 1, toWidth);
  const result = new Float32Array(toWidth * toHeight);
  for (let x = 0; x < toWidth; x++) averageLine(rows, x, toWidth, height, result, x, toWidth, toHeight);
  return result;
}

function averageLine(
  from: Float32Array | Float64Array,
  fromStart: number,
  fromStep: number,
  fromLength: number,
  to: Float32Array | Float64Array,
  toStart: number,
  toStep: number,
  toLength: number,
): void {
  const scale = fromLength / toLength;
  for (let i = 0; i < toLength; i++) {
    const begin = i * scale;
    const end = (i + 1) * scale;
    let sum = 0;
    for (let j = Math.floor(begin); j < end && j < fromLength; j++)
      sum += (Math.min(end, j + 1) - Math.max(begin, j)) * from[fromStart + j * fromStep];
    to[toStart + i * toStep] = sum / scale;
  }
}
