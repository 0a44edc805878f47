import { signal } from '@preact/signals';
import { regionBoxes, cellAt } from './stage.js';
import * as state from './state.js';
import * as work from './work.js';

const tableIsOpen = signal(false);

/** Values, channels and regions of what is shown. */
export function Inspector() {
  const { at: pinned, channel, boxes } = state.now;
  const pointer = state.pointer.value;
  const at = (pointer && cellAt(pointer)) ?? pinned;
  const place = pointer ? ([pointer.x, pointer.y] as const) : at && work.centreOf(at);
  const values = place && work.valuesAt(place);
  const strong = at ? work.strongestAt(at) : [];
  const most = strong[0]?.value ?? 1;
  const sum = strong.reduce((total, { value }) => total + value, 0);
  const grid = work.grid.value;
  return (
    <section class="panel" aria-labelledby="inspector-title">
      <h2 id="inspector-title">{pointer ? 'Under the pointer' : 'At the cursor'}</h2>
      <dl class="facts" data-testid="values">
        <div>
          <dt>Map</dt>
          <dd>{values ? values.value.toFixed(3) : '–'}</dd>
        </div>
        <div>
          <dt>Raw</dt>
          <dd>{values?.raw === undefined ? '–' : values.raw.toPrecision(3)}</dd>
        </div>
        <div>
          <dt>Cell</dt>
          <dd>{at && grid ? `${at[0] + 1}, ${at[1] + 1}` : '–'}</dd>
        </div>
        <div>
          <dt>Pixel</dt>
          <dd>{place ? `${Math.floor(place[0])}, ${Math.floor(place[1])}` : '–'}</dd>
        </div>
      </dl>
      <h3>Strongest channels</h3>
      {strong.length > 0 ? (
        <ol class="rows channels" aria-label="Strongest channels here">
          {strong.map((one) => (
            <li key={one.channel}>
              <button
                type="button"
                class="row"
                aria-pressed={channel === one.channel}
                style={{ '--share': String(one.value / most) }}
                onClick={() =>
                  state.change({ channel: channel === one.channel ? undefined : one.channel, at })
                }
              >
                <span class="name">channel {one.channel}</span>
                <span class="value">{((100 * one.value) / sum).toFixed(0)} %</span>
              </button>
            </li>
          ))}
        </ol>
      ) : (
        <p class="hint">
          {work.layerInside.value
            ? at
              ? 'None speaks for it here.'
              : 'Point at a place of the picture.'
            : 'They come with the next moment of calm.'}
        </p>
      )}
      {strong.length > 0 ? (
        <p class="hint">
          By {work.weighing.value}; shares of these {strong.length}.
        </p>
      ) : null}
      {channel === undefined ? null : (
        <button type="button" onClick={() => state.change({ channel: undefined })}>
          All channels again
        </button>
      )}
      {boxes ? <Regions /> : null}
      <MapTable />
    </section>
  );
}

function Regions() {
  const all = work.regionsShown.value;
  const boxes = regionBoxes();
  const total = all.reduce((sum, { mass }) => sum + mass, 0);
  return (
    <details open>
      <summary>
        {all.length === 1 ? '1 region' : `${all.length} regions`} above {state.now.threshold.toFixed(2)}
      </summary>
      <div class="scroll">
        <table data-testid="regions">
          <thead>
            <tr>
              <th scope="col">x, y</th>
              <th scope="col">size</th>
              <th scope="col">share</th>
            </tr>
          </thead>
          <tbody>
            {boxes.slice(0, 12).map((box, i) => (
              <tr key={i}>
                <td>
                  {Math.round(box.x)}, {Math.round(box.y)}
                </td>
                <td>
                  {Math.round(box.width)} × {Math.round(box.height)}
                </td>
                <td>{((100 * all[i].mass) / total).toFixed(0)} %</td>
              </tr>
            ))}
          </tbody>
        </table>
      </div>
    </details>
  );
}

/** The picture's map in numbers, a cell of the layer each. */
function MapTable() {
  const grid = work.grid.value;
  const map = work.shownMap.value;
  if (!grid || !map) return null;
  const cells = (row: number) =>
    Array.from(
      { length: grid.columns },
      (_, column) => work.valuesAt(work.centreOf([column, row]))?.value ?? 0,
    );
  return (
    <details
      onToggle={(event) => {
        tableIsOpen.value = (event.currentTarget as HTMLDetailsElement).open;
      }}
    >
      <summary>The map as a table</summary>
      {tableIsOpen.value ? (
        <div class="scroll" tabIndex={0} role="region" aria-label="The map as a table">
          <table class="numbers">
            <thead>
              <tr>
                <th scope="col">row</th>
                {Array.from({ length: grid.columns }, (_, column) => (
                  <th key={column} scope="col">
                    {column + 1}
                  </th>
                ))}
              </tr>
            </thead>
            <tbody>
              {Array.from({ length: grid.rows }, (_, row) => (
                <tr key={row}>
                  <th scope="row">{row + 1}</th>
                  {cells(row).map((value, column) => (
                    <td key={column}>{value.toFixed(2)}</td>
                  ))}
                </tr>
              ))}
            </tbody>
          </table>
        </div>
      ) : null}
    </details>
  );
}
