import { type Colormap, colormaps } from '../../image/colormap.js';
import { isOfLayer } from './found.js';
import * as state from './state.js';

interface RangeProps {
  readonly id: string;
  readonly label: string;
  readonly value: number;
  readonly shown: string;
  readonly onInput: (value: number) => void;
  readonly max?: number;
  readonly step?: number;
  readonly text?: string;
}

/** A slider of the browser's own, with its value beside its name. */
export function Range({ id, label, value, shown, onInput, max = 1, step = 0.01, text }: RangeProps) {
  return (
    <div class="range">
      <label for={id}>{label}</label>
      <output for={id}>{shown}</output>
      <input
        id={id}
        type="range"
        min={0}
        max={max}
        step={step}
        value={value}
        aria-valuetext={text ?? shown}
        onInput={(event) => onInput(Number(event.currentTarget.value))}
      />
    </div>
  );
}

/** The layers, best first, as `gradcampp inspect` ranks them. */
export function LayerSlider() {
  const open = state.model.value;
  if (!open || open.layers.length === 0) return null;
  const name = state.layer.value;
  const at = Math.max(
    0,
    open.layers.findIndex((layer) => layer.name === name),
  );
  const own = open.layers[at];
  const dims = own.dims.slice(1).join(' × ');
  const isOfLayers = isOfLayer(state.method.value);
  return (
    <div class="layers">
      <Range
        id="layer"
        label="Layer"
        value={at}
        max={open.layers.length - 1}
        step={1}
        shown={`${at + 1} of ${open.layers.length}`}
        text={`${own.name}, rank ${at + 1} of ${open.layers.length}`}
        onInput={(index) =>
          state.change({ layer: open.layers[index].name, channel: undefined, at: undefined })
        }
      />
      <p class="layer-name">
        <code>{own.name}</code>{' '}
        <span class="soft">
          {own.opType}, {dims}
        </span>
        {at === 0 ? <span class="tag">best</span> : null}
        {own.name === open.facts.layers[0] ? (
          <span class="tag">{open.facts.layerIsAutomatic ? 'automatic' : 'the sidecar’s'}</span>
        ) : null}
      </p>
      {isOfLayers ? null : (
        <p class="hint">{state.method.value} looks at the picture itself: all layers have one map.</p>
      )}
    </div>
  );
}

/** How the map is drawn: nothing is computed for it. */
export function View() {
  const { opacity, threshold, swipe, colormap, boxes } = state.now;
  const percent = (value: number) => `${Math.round(100 * value)} %`;
  return (
    <section class="view" aria-label="How the map is drawn">
      <Range
        id="opacity"
        label="Opacity"
        value={opacity}
        shown={percent(opacity)}
        onInput={(value) => state.change({ opacity: value })}
      />
      <Range
        id="threshold"
        label="Threshold"
        value={threshold}
        max={0.95}
        shown={threshold.toFixed(2)}
        onInput={(value) => state.change({ threshold: value })}
      />
      <Range
        id="swipe"
        label="Swipe"
        value={swipe}
        shown={percent(swipe)}
        onInput={(value) => state.change({ swipe: value })}
      />
      <div class="choice">
        <label for="colormap">Colours</label>
        <select
          id="colormap"
          value={colormap}
          onChange={(event) => state.change({ colormap: event.currentTarget.value as Colormap })}
        >
          {colormaps.map((name) => (
            <option key={name} value={name}>
              {name}
            </option>
          ))}
        </select>
        <label class="check">
          <input
            type="checkbox"
            checked={boxes}
            onChange={(event) => state.change({ boxes: event.currentTarget.checked })}
          />{' '}
          Region boxes
        </label>
      </div>
    </section>
  );
}

/** What a click does. */
export function Tools() {
  const kind = Object(state.model.value?.facts.defaultTarget).kind as string | undefined;
  const canPick = kind === 'detection' || kind === 'segmentation';
  const tools = [
    ['look', 'Look'],
    ...(canPick ? [['pick', 'Pick an object']] : []),
    ['brush', 'Brush'],
  ] as const;
  return (
    <fieldset class="tools">
      <legend class="visually-hidden">What a click does</legend>
      {tools.map(([name, label]) => (
        <label key={name} class="tool">
          <input
            type="radio"
            name="tool"
            class="visually-hidden"
            checked={state.tool.value === name}
            onChange={() => {
              state.tool.value = name as 'look';
            }}
          />
          <span>{label}</span>
        </label>
      ))}
    </fieldset>
  );
}
