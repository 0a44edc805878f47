import { describe, expect, it } from 'vitest';
import {
  captionerOf,
  positions,
  sentencesOf,
  stateSize,
  trainCaptioner,
  untrainedCaptioner,
  weightsOfCaptioner,
} from '../scripts/assets/captioner.js';
import { imagesOf } from '../scripts/assets/fit.js';
import { captionerRecipe } from '../scripts/assets/recipe.js';
import { drawScene, drawScenes } from '../scripts/assets/scene.js';
import { longest, nounOf, vocabulary } from '../scripts/assets/sentence.js';
import type { Constant } from '../src/onnx/constant.js';
import { openSession } from '../src/runtime/session.js';
import type { Tensor } from '../src/tensor.js';

describe('a drawn scene', () => {
  const scenes = drawScenes({ firstPicture: 1, pictures: 60 });

  it('has a sentence that says how many things of which colour and kind lie on which ground', () => {
    for (const { groups, instances, words } of scenes) {
      expect(words.length).toBeLessThan(longest);
      expect(words.filter((word) => !vocabulary.includes(word))).toEqual([]);
      for (const [i, { kind, colour, count }] of groups.entries()) {
        const own = instances.filter(({ group }) => group === i);
        expect(own.map(({ name }) => name)).toEqual(Array(count).fill(kind));
        const number = ['a', 'two', 'three', 'four'][count - 1];
        expect(` ${words.join(' ')} `).toContain(` ${number} ${colour} ${nounOf(kind, count)} `);
      }
      expect(instances).toHaveLength(groups.reduce((sum, { count }) => sum + count, 0));
      expect(words.filter((word) => word === 'and')).toHaveLength(groups.length - 1);
      expect(words.at(-2)).toBe('on');
    }
  });

  it('has things of the colour that the sentence says', () => {
    const channel = { red: 0, green: 1, blue: 2 };
    let count = 0;
    for (const { pixels, labels, instances, groups } of scenes)
      for (const [i, { group, name }] of instances.entries()) {
        const colour = groups[group].colour as keyof typeof channel;
        // Of mushrooms and flowers much is of another colour.
        if (!(colour in channel) || name === 'mushroom' || name === 'flower') continue;
        const sums = [0, 0, 0];
        labels.forEach((label, p) => {
          if (label === i + 1) for (let c = 0; c < 3; c++) sums[c] += pixels[3 * p + c];
        });
        expect(sums.indexOf(Math.max(...sums))).toBe(channel[colour]);
        count++;
      }
    expect(count).toBeGreaterThan(30);
  });

  it('does not depend on the size it is drawn at: boxes are the same to within a pixel', () => {
    const [small, large] = [drawScene(5, 96), drawScene(5, 384)];
    expect(large.words).toEqual(small.words);
    for (const [i, { box }] of small.instances.entries())
      for (const [side, value] of box.entries())
        expect(Math.abs(value - large.instances[i].box[side])).toBeLessThan(1.5 / 96);
  });
});

describe('the captioner that is trained', () => {
  const short = { ...captionerRecipe, pictures: 64, epochs: 2 };
  const scenes = drawScenes(short);
  const run = async () => {
    const lines: string[] = [];
    const trained = await trainCaptioner(untrainedCaptioner(4), scenes, short, (line) => lines.push(line));
    return { trained, losses: lines.map((line) => Number(line.split(' ').at(-1))) };
  };

  it('lowers its loss, and the same recipe gives the same weights', async () => {
    const [first, second] = [await run(), await run()];
    expect(first.losses[1]).toBeLessThan(first.losses[0]);
    for (const name of weightsOfCaptioner(first.trained)) {
      const { bytes } = first.trained.constants.get(name) as Constant;
      expect(Buffer.compare(bytes, second.trained.constants.get(name)?.bytes ?? new Uint8Array())).toBe(0);
    }
  });

  it('scores words in one step after the other as in the unrolled graph, and its attention adds up to 1', async () => {
    const graph = untrainedCaptioner(7);
    const drawn = [0, 1].map((index) => ({ index, isMirrored: false }));
    const picture = { pixel_values: imagesOf(scenes, drawn) };
    const { words } = sentencesOf(scenes, drawn);
    const parts = captionerOf(graph);
    const [unrolled, encoder, decoder] = await Promise.all(
      [graph, parts.encoder, parts.decoder].map((part) => openSession(part, { threads: 1 })),
    );
    const { logits: wanted } = await unrolled.run({ ...picture, words });
    const { last_hidden_state: features } = await encoder.run(picture);
    expect(features.dims).toEqual([2, positions, 48]);
    let state: Tensor = { type: 'float32', dims: [2, stateSize], data: new Float32Array(2 * stateSize) };
    for (let t = 0; t < longest; t++) {
      const data = BigInt64Array.from([0, 1], (n) => words.data[n * longest + t]);
      const said = await decoder.run({
        input_ids: { type: 'int64', dims: [2, 1], data },
        encoder_hidden_states: features,
        state,
      });
      state = said.next_state;
      const size = vocabulary.length;
      for (const n of [0, 1])
        for (let k = 0; k < size; k++)
          expect(said.logits.data[n * size + k]).toBeCloseTo(
            wanted.data[(n * longest + t) * size + k] as number,
            4,
          );
      const sum = (said.attention.data as Float32Array).reduce((a, b) => a + b, 0);
      expect(sum).toBeCloseTo(2, 4);
    }
    await Promise.all([unrolled, encoder, decoder].map((session) => session.close()));
  });
});
