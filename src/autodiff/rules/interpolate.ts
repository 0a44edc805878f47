import { DataType } from '../../onnx/types.js';
import type { Name } from '../../graph/builder.js';
import type { Pass } from '../rule.js';

export type Padding = 'zeros' | 'border' | 'reflection';
export type Mode = 'nearest' | 'linear' | 'cubic';

/** Where points lie along one axis of a picture, in pixels, [batch, 1, points]; and how many pixels there are. */
export interface Coordinate {
  readonly at: Name;
  /** Float scalar. */
  readonly size: Name;
}

/** One of the pixels that a point is interpolated from, along one axis: [batch, 1, points] each. */
interface Tap {
  /** Whole number as float, within the picture. */
  readonly index: Name;
  readonly weight: Name;
  /** d weight / d coordinate; undefined where it is 0 everywhere. */
  readonly slope: Name | undefined;
}

/** Weights of the four pixels around a point as polynomials of its fraction, highest power first; A = −3/4. */
const A = -0.75;
const cubic: readonly (readonly [number, number, number, number])[] = [
  [A, -2 * A, A, 0],
  [A + 2, -(A + 3), 0, 1],
  [-(A + 2), 2 * A + 3, -A, 0],
  [-A, A, 0, 0],
];

function tapsOf(pass: Pass, { at, size }: Coordinate, mode: Mode, fold: Fold): Tap[] {
  const { b } = pass;
  const one = b.add(b.mul(at, b.zero()), b.scalar(1));
  const tap = (place: Name, weight: Name, slope: Name | undefined): Tap => {
    const { index, inside } = fold(place, size);
    if (!inside) return { index, weight, slope };
    return { index, weight: b.mul(weight, inside), slope: slope && b.mul(slope, inside) };
  };
  if (mode === 'nearest') return [tap(b.op('Round', [at]), one, undefined)];
  const low = b.op('Floor', [at]);
  const fraction = b.sub(at, low);
  if (mode === 'linear')
    return [tap(low, b.from(1, fraction), b.neg(one)), tap(b.add(low, b.scalar(1)), fraction, one)];
  const polynomial = (coefficients: readonly number[]): Name =>
    coefficients
      .slice(1)
      .reduce(
        (value, coefficient) => b.add(b.mul(value, fraction), b.scalar(coefficient)),
        b.scalar(coefficients[0]),
      );
  return cubic.map(([c3, c2, c1, c0], i) =>
    tap(b.add(low, b.scalar(i - 1)), polynomial([c3, c2, c1, c0]), polynomial([3 * c3, 2 * c2, c1])),
  );
}

/** What happens to places outside the picture: moved inside, or not counted. */
type Fold = (place: Name, size: Name) => { index: Name; inside?: Name };

export function folding(pass: Pass, padding: Padding, aligned: boolean): Fold {
  const { b } = pass;
  return (place, size) => {
    const within = padding === 'reflection' ? reflected(pass, place, size, aligned) : place;
    const index = b.op('Min', [b.op('Max', [within, b.zero()]), b.sub(size, b.scalar(1))]);
    return padding === 'zeros' ? { index, inside: b.asFloat(b.op('Equal', [place, index])) } : { index };
  };
}

/** To and fro between the outermost pixels' centres (aligned) or edges. */
function reflected({ b }: Pass, place: Name, size: Name, aligned: boolean): Name {
  const first = b.scalar(aligned ? 0 : -0.5);
  const range = aligned ? b.op('Max', [b.sub(size, b.scalar(1)), b.scalar(0.5)]) : size; // one pixel has no range
  const whole = b.scale(range, 2);
  const rest = b.op('Mod', [b.op('Abs', [b.sub(place, first)]), whole], { fmod: 1 });
  return b.add(b.op('Min', [rest, b.sub(whole, rest)]), first);
}

export interface Interpolation {
  /** The interpolated values, [batch, channels, points]. */
  readonly values: () => Name;
  /** The gradient of the picture, [batch, channels, pixels], for one of the values. */
  readonly dImage: (dValues: Name, zeros: Name) => Name;
  /** The gradients of the coordinates, [batch, 1, points] each; undefined where they have no influence. */
  readonly dCoordinates: (dValues: Name) => (Name | undefined)[];
}

/**
 * Values of a picture [batch, channels, pixels] at points between its pixels, and their gradients: each value is a sum
 * over taps of a product of one weight per axis with a pixel.
 *
 * @param coordinates one per axis of the picture, outermost first
 */
export function interpolate(
  pass: Pass,
  image: Name,
  coordinates: readonly Coordinate[],
  mode: Mode,
  fold: Fold,
): Interpolation {
  const { b } = pass;
  let combinations: Tap[][] = [[]];
  for (const coordinate of coordinates) {
    const taps = tapsOf(pass, coordinate, mode, fold);
    combinations = combinations.flatMap((chosen) => taps.map((tap) => [...chosen, tap]));
  }
  const product = (factors: readonly Name[]): Name => factors.reduce((a, factor) => b.mul(a, factor));
  const places = combinations.map((taps) => {
    const flat = taps
      .map(({ index }) => index)
      .reduce((sum, index, axis) => b.add(b.mul(sum, coordinates[axis].size), index));
    return b.op('Cast', [flat], { to: DataType.INT64 });
  });
  const channels = b.op('Shape', [image], { start: 1, end: 2 });
  const tile = (value: Name) =>
    b.op('Expand', [value, b.op('Concat', [b.ints([1]), channels, b.ints([1])], { axis: 0 })]);
  const weight = (taps: readonly Tap[]) => product(taps.map((tap) => tap.weight));
  const pixels = places.map((place) => b.op('GatherElements', [image, tile(place)], { axis: 2 }));
  const sum = (terms: readonly Name[]) => (terms.length > 1 ? b.op('Sum', [...terms]) : terms[0]);
  const side = (values: readonly Name[]) =>
    values.length > 1 ? b.op('Concat', [...values], { axis: 2 }) : values[0];
  return {
    values: () => sum(combinations.map((taps, i) => b.mul(pixels[i], weight(taps)))),
    dImage: (dValues, zeros) =>
      b.op(
        'ScatterElements',
        [zeros, tile(side(places)), side(combinations.map((taps) => b.mul(dValues, weight(taps))))],
        { axis: 2, reduction: 'add' },
      ),
    dCoordinates: (dValues) => {
      const arrived = pixels.map((pixel) => b.reduceSum(b.mul(dValues, pixel), [1]));
      return coordinates.map((_, axis) => {
        const terms = combinations.flatMap((taps, i) => {
          const { slope } = taps[axis];
          if (slope === undefined) return [];
          const factors = taps.map((tap, other) => (other === axis ? slope : tap.weight));
          return [b.mul(arrived[i], product(factors))];
        });
        return terms.length > 0 ? sum(terms) : undefined;
      });
    },
  };
}
