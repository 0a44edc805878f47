import { describe, expect, it } from 'vitest';
import { mapMethods } from '../../src/map/backend.js';
import { checkRequest, computeMaps, type MapInput } from '../../src/map/compute.js';
import { openReference } from '../../src/map/reference.js';

const input: MapInput = {
  images: 1,
  channels: 1,
  layer: [2],
  size: [2],
  activations: Float32Array.of(1, 3),
  gradients: [Float32Array.of(1, 2)],
};

describe('checkRequest', () => {
  it("fills in the paper's settings, also for options that are undefined", () => {
    const request = checkRequest({ ...input, form: undefined });
    expect(request).toMatchObject({
      method: 'grad-cam++',
      form: 'exp',
      alphaNormalization: false,
      gradientRelu: true,
    });
  });

  const refusals: [string, object, string][] = [
    ['an unknown option', { colour: 1 }, '"colour" is not an option of the map stage.'],
    ['an unknown method', { method: 'gradcam' }, '"method" must be one of grad-cam++, grad-cam,'],
    ['an unknown form', { form: 'sigmoid' }, '"form" must be one of exp, softmax; received "sigmoid".'],
    ['a number for a switch', { gradientRelu: 1 }, '"gradientRelu" must be true or false; received 1.'],
    ['no images', { images: 0 }, '"images" must be a whole number of at least 1; received 0.'],
    ['four axes', { layer: [1, 1, 1, 2] }, '"layer" must be 1 to 3 dims; received [1, 1, 1, 2].'],
    ['a fraction', { size: [1.5] }, '"size[0]" must be a whole number of at least 1; received 1.5.'],
    [
      'a size of other rank',
      { size: [2, 2] },
      '"size" must be as many dims as the layer has, 1; received [2, 2].',
    ],
    [
      'activations too short',
      { activations: new Float32Array(1) },
      '"activations" must be a Float32Array of 2 elements; received "1 elements".',
    ],
    [
      'float64 gradients',
      { gradients: [Float64Array.of(1, 2)] },
      '"gradients[0]" must be a Float32Array of 2 elements; received Float64Array(2).',
    ],
    ['no target', { gradients: [] }, '"gradients" must be one array a target; received [].'],
    [
      'CAM without weights',
      { method: 'cam' },
      '"weights" must be one array a target for the method cam; received undefined.',
    ],
    [
      'softmax without moments',
      { form: 'softmax' },
      '"moments" must be given for the softmax form; received undefined.',
    ],
    [
      'moments too short',
      {
        form: 'softmax',
        moments: { mean: new Float32Array(2), variance: new Float32Array(3), third: new Float32Array(2) },
      },
      '"moments.variance" must be a Float32Array of 2 elements; received "3 elements".',
    ],
  ];
  for (const [name, change, message] of refusals)
    it(`refuses ${name}`, async () => {
      await expect(computeMaps(openReference(), { ...input, ...change } as MapInput)).rejects.toMatchObject({
        name: 'GradcamppError',
        code: 'INVALID_OPTION',
        message: expect.stringContaining(message),
      });
    });

  it('does not ask for moments where the form changes nothing', () => {
    expect(checkRequest({ ...input, method: 'grad-cam', form: 'softmax' }).moments).toBeUndefined();
  });
});

describe('every option changes an answer', () => {
  const weighed: MapInput = {
    ...input,
    channels: 2,
    activations: Float32Array.of(1, 3, 2, 1),
    gradients: [Float32Array.of(1, -0.25, 0.5, 2)],
    weights: [Float32Array.of(1, 5)],
    moments: {
      mean: Float32Array.of(0.1, 0.2, 0.3, 0.4),
      variance: Float32Array.of(0.1, 0.1, 0.3, 0.2),
      third: Float32Array.of(0.01, -0.1, 0.1, 0),
    },
  };
  const answer = async (change: Partial<MapInput>) =>
    JSON.stringify((await computeMaps(openReference(), { ...weighed, ...change })).raw);

  it('methods, form, α normalisation, ReLU', async () => {
    const answers = await Promise.all([
      ...mapMethods.map((method) => answer({ method })),
      answer({ form: 'softmax' }),
      answer({ alphaNormalization: true }),
      answer({ gradientRelu: false }),
    ]);
    expect(new Set(answers).size).toBe(mapMethods.length + 3);
  });

  it('only where the table says that there are forms', async () => {
    for (const method of mapMethods) {
      const changed = await answer({
        method,
        form: 'softmax',
        alphaNormalization: true,
        gradientRelu: false,
      });
      expect(changed !== (await answer({ method })), method).toBe(method === 'grad-cam++');
    }
  });
});
