import { type Box, type Canvas, paintThing, type Placement } from './canvas.js';
import { grounds, paintGround } from './grounds.js';
import { Random } from './random.js';
import { classes, type ClassName, things } from './things.js';

/** A drawn thing: what it is and the box of its visible pixels. */
export interface Instance {
  readonly name: ClassName;
  readonly box: Box;
}

export interface Picture {
  /** RGB, interleaved, `size` × `size`. */
  readonly pixels: Uint8Array;
  readonly size: number;
  /** Which instance is seen at each pixel, counted from 1; 0 is the ground. */
  readonly labels: Uint8Array;
  readonly instances: readonly Instance[];
}

/**
 * Draws the picture of a seed: one to three classes, up to six things on a ground that says nothing about them.
 * The scene does not depend on `size`: it can be drawn small for the network and large for people.
 */
export function drawPicture(seed: number, size: number): Picture {
  const random = new Random(seed);
  const names = chooseContent(random);
  const labels = new Uint8Array(size * size);
  const canvas: Canvas = { size, data: new Float32Array(size * size * 3), labels };
  paintGround(canvas, random.pick(Object.values(grounds))(random));
  const instances: Instance[] = [];
  const places = place(random, names.length);
  for (const [i, name] of random.shuffle(names).entries()) {
    const { layers, turn } = things[name];
    const placement: Placement = {
      ...places[i],
      angle: random.between(-turn, turn),
      flip: random.next() < 0.5,
    };
    instances.push({ name, box: paintThing(canvas, layers(random), placement, i + 1) });
  }
  return { pixels: develop(canvas, random), size, labels, instances };
}

/** One to three classes, one to four things of each, six at most. */
function chooseContent(random: Random): ClassName[] {
  const kinds = random.pick([1, 1, 2, 2, 2, 3]);
  const most = Math.min(4, Math.floor(6 / kinds));
  return random
    .shuffle(classes)
    .slice(0, kinds)
    .flatMap((name) => Array<ClassName>(1 + random.below(most)).fill(name));
}

/** Circles that do not overlap and stay inside; smaller where many must fit. */
export function place(random: Random, count: number): { x: number; y: number; radius: number }[] {
  const largest = count < 3 ? 0.25 : count < 5 ? 0.21 : 0.18;
  for (;;) {
    const places: { x: number; y: number; radius: number }[] = [];
    for (let tries = 0; tries < 200 && places.length < count; tries++) {
      const radius = 0.085 * (largest / 0.085) ** random.next();
      const x = random.between(radius, 1 - radius);
      const y = random.between(radius, 1 - radius);
      if (places.every((other) => Math.hypot(x - other.x, y - other.y) > 1.05 * (radius + other.radius)))
        places.push({ x, y, radius });
    }
    if (places.length === count) return places;
  }
}

/** Brightness, contrast and warmth of the day, then 8 bits. */
export function develop(canvas: Canvas, random: Random): Uint8Array {
  return daylight(random)(canvas.data);
}

/** Brightness, contrast and warmth of a day: makes 8 bits of what is drawn. */
export function daylight(random: Random): (data: Float32Array) => Uint8Array {
  const contrast = random.between(0.85, 1.1);
  const brightness = random.between(-0.06, 0.06);
  const warmth = random.between(-0.04, 0.04);
  const gain = [1 + warmth, 1, 1 - warmth];
  return (data) =>
    Uint8Array.from(data, (value, i) =>
      Math.round(255 * Math.min(1, Math.max(0, ((value - 0.5) * contrast + 0.5 + brightness) * gain[i % 3]))),
    );
}
