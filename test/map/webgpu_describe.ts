import { describe, it } from 'vitest';
import { messageOf } from '../../src/errors.js';
import { openWebgpu } from '../../src/map/webgpu.js';

/**
 * `describe` for tests that need an adapter. Where there is none they are one visible skip with the reason, or a
 * failure if REQUIRE_BACKENDS names webgpu.
 *
 * @param timeout of each test, in milliseconds
 */
export async function describeWebgpu(name: string, tests: () => void, timeout?: number): Promise<void> {
  const problem = await openWebgpu().then(
    (backend) => backend.close(),
    (error: unknown) => error,
  );
  if (problem === undefined) describe(name, { timeout }, tests);
  else if ((process.env.REQUIRE_BACKENDS ?? '').split(',').includes('webgpu'))
    it(name, () => {
      throw problem;
    });
  else it.skip(`${name}: ${messageOf(problem)}`, () => {});
}
