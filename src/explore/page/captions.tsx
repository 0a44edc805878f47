import { useRef, useState } from 'preact/hooks';
import * as state from './state.js';
import * as work from './work.js';

const percent = (log: number) => `${(100 * Math.exp(log)).toFixed(log < -2.3 ? 1 : 0)} %`;

/** What was said of the picture, under it: the map is that of the word that has the focus. */
export function Words() {
  const list = useRef<HTMLDivElement>(null);
  const said = work.said.value;
  if (!state.model.value?.captioner || !said || said.error !== undefined) return null;
  const { word } = state.now;
  const { tokens } = said;
  const choose = (to: number | undefined) => state.change({ word: to, channel: undefined });
  const onKeyDown = (event: KeyboardEvent) => {
    const at = word === undefined ? 0 : word + 1;
    const moves: Record<string, number> = {
      ArrowLeft: at - 1,
      ArrowRight: at + 1,
      Home: 0,
      End: tokens.length,
    };
    const to = moves[event.key];
    if (to === undefined || to < 0 || to > tokens.length) return;
    event.preventDefault();
    list.current?.querySelectorAll('button')[to].focus();
  };
  return (
    <div
      class="words"
      ref={list}
      role="toolbar"
      aria-label="The caption, word by word"
      data-testid="words"
      onKeyDown={onKeyDown}
    >
      <button
        type="button"
        class="word whole"
        aria-pressed={word === undefined}
        tabIndex={word === undefined ? 0 : -1}
        onFocus={() => choose(undefined)}
        onClick={() => choose(undefined)}
      >
        all
      </button>
      {tokens.map(({ token, continues, logProbability }, i) => (
        <button
          key={i}
          type="button"
          class={`word ${continues ? 'continues' : ''}`}
          aria-pressed={word === i}
          tabIndex={word === i ? 0 : -1}
          title={percent(logProbability)}
          style={{ '--share': String(Math.exp(logProbability)) }}
          onFocus={() => choose(i)}
          onClick={() => choose(i)}
        >
          {token}
        </button>
      ))}
    </div>
  );
}

/** The word that is explained, and another caption. */
export function Caption() {
  const [typed, setTyped] = useState<string | undefined>(undefined);
  const captioner = state.model.value?.captioner;
  if (!captioner) return null;
  const { text, word } = state.now;
  const said = work.said.value;
  const explained = work.explained.value?.target;
  return (
    <section class="panel" aria-labelledby="caption-title">
      <h2 id="caption-title">What is explained</h2>
      <p class="explained" data-testid="explained">
        {explained ? (
          <>
            <strong>{explained.name}</strong>
            <span>
              {`${(100 * (explained.probability ?? 0)).toFixed(1)} %${word === undefined ? ' a word' : ''}`}
            </span>
          </>
        ) : (
          '–'
        )}
      </p>
      {said?.error === undefined ? null : (
        <p class="alert" role="alert">
          {said.error}
        </p>
      )}
      {text === '' ? null : (
        <button
          type="button"
          class="quiet"
          onClick={() => {
            setTyped(undefined);
            state.change({ text: '', word: undefined });
          }}
        >
          Back to what the network says
        </button>
      )}
      {captioner.hasWords ? (
        <form
          class="own-caption"
          onSubmit={(event) => {
            event.preventDefault();
            state.change({ text: (typed ?? text).trim(), word: undefined, channel: undefined });
          }}
        >
          <label for="caption">Another caption, also one that it would not say</label>
          <input
            id="caption"
            type="text"
            value={typed ?? text}
            placeholder={said?.text}
            onInput={(event) => setTyped(event.currentTarget.value)}
          />
        </form>
      ) : null}
    </section>
  );
}
