import { useSignalEffect } from '@preact/signals';
import { useRef } from 'preact/hooks';
import { type Rectangle, toPicture } from '../../web/index.js';
import { finerBy, paintHeat } from './painting.js';
import * as state from './state.js';
import type { Stroke } from './settings.js';
import * as work from './work.js';

/** The regions above the threshold, in pixels of the picture. */
export function regionBoxes(): Rectangle[] {
  const map = work.shownMap.value;
  const geometry = work.geometry.value;
  return map && geometry
    ? work.regionsShown.value.map((region) => toPicture(region, map.dims, geometry))
    : [];
}

/** A place of the picture as column and row of the layer; undefined outside of what the network sees. */
export function cellAt({
  x,
  y,
}: {
  readonly x: number;
  readonly y: number;
}): readonly [number, number] | undefined {
  const geometry = work.geometry.value;
  const grid = work.grid.value;
  if (!geometry || !grid) return undefined;
  const column = Math.floor(((x - geometry.x) / geometry.width) * grid.columns);
  const row = Math.floor(((y - geometry.y) / geometry.height) * grid.rows);
  const isIn = column >= 0 && row >= 0 && column < grid.columns && row < grid.rows;
  return isIn ? [column, row] : undefined;
}

/** Shows the strongest channel of a place alone. */
export function showStrongest(at: readonly [number, number]): void {
  const [best] = work.strongestAt(at);
  state.change({ at, channel: best?.channel });
  if (best) state.spoken.value = `Channel ${best.channel} alone.`;
}

function radius(): number {
  const own = work.bitmap.value;
  return own ? Math.max(1, Math.round((state.now.size * Math.min(own.width, own.height)) / 2)) : 1;
}

/** Adds a point to the stroke that is being painted, or begins one. */
export function paintTo(x: number, y: number, isNew: boolean): void {
  const { strokes } = state.now;
  const at = [Math.round(x), Math.round(y)].map((value) => Math.max(0, value));
  const last = strokes.at(-1);
  const next: Stroke[] =
    isNew || !last
      ? [...strokes, { radius: radius(), points: at }]
      : [...strokes.slice(0, -1), { ...last, points: [...last.points, ...at] }];
  state.change({ strokes: next });
}

/** Explains what lies at a place: the smallest object there, or the segment. */
function pick({ x, y }: { readonly x: number; readonly y: number }): void {
  const geometry = work.geometry.value;
  const scores = work.before.value;
  const [object] = work
    .objectBoxes()
    .filter(({ box }) => x >= box.x && y >= box.y && x < box.x + box.width && y < box.y + box.height)
    .sort((a, b) => a.box.width * a.box.height - b.box.width * b.box.height);
  if (object) work.chooseObject(object);
  if (object || !geometry || !scores) return;
  const found = work.classAt(scores, (x - geometry.x) / geometry.width, (y - geometry.y) / geometry.height);
  if (found !== undefined) state.change({ target: String(found) });
}

/** The picture with its map, which the pointer and the keys move over. */
export function Stage() {
  const base = useRef<HTMLCanvasElement>(null);
  const heat = useRef<HTMLCanvasElement>(null);
  const frame = useRef<HTMLDivElement>(null);
  useSignalEffect(() => {
    const picture = work.drawn.value;
    const canvas = base.current;
    if (!picture || !canvas) return;
    const scale = Math.min(1, 1600 / Math.max(picture.width, picture.height));
    canvas.width = Math.round(picture.width * scale);
    canvas.height = Math.round(picture.height * scale);
    const context = canvas.getContext('2d');
    if (context) context.imageSmoothingQuality = 'high';
    context?.drawImage(picture, 0, 0, canvas.width, canvas.height);
  });
  useSignalEffect(() => {
    const map = work.shownMap.value;
    const { threshold, colormap } = state.now;
    if (heat.current) paintHeat(heat.current, map, { threshold, colormap }, map && finerBy(map));
  });
  useSignalEffect(() => {
    const { opacity, swipe } = state.now;
    frame.current?.style.setProperty('--opacity', String(opacity));
    frame.current?.style.setProperty('--swipe', `${100 * (1 - swipe)}%`);
    frame.current?.classList.toggle('is-swiped', swipe > 0 && swipe < 1);
  });
  const picture = work.bitmap.value;
  const geometry = work.geometry.value;
  const tool = state.tool.value;
  const pointOf = (event: PointerEvent | MouseEvent) => {
    const box = (frame.current as HTMLDivElement).getBoundingClientRect();
    const { width, height } = picture as ImageBitmap;
    return {
      x: ((event.clientX - box.left) / box.width) * width,
      y: ((event.clientY - box.top) / box.height) * height,
    };
  };
  const onPointerDown = (event: PointerEvent) => {
    if (!picture || event.button !== 0) return;
    const point = pointOf(event);
    if (tool === 'brush') {
      (event.currentTarget as HTMLElement).setPointerCapture(event.pointerId);
      event.preventDefault();
      paintTo(point.x, point.y, true);
    } else if (tool === 'pick') pick(point);
    else {
      const at = cellAt(point);
      if (at) showStrongest(at);
    }
  };
  const onPointerMove = (event: PointerEvent) => {
    if (!picture) return;
    const point = pointOf(event);
    state.pointer.value = point;
    if (tool === 'brush' && event.buttons === 1) paintTo(point.x, point.y, false);
  };
  const onKeyDown = (event: KeyboardEvent) => {
    const grid = work.grid.value;
    if (!grid || event.ctrlKey || event.metaKey || event.altKey) return;
    const at = state.now.at ?? [Math.floor(grid.columns / 2), Math.floor(grid.rows / 2)];
    const moves: Record<string, readonly [number, number]> = {
      ArrowLeft: [-1, 0],
      ArrowRight: [1, 0],
      ArrowUp: [0, -1],
      ArrowDown: [0, 1],
    };
    const move = moves[event.key];
    if (move) {
      const [column, row] = [at[0] + move[0], at[1] + move[1]];
      const next = [
        Math.min(Math.max(column, 0), grid.columns - 1),
        Math.min(Math.max(row, 0), grid.rows - 1),
      ] as const;
      state.pointer.value = undefined;
      state.change({ at: next });
      state.spoken.value = work.describe(next);
    } else if (event.key === 'Enter' || event.key === ' ') {
      if (tool === 'brush') {
        const [x, y] = work.centreOf(at);
        paintTo(x, y, true);
      } else if (tool === 'pick') pick({ x: work.centreOf(at)[0], y: work.centreOf(at)[1] });
      else showStrongest(at);
    } else if (event.key === 'Escape') state.change({ channel: undefined });
    else return;
    event.preventDefault();
  };
  const { boxes, at, channel } = state.now;
  const ratio = picture ? `${picture.width} / ${picture.height}` : '4 / 3';
  const within = picture &&
    geometry && {
      left: `${(100 * geometry.x) / picture.width}%`,
      top: `${(100 * geometry.y) / picture.height}%`,
      width: `${(100 * geometry.width) / picture.width}%`,
      height: `${(100 * geometry.height) / picture.height}%`,
    };
  const cell = picture && at && work.cellBox(at);
  const line = picture ? Math.max(picture.width, picture.height) / 400 : 1;
  const found = work.shown.value;
  return (
    <figure class="stage">
      {/* biome-ignore lint: what can be moved over by keys has to take the focus */}
      <div
        ref={frame}
        class={`frame ${tool}`}
        style={{ aspectRatio: ratio, '--ratio': picture ? picture.width / picture.height : 4 / 3 }}
        tabIndex={0}
        role="application"
        aria-label={`${state.picture.value?.name ?? 'No picture'}${work.explained.value ? `, map of ${work.explained.value.target.name}` : ''}`}
        aria-describedby="stage-keys"
        onPointerDown={onPointerDown}
        onPointerMove={onPointerMove}
        onPointerLeave={() => {
          state.pointer.value = undefined;
        }}
        onKeyDown={onKeyDown}
      >
        <canvas ref={base} class="base" aria-hidden="true" />
        <div class="swiped" aria-hidden="true">
          <div class="seen" style={within || { inset: '0' }}>
            <canvas ref={heat} class="heat" />
          </div>
        </div>
        {picture ? (
          <svg class="marks" viewBox={`0 0 ${picture.width} ${picture.height}`} aria-hidden="true">
            {(boxes ? regionBoxes() : []).map((box, i) => (
              <g key={i} class="region">
                <rect {...box} stroke-width={3 * line} class="under" />
                <rect {...box} stroke-width={line} class="line" />
              </g>
            ))}
            {tool === 'pick'
              ? work.objectBoxes().map((object, i) => (
                  <rect
                    key={i}
                    {...object.box}
                    stroke-width={2 * line}
                    class={`object ${object.isChosen ? 'chosen' : ''}`}
                  >
                    <title>{object.name}</title>
                  </rect>
                ))
              : null}
            {cell ? <rect {...cell} stroke-width={line} class="cell" /> : null}
          </svg>
        ) : null}
        {found && 'error' in found && found.error !== undefined ? <p class="fault">{found.error}</p> : null}
        {channel !== undefined && tool === 'look' ? <p class="badge">channel {channel} alone</p> : null}
      </div>
      <figcaption id="stage-keys" class="hint">
        {tool === 'brush'
          ? 'Paint over the picture. Keys: arrows move, Enter paints.'
          : tool === 'pick'
            ? 'Click what is to be explained. Keys: arrows move, Enter chooses.'
            : 'Point at a place for its channels, click for the strongest alone. Keys: arrows, Enter, Escape.'}
      </figcaption>
    </figure>
  );
}
