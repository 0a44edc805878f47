import { expect, test } from 'vitest';
import { availableCores } from '../../../src/batch/workers/cores.js';

const files = (content: Record<string, string>) => (path: string) => content[path];

test('without control groups, the affinity mask', () => {
  expect(availableCores(files({}), 6)).toBe(6);
});

test('version 2: the smallest quota of the group and those above it, rounded up', () => {
  const own = { '/proc/self/cgroup': '0::/a/b\n', '/sys/fs/cgroup/a/b/cpu.max': 'max 100000\n' };
  expect(availableCores(files(own), 8)).toBe(8);
  expect(availableCores(files({ ...own, '/sys/fs/cgroup/a/cpu.max': '250000 100000\n' }), 8)).toBe(3);
  expect(availableCores(files({ ...own, '/sys/fs/cgroup/cpu.max': '50000 100000\n' }), 8)).toBe(1);
  expect(availableCores(files({ ...own, '/sys/fs/cgroup/cpu.max': '900000 100000\n' }), 8)).toBe(8);
});

test('version 1', () => {
  const read = files({
    '/proc/self/cgroup': '4:cpu,cpuacct:/docker/x\n3:cpuset:/docker/x\n',
    '/sys/fs/cgroup/cpu/cpu.cfs_quota_us': '200000\n',
    '/sys/fs/cgroup/cpu/cpu.cfs_period_us': '100000\n',
    '/sys/fs/cgroup/cpu/docker/x/cpu.cfs_quota_us': '-1\n',
    '/sys/fs/cgroup/cpu/docker/x/cpu.cfs_period_us': '100000\n',
  });
  expect(availableCores(read, 8)).toBe(2);
});
