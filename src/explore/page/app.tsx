import { useEffect, useRef, useState } from 'preact/hooks';
import { Brush } from './brush.js';
import { Caption, Words } from './captions.js';
import { Classes } from './classes.js';
import { LayerSlider, Tools, View } from './controls.js';
import { Methods, Pictures } from './grids.js';
import { Inspector } from './inspector.js';
import { takeFiles } from './opening.js';
import { Outputs } from './outputs.js';
import { Stage } from './stage.js';
import * as state from './state.js';

const themes = ['', 'light', 'dark'] as const;

/** The whole page. */
export function App() {
  const [isOver, setIsOver] = useState(false);
  useEffect(() => {
    const over = (event: DragEvent) => {
      event.preventDefault();
      setIsOver(event.type === 'dragover');
    };
    const drop = (event: DragEvent) => {
      over(event);
      void takeFiles([...(event.dataTransfer?.files ?? [])]);
    };
    addEventListener('dragover', over);
    addEventListener('dragleave', over);
    addEventListener('drop', drop);
    return () => {
      removeEventListener('dragover', over);
      removeEventListener('dragleave', over);
      removeEventListener('drop', drop);
    };
  }, []);
  const status = state.status.value;
  const isShown = state.picture.value !== undefined;
  return (
    <div class={`page ${isOver ? 'over' : ''}`}>
      <a class="skip" href="#stage">
        Skip to the picture
      </a>
      <Header />
      <p class="visually-hidden" role="status" aria-live="polite">
        {state.spoken.value}
      </p>
      {status.kind === 'failed' ? (
        <p class="alert" role="alert">
          {status.message}
        </p>
      ) : null}
      {state.problem.value ? (
        <p class="alert" role="alert">
          {state.problem.value}
        </p>
      ) : null}
      <main id="stage" class={isShown ? 'desk' : ''}>
        {isShown ? (
          <>
            <div class="panel bare stage-panel">
              <div class="heading">
                <Tools />
                <Busy />
              </div>
              <Stage />
              <Words />
              <LayerSlider />
              <View />
            </div>
            <div class="side left">
              {state.model.value?.captioner ? <Caption /> : <Classes />}
              {state.model.value ? null : <NoModel />}
            </div>
            <div class="side right">
              <Inspector />
              <Brush />
              <Outputs />
            </div>
            <div class="more">
              <Methods />
              <Pictures />
            </div>
          </>
        ) : (
          <Welcome />
        )}
      </main>
    </div>
  );
}

function Busy() {
  const { share, kind } = { share: undefined, ...state.status.value };
  const isBusy = state.isBusy.value || kind === 'opening';
  return (
    <p class="busy" data-busy={isBusy || state.rested.value !== state.settings.value}>
      {kind === 'opening'
        ? `Opening${share === undefined ? '' : ` ${Math.round(100 * share)} %`}…`
        : isBusy
          ? 'Computing…'
          : ''}
    </p>
  );
}

function Header() {
  const [theme, setTheme] = useState(0);
  const open = state.model.value;
  const status = state.status.value;
  const next = () => {
    const to = (theme + 1) % themes.length;
    setTheme(to);
    document.documentElement.dataset.theme = themes[to];
  };
  const notes = open?.facts.notes ?? [];
  return (
    <header class="top">
      <h1>
        gradcampp <span>explorer</span>
      </h1>
      <div class="model" data-testid="model">
        {open ? (
          <>
            <strong>{open.name}</strong>
            <span class="soft">
              {open.facts.provider === 'webgpu' ? 'on the GPU' : 'on the CPU'}
              {open.facts.classes ? `, ${open.facts.classes.length} classes` : ''}
            </span>
          </>
        ) : (
          <span class="soft">
            {status.kind === 'opening' ? `Opening ${status.what}…` : 'No model is open'}
          </span>
        )}
        {notes.length > 0 ? (
          <details class="notes">
            <summary>{notes.length === 1 ? '1 note' : `${notes.length} notes`}</summary>
            <ul>
              {notes.map((note) => (
                <li key={note}>{note}</li>
              ))}
            </ul>
          </details>
        ) : null}
      </div>
      <Choose label={state.session.value.isReduced ? 'Open a picture…' : 'Open files…'} />
      <button
        type="button"
        class="theme"
        onClick={next}
        aria-label={`Colours: ${['as the system', 'light', 'dark'][theme]}`}
        title="Light or dark"
      >
        ◐
      </button>
    </header>
  );
}

/** Files of the user's own. */
function Choose({ label, isMain = false }: { readonly label: string; readonly isMain?: boolean }) {
  const input = useRef<HTMLInputElement>(null);
  return (
    <>
      <button type="button" class={isMain ? 'main' : ''} onClick={() => input.current?.click()}>
        {label}
      </button>
      <input
        ref={input}
        type="file"
        multiple
        hidden
        aria-label={label}
        onChange={async (event) => {
          const own = event.currentTarget;
          await takeFiles([...(own.files ?? [])]);
          own.value = '';
        }}
      />
    </>
  );
}

function Welcome() {
  const { model, picture } = state.now;
  const open = state.model.value;
  return (
    <div class="welcome">
      <div class="drop">
        <h2>{open ? 'Now a picture' : 'See where a network looks'}</h2>
        <p>
          {open
            ? 'Drop pictures here, or choose them.'
            : 'Drop an ONNX model and pictures here; with them its JSON sidecar, if it has one, and files in which it keeps its weights. Of a captioner: encoder, decoder and tokenizer.'}
        </p>
        <Choose label="Choose files…" isMain />
        <p class="hint">They stay in this browser: nothing leaves the page.</p>
        {(model || picture) && !open ? (
          <p class="hint">
            This link shows{' '}
            {[model, picture]
              .filter(Boolean)
              .map((name) => `“${name}”`)
              .join(' and ')}
            : open them to see it.
          </p>
        ) : null}
      </div>
    </div>
  );
}

function NoModel() {
  const status = state.status.value;
  return (
    <section class="panel">
      <h2>Model</h2>
      <p class="hint">
        {status.kind === 'opening'
          ? `Opening ${status.what}…`
          : 'Drop an ONNX model, with its JSON sidecar, if it has one.'}
      </p>
    </section>
  );
}
