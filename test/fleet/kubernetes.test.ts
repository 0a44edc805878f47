import { readFileSync } from 'node:fs';
import { expect, test } from 'vitest';
import { parse } from 'yaml';

// Its types are not looked for: they are of every object that a cluster knows.
const { Job } = (await import('kubernetes-models/batch/v1' as string)) as {
  Job: new (manifest: unknown) => { validate(): void };
};

const path = new URL('../../examples/kubernetes/job.yaml', import.meta.url);
const manifest = parse(readFileSync(path, 'utf8'));

test("the Kubernetes job fits the cluster's schema, which notices what is wrong", () => {
  expect(() => new Job(manifest).validate()).not.toThrow();
  const wrong = { ...manifest, spec: { ...manifest.spec, completions: 'six' } };
  expect(() => new Job(wrong).validate()).toThrow('completions');
});

test('it runs a shard an index, as nobody in particular, and writes where volumes are only', () => {
  const { spec } = manifest;
  const pod = spec.template.spec;
  expect(spec).toMatchObject({ completionMode: 'Indexed', backoffLimitPerIndex: 3 });
  expect(pod.securityContext).toMatchObject({ runAsNonRoot: true, runAsUser: 1000 });
  const [container] = pod.containers;
  expect(container).toMatchObject({
    args: ['shard', 'run', 'work/plan.json'],
    securityContext: {
      allowPrivilegeEscalation: false,
      readOnlyRootFilesystem: true,
      capabilities: { drop: ['ALL'] },
    },
    volumeMounts: [
      { name: 'data', mountPath: '/data' },
      { name: 'scratch', mountPath: '/tmp' },
    ],
  });
  expect(pod.volumes.map(({ name }: { name: string }) => name)).toEqual(['data', 'scratch']);
});
