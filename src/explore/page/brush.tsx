import { effect, signal } from '@preact/signals';
import { useEffect, useRef } from 'preact/hooks';
import uPlot from 'uplot';
import { Range } from './controls.js';
import type { Scores } from './found.js';
import { touched } from './painting.js';
import * as state from './state.js';
import * as work from './work.js';

/** A score of the explained class, and how much of the picture was painted then, in percent. */
interface Point {
  readonly share: number;
  readonly value: number;
}

const points = signal<readonly Point[]>([]);

/** What the explained class has, as a probability where there is one. */
function worthOf(scores: Scores | undefined): number | undefined {
  const index = state.model.value?.captioner
    ? (state.now.word ?? -1) + 1
    : work.explained.value?.target.class;
  if (!scores || index === undefined || scores.scoreDims.length !== 1) return undefined;
  return scores.probabilities?.[index] ?? scores.scores[index];
}

effect(() => {
  const bitmap = work.bitmap.value;
  const { strokes } = state.now;
  const first = worthOf(work.before.value);
  const value = worthOf(work.after.value);
  if (strokes.length === 0 || !bitmap || first === undefined) {
    if (points.peek().length > 0) points.value = [];
    return;
  }
  if (value === undefined) return;
  const share = 100 * touched(bitmap, strokes);
  const before = points.peek().filter((point) => point.share < share);
  points.value = [...(before.length > 0 ? before : [{ share: 0, value: first }]), { share, value }];
});

/** Takes parts of the picture away, and says what the network then thinks. */
export function Brush() {
  const { strokes, brush, remap, size } = state.now;
  const first = worthOf(work.before.value);
  const now = worthOf(work.after.value);
  const isProbability = work.before.value?.probabilities !== undefined;
  const shown = (value: number | undefined) =>
    value === undefined ? '–' : isProbability ? `${(100 * value).toFixed(1)} %` : value.toFixed(2);
  return (
    <section class="panel" aria-labelledby="brush-title">
      <h2 id="brush-title">Brush</h2>
      {state.tool.value === 'brush' || strokes.length > 0 ? (
        <>
          <fieldset class="tools wide">
            <legend class="visually-hidden">What the brush does</legend>
            {(['delete', 'keep'] as const).map((mode) => (
              <label key={mode} class="tool">
                <input
                  type="radio"
                  name="brush"
                  class="visually-hidden"
                  checked={brush === mode}
                  onChange={() => state.change({ brush: mode })}
                />
                <span>{mode === 'delete' ? 'Delete what I paint' : 'Keep only that'}</span>
              </label>
            ))}
          </fieldset>
          <Range
            id="brush-size"
            label="Size"
            value={size}
            max={0.4}
            shown={`${Math.round(100 * size)} %`}
            onInput={(value) => state.change({ size: Math.max(0.01, value) })}
          />
          <p class="verdict" data-testid="verdict" aria-live="polite">
            {work.explained.value?.target.name}: {shown(first)}
            {strokes.length > 0 ? (
              <>
                {' '}
                → <strong>{shown(now)}</strong>
              </>
            ) : null}
          </p>
          {points.value.length > 1 ? <Chart /> : null}
          <label class="check">
            <input
              type="checkbox"
              checked={remap}
              onChange={(event) => state.change({ remap: event.currentTarget.checked })}
            />{' '}
            Map of the changed picture
          </label>
          <div class="buttons">
            <button
              type="button"
              disabled={strokes.length === 0}
              onClick={() => state.change({ strokes: strokes.slice(0, -1) })}
            >
              Undo
            </button>
            <button
              type="button"
              disabled={strokes.length === 0}
              onClick={() => state.change({ strokes: [], remap: false })}
            >
              Clear
            </button>
          </div>
        </>
      ) : (
        <>
          <p class="hint">Take away what you think matters, and see what the network then says.</p>
          <button
            type="button"
            onClick={() => {
              state.tool.value = 'brush';
            }}
          >
            Take the brush
          </button>
        </>
      )}
    </section>
  );
}

/** The score against the painted share of the picture. */
function Chart() {
  const holder = useRef<HTMLDivElement>(null);
  const plot = useRef<uPlot | undefined>(undefined);
  const data: uPlot.AlignedData = [
    points.value.map(({ share }) => share),
    points.value.map(({ value }) => value),
  ];
  useEffect(() => {
    const element = holder.current as HTMLDivElement;
    const colour = (name: string) => getComputedStyle(element).getPropertyValue(name);
    const axis = () => ({
      stroke: colour('color'),
      grid: { stroke: 'rgba(128,128,128,.2)', width: 1 },
      ticks: { show: false },
      font: '11px system-ui',
    });
    plot.current = new uPlot(
      {
        width: element.clientWidth,
        height: 130,
        legend: { show: false },
        cursor: { show: false },
        scales: { x: { time: false } },
        axes: [
          { ...axis(), size: 24, values: (_, all) => all.map((value) => `${value} %`) },
          { ...axis(), size: 40 },
        ],
        series: [{}, { stroke: colour('outline-color'), width: 2, points: { size: 5 } }],
      },
      data,
      element,
    );
    return () => plot.current?.destroy();
  }, []);
  useEffect(() => plot.current?.setData(data), [points.value]);
  return (
    <>
      <div class="chart" ref={holder} aria-hidden="true" />
      <details>
        <summary>The curve as a table</summary>
        <div class="scroll">
          <table>
            <thead>
              <tr>
                <th scope="col">painted</th>
                <th scope="col">score</th>
              </tr>
            </thead>
            <tbody>
              {points.value.map(({ share, value }) => (
                <tr key={share}>
                  <td>{share.toFixed(1)} %</td>
                  <td>{value.toFixed(3)}</td>
                </tr>
              ))}
            </tbody>
          </table>
        </div>
      </details>
    </>
  );
}
