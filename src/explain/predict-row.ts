import type { Scores } from '../graph/scores.js';
import type { Row } from '../targets/target.js';
import type { Feeds } from './feeds.js';
import type { PreparedImage } from './input.js';
import type { Network } from './network.js';
import { rowsOf } from './rows.js';

/** What the network says of one picture alone, the `at`-th of `total` where other inputs have a row for each. */
export async function predictRow(
  { network, feeds }: { readonly network: Network; readonly feeds: Feeds },
  { tensor, dims }: PreparedImage,
  scores: Scores,
  { at, total } = { at: 0, total: 1 },
): Promise<Row> {
  const N = network.fixedBatch ?? 1;
  const data = new Float32Array(N * tensor.length);
  for (let n = 0; n < N; n++) data.set(tensor, n * tensor.length);
  const input = { type: 'float32', dims: [N, ...dims], data } as const;
  const all = { ...feeds.of(at, 1, total, N), [network.image.name]: input };
  return rowsOf(await network.predict(all, scores), N)[0];
}
