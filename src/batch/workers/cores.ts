import { readFileSync } from 'node:fs';
import { availableParallelism } from 'node:os';

/** Reads a small file; undefined where there is none. */
type Read = (path: string) => string | undefined;

/**
 * Cores that this process may use: those of its affinity mask, and no more than the CPU time that its control groups
 * grant (containers; Node.js 20 does not look there), rounded up. At least 1.
 */
export function availableCores(read: Read = readText, parallelism = availableParallelism()): number {
  return Math.max(1, Math.min(parallelism, Math.ceil(quota(read))));
}

/** The smallest quota of this process' control group and those above it, in cores. */
function quota(read: Read): number {
  const groups = read('/proc/self/cgroup') ?? '';
  const unified = /^0::(.*)$/m.exec(groups)?.[1] ?? '/';
  const legacy = /^\d+:[^:\n]*\bcpu\b[^:\n]*:(.*)$/m.exec(groups)?.[1] ?? '/';
  return Math.min(
    ...ancestors(unified).map((path) => quotaOfMax(read(`/sys/fs/cgroup${path}cpu.max`))),
    ...ancestors(legacy).map((path) =>
      quotaOf(
        read(`/sys/fs/cgroup/cpu${path}cpu.cfs_quota_us`),
        read(`/sys/fs/cgroup/cpu${path}cpu.cfs_period_us`),
      ),
    ),
  );
}

/** `/a/b` → `/a/b/`, `/a/`, `/`. */
function ancestors(path: string): string[] {
  const parts = path.split('/').filter((part) => part !== '');
  return ['/', ...parts.map((_, i) => `/${parts.slice(0, i + 1).join('/')}/`)].reverse();
}

/** `200000 100000`: two cores; `max 100000`: all. */
function quotaOfMax(text: string | undefined): number {
  const [limit, period] = (text ?? 'max').trim().split(/\s+/);
  return quotaOf(limit, period);
}

function quotaOf(limit: string | undefined, period: string | undefined): number {
  const cores = Number(limit) / Number(period);
  return cores > 0 ? cores : Number.POSITIVE_INFINITY;
}

function readText(path: string): string | undefined {
  try {
    return readFileSync(path, 'utf8');
  } catch {
    return undefined;
  }
}
