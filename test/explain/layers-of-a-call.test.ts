import { fileURLToPath } from 'node:url';
import { expect, test } from 'vitest';
import { NetworkExplainer } from '../../src/explain/network-explainer.js';

const assets = fileURLToPath(new URL('../../assets/', import.meta.url));
const model = `${assets}shapes.onnx`;
const picture = `${assets}pictures/apples-and-cups.png`;
const method = ['grad-cam++', 'layer-cam', 'eigen-cam'] as const;

test('layers of a call have the maps that they have where they are opened, each apart or together', async () => {
  await using explainer = await NetworkExplainer.open(model, { backend: 'reference' });
  const layer = explainer
    .candidates()
    .slice(0, 3)
    .map(({ name }) => name);
  expect(layer[0]).toBe(explainer.layers[0]);
  const options = { method, targets: ['cup', 'apple'] };
  const [each] = await explainer.explain(picture, { ...options, layer, eachLayer: true, evidence: true });
  expect(each.targets.map(({ target, method, layers }) => [target.name, method, ...layers])).toEqual(
    options.targets.flatMap((name) => method.flatMap((own) => layer.map((one) => [name, own, one]))),
  );
  for (const [at, name] of layer.entries()) {
    await using own = await NetworkExplainer.open(model, { backend: 'reference', layer: name });
    const [alone] = await own.explain(picture, options);
    const [called] = await explainer.explain(picture, { ...options, layer: name });
    for (const [t, { map, raw, combine }] of alone.targets.entries()) {
      const found = each.targets[t * layer.length + at];
      expect(found.combine).toBe(combine);
      expect(found.raw?.dims).toEqual(raw?.dims);
      for (const { data } of [found.map, called.targets[t].map])
        expect(Math.max(...data.map((value, i) => Math.abs(value - map.data[i])))).toBeLessThan(1e-5);
    }
  }
  const [together] = await explainer.explain(picture, { ...options, layer });
  expect(together.targets[0]).toMatchObject({ layers: layer, combine: 'mean' });
  const mean = together.targets[0].map.data[5000];
  expect(mean).toBeCloseTo(layer.reduce((sum, _, at) => sum + each.targets[at].map.data[5000], 0) / 3, 5);
});

test('evidence is what the map is made of', async () => {
  await using explainer = await NetworkExplainer.open(model, { backend: 'reference' });
  const layer = explainer.candidates()[1].name;
  const [{ targets }] = await explainer.explain(picture, { method: 'grad-cam', layer, evidence: true });
  const [{ evidence, raw }] = targets;
  const { dims, activations, gradients = new Float32Array() } = evidence as NonNullable<typeof evidence>;
  const [channels, ...places] = dims;
  const size = places.reduce((product, dim) => product * dim, 1);
  expect(places).toEqual(raw?.dims);
  const sums = Float64Array.from({ length: size }, (_, p) => {
    let sum = 0;
    for (let k = 0; k < channels; k++) {
      const own = gradients.subarray(k * size, (k + 1) * size);
      sum += (own.reduce((total, value) => total + value, 0) / size) * activations[k * size + p];
    }
    return Math.max(sum, 0);
  });
  const most = Math.max(...sums);
  raw?.data.forEach((value, p) => expect(Math.abs(value - sums[p])).toBeLessThan(1e-4 * most));
});

test('layers and methods that do not go together are refused in a sentence', async () => {
  await using explainer = await NetworkExplainer.open(model, { backend: 'reference' });
  await expect(explainer.explain(picture, { layer: 'none' })).rejects.toThrow(/"layer" must name a tensor/);
  await expect(explainer.explain(picture, { eachLayer: true, aug: true })).rejects.toThrow(
    '"eachLayer" and "aug" exclude each other: explain one "layer" after the other.',
  );
});
