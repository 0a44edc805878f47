/**
 * Runs of values within the rows of a map: those of at least `share` of the map's maximum, and positive. NaN ends a run.
 * @returns first position of each run in the map, the position behind its last, and the sum of its values; in reading
 * order
 */
export function salientRuns(map: Float32Array, width: number, share: number): Float64Array {
  let maximum = 0;
  for (let i = 0; i < map.length; i++) if (map[i] > maximum) maximum = map[i];
  const least = Math.max(share * maximum, Number.MIN_VALUE);
  const runs: number[] = [];
  for (let row = 0; row < map.length; row += width)
    for (let i = row; i < row + width; i++) {
      if (!(map[i] >= least)) continue;
      const start = i;
      let mass = 0;
      for (; i < row + width && map[i] >= least; i++) mass += map[i];
      runs.push(start, i, mass);
    }
  return Float64Array.from(runs);
}
