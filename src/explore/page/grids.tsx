import { useLayoutEffect, useRef } from 'preact/hooks';
import { methods as known } from '../../methods/index.js';
import type { Found } from './found.js';
import { paintHeat } from './painting.js';
import * as state from './state.js';
import type { Picture } from './state.js';
import * as work from './work.js';

/** A picture with a map over it. */
function Tile({ picture, found }: { readonly picture: Picture; readonly found: Found | undefined }) {
  const heat = useRef<HTMLCanvasElement>(null);
  const image = useRef<HTMLImageElement>(null);
  const seen = useRef<HTMLSpanElement>(null);
  const { colormap, threshold, opacity } = state.later;
  const own = found && found.error === undefined ? found : undefined;
  const place = () => {
    const { naturalWidth: width, naturalHeight: height } = image.current as HTMLImageElement;
    if (!own || !seen.current || width === 0) return;
    const { x, y, width: w, height: h } = own.geometry;
    Object.assign(seen.current.style, {
      left: `${(100 * x) / width}%`,
      top: `${(100 * y) / height}%`,
      width: `${(100 * w) / width}%`,
      height: `${(100 * h) / height}%`,
    });
  };
  useLayoutEffect(() => {
    if (heat.current) paintHeat(heat.current, own?.explained.map, { colormap, threshold });
    place();
  }, [own, colormap, threshold]);
  return (
    <span class="tile" style={{ '--opacity': String(opacity) }}>
      <img ref={image} src={picture.url} alt="" loading="lazy" onLoad={place} />
      <span class="seen" ref={seen}>
        <canvas ref={heat} class="heat" />
      </span>
      {found?.error === undefined ? null : <span class="fault">{found.error}</span>}
      {found ? null : <span class="wait" />}
    </span>
  );
}

function caption(found: Found | undefined): string {
  if (!found) return '…';
  if (found.error !== undefined) return 'none';
  const { name, probability, score } = found.explained.target;
  return `${name} ${probability === undefined ? score.toPrecision(3) : `${Math.round(100 * probability)} %`}`;
}

/** Methods that are offered at once: quick, and different from each other. */
const suggested = ['grad-cam', 'layer-cam', 'eigen-cam', 'xgrad-cam', 'grad-cam++', 'hires-cam'];

/** The same picture by several methods. */
export function Methods() {
  const { methods } = state.now;
  const picture = state.picture.value;
  if (!state.model.value || !picture) return null;
  const others = known.filter(({ name }) => !methods.includes(name));
  const remove = (name: string) => state.change({ methods: methods.filter((own) => own !== name) });
  return (
    <section class="panel" aria-labelledby="methods-title">
      <div class="heading">
        <h2 id="methods-title">Methods side by side</h2>
        <span class="suggestions">
          {suggested
            .filter((name) => !methods.includes(name))
            .slice(0, 3)
            .map((name) => (
              <button
                key={name}
                type="button"
                aria-label={`Add ${name}`}
                onClick={() => state.change({ methods: [...methods, name] })}
              >
                + {name}
              </button>
            ))}
          <label class="visually-hidden" for="add-method">
            Add a method
          </label>
          <select
            id="add-method"
            value=""
            onChange={(event) => {
              const { value } = event.currentTarget;
              event.currentTarget.value = '';
              if (value) state.change({ methods: [...methods, value] });
            }}
          >
            <option value="">More…</option>
            {others.map(({ name, formula }) => (
              <option key={name} value={name} title={formula}>
                {name}
              </option>
            ))}
          </select>
        </span>
      </div>
      <ul class="grid" data-testid="methods">
        {methods.map((name, i) => (
          <li key={name} class={i === 0 ? 'chosen' : ''}>
            <button
              type="button"
              class="card"
              aria-pressed={i === 0}
              onClick={() =>
                state.change({
                  methods: [name, ...methods.filter((own) => own !== name)],
                  channel: undefined,
                })
              }
            >
              <Tile
                picture={picture}
                found={work.foundFor(name, picture, state.later, state.restedLayer.value)}
              />
              <span class="label">{name}</span>
            </button>
            {methods.length > 1 ? (
              <button type="button" class="remove" aria-label={`Remove ${name}`} onClick={() => remove(name)}>
                ×
              </button>
            ) : null}
          </li>
        ))}
      </ul>
    </section>
  );
}

/** All pictures, each with its map. */
export function Pictures() {
  const all = state.pictures.value;
  if (all.length < 2) return null;
  const shown = all.slice(0, work.gridSize);
  const { value: own } = state.picture;
  return (
    <section class="panel" aria-labelledby="pictures-title">
      <div class="heading">
        <h2 id="pictures-title">{all.length} pictures</h2>
        {all.length > shown.length ? (
          <label class="choice">
            <span class="visually-hidden">Another picture</span>
            <select value={own?.name} onChange={(event) => open(event.currentTarget.value)}>
              {all.map(({ name }) => (
                <option key={name} value={name}>
                  {name}
                </option>
              ))}
            </select>
          </label>
        ) : null}
      </div>
      <ul class="grid" data-testid="pictures">
        {shown.map((picture) => {
          const found = work.foundFor(state.method.value, picture, state.later, state.restedLayer.value);
          return (
            <li key={picture.name} class={picture === own ? 'chosen' : ''}>
              <button
                type="button"
                class="card"
                aria-pressed={picture === own}
                onClick={() => open(picture.name)}
              >
                <Tile picture={picture} found={found} />
                <span class="label">{picture.name}</span>
                <span class="label soft">{caption(found)}</span>
              </button>
            </li>
          );
        })}
      </ul>
    </section>
  );
}

function open(name: string): void {
  state.change({ picture: name, ...state.ofOnePicture });
  document.querySelector('.frame')?.scrollIntoView({ block: 'nearest', behavior: 'smooth' });
}
