/** A shape in the plane: the distance from (x, y) to its edge, negative inside. y points down. */
export type Shape = (x: number, y: number) => number;

export const circle =
  (cx: number, cy: number, radius: number): Shape =>
  (x, y) =>
    Math.hypot(x - cx, y - cy) - radius;

/** First-order distance: exact at the edge, which is all that drawing needs. */
export function ellipse(cx: number, cy: number, rx: number, ry: number, angle = 0): Shape {
  const [cos, sin] = [Math.cos(angle), Math.sin(angle)];
  return (x, y) => {
    const u = ((x - cx) * cos + (y - cy) * sin) / rx;
    const v = ((y - cy) * cos - (x - cx) * sin) / ry;
    const k = Math.hypot(u, v);
    return k < 1e-6 ? -Math.min(rx, ry) : (k * (k - 1)) / Math.hypot(u / rx, v / ry);
  };
}

/** A line from a to b, as thick as `radius` at a and `end` at b. */
export function stroke(ax: number, ay: number, bx: number, by: number, radius: number, end = radius): Shape {
  const [dx, dy] = [bx - ax, by - ay];
  const length2 = dx * dx + dy * dy;
  return (x, y) => {
    const t = Math.min(1, Math.max(0, ((x - ax) * dx + (y - ay) * dy) / length2));
    return Math.hypot(x - ax - t * dx, y - ay - t * dy) - radius - t * (end - radius);
  };
}

/** A closed polygon, its corners rounded by `round`; exact distance. */
export function polygon(points: readonly (readonly [number, number])[], round = 0): Shape {
  return (x, y) => {
    let distance2 = Number.POSITIVE_INFINITY;
    let inside = false;
    for (let i = 0, j = points.length - 1; i < points.length; j = i++) {
      const [ax, ay] = points[i];
      const [bx, by] = points[j];
      const [ex, ey, px, py] = [bx - ax, by - ay, x - ax, y - ay];
      const t = Math.min(1, Math.max(0, (px * ex + py * ey) / (ex * ex + ey * ey)));
      distance2 = Math.min(distance2, (px - t * ex) ** 2 + (py - t * ey) ** 2);
      if (ay > y !== by > y && x < ax + ((bx - ax) * (y - ay)) / (by - ay)) inside = !inside;
    }
    return (inside ? -1 : 1) * Math.sqrt(distance2) - round;
  };
}

/** A rectangle around (cx, cy) with rounded corners. */
export const box =
  (cx: number, cy: number, rx: number, ry: number, round = 0): Shape =>
  (x, y) => {
    const u = Math.abs(x - cx) - rx + round;
    const v = Math.abs(y - cy) - ry + round;
    return Math.hypot(Math.max(u, 0), Math.max(v, 0)) + Math.min(Math.max(u, v), 0) - round;
  };

export const union =
  (...shapes: readonly Shape[]): Shape =>
  (x, y) => {
    let nearest = Number.POSITIVE_INFINITY;
    for (const shape of shapes) nearest = Math.min(nearest, shape(x, y));
    return nearest;
  };

export const common =
  (a: Shape, b: Shape): Shape =>
  (x, y) =>
    Math.max(a(x, y), b(x, y));

export const without =
  (a: Shape, b: Shape): Shape =>
  (x, y) =>
    Math.max(a(x, y), -b(x, y));

/** Union with a fillet of width k (Quilez' polynomial smooth minimum). */
export const blend =
  (k: number, a: Shape, b: Shape): Shape =>
  (x, y) => {
    const [da, db] = [a(x, y), b(x, y)];
    const h = Math.max(0, 1 - Math.abs(da - db) / k);
    return Math.min(da, db) - (h * h * k) / 4;
  };

/** The same shape `count` times around the origin; drawn once along -y. */
export const around = (count: number, shape: Shape): Shape => {
  const sector = (2 * Math.PI) / count;
  return (x, y) => {
    const turn = Math.round(Math.atan2(x, -y) / sector) * sector;
    const [cos, sin] = [Math.cos(turn), Math.sin(turn)];
    return shape(x * cos + y * sin, y * cos - x * sin);
  };
};

/** The half plane's shape mirrored at x = 0. */
export const mirror =
  (shape: Shape): Shape =>
  (x, y) =>
    shape(Math.abs(x), y);
