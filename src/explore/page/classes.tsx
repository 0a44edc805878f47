import { computed } from '@preact/signals';
import { useState } from 'preact/hooks';
import type { Scores } from './found.js';
import * as state from './state.js';
import { contrastOf } from './targets.js';
import * as work from './work.js';

/** Classes that are listed at a time. */
const mostListed = 60;
const topCount = 8;

interface Row {
  readonly index: number;
  readonly name: string;
  readonly score: number | undefined;
  readonly probability: number | undefined;
  readonly change: number | undefined;
}

const rows = computed((): Row[] => {
  const { classes, defaultTarget } = state.model.value?.facts ?? {};
  const before = work.before.value;
  const now = work.after.value ?? before;
  const isOfObjects = Object(defaultTarget).kind === 'detection'; // where one score is that of an object
  const isOfClasses = now?.scoreDims.length === 1 && now.scoreDims[0] > 1 && !isOfObjects;
  const count = isOfClasses ? now.scores.length : (classes?.length ?? 0);
  const worth = (own: Scores | undefined, index: number) => own?.probabilities?.[index] ?? own?.scores[index];
  return Array.from({ length: count }, (_, index) => ({
    index,
    name: classes?.[index]?.name ?? String(index),
    score: isOfClasses ? now.scores[index] : undefined,
    probability: isOfClasses ? now.probabilities?.[index] : undefined,
    change:
      isOfClasses && work.after.value && before
        ? (worth(now, index) as number) - (worth(before, index) as number)
        : undefined,
  }));
});
/** The same, best first. */
const ranked = computed(() => rows.value.toSorted((a, b) => (b.score ?? 0) - (a.score ?? 0)));

const percent = (value: number) => `${(100 * value).toFixed(value < 0.0995 ? 1 : 0)} %`;

/** What is explained: classes as the network says them, best first, or those that a search finds. */
export function Classes() {
  const [search, setSearch] = useState('');
  const [typed, setTyped] = useState<string | undefined>(undefined);
  const open = state.model.value;
  if (!open) return null;
  const all = rows.value;
  const { target } = state.now;
  const { own, rival } = contrastOf(target);
  const explained = work.explained.value?.target;
  const chosen = explained?.class === undefined ? own : String(explained.class);
  const wanted = search.trim().toLowerCase();
  const best = ranked.value;
  const matches = wanted
    ? best.filter(({ name, index }) => name.toLowerCase().includes(wanted) || String(index) === wanted)
    : best;
  const shown = matches.slice(0, wanted ? mostListed : topCount);
  for (const index of [chosen, rival])
    if (!wanted && index !== undefined && !shown.some((row) => String(row.index) === index)) {
      const row = all[Number(index)];
      if (row) shown.push(row);
    }
  const explain = (text: string) => state.change({ target: text, channel: undefined });
  const most = Math.max(...shown.map(({ score }) => Math.abs(score ?? 0)), 1e-9);
  return (
    <section class="panel classes" aria-labelledby="classes-title">
      <h2 id="classes-title">What is explained</h2>
      <p class="explained" data-testid="explained">
        {explained ? (
          <>
            <strong>{explained.name}</strong>
            <span>
              {explained.probability === undefined
                ? `score ${explained.score.toPrecision(4)}`
                : percent(explained.probability)}
            </span>
          </>
        ) : (
          '–'
        )}
      </p>
      {target === '' ? null : (
        <button type="button" class="quiet" onClick={() => explain('')}>
          Back to what the network says
        </button>
      )}
      <Objects />
      {all.length > 0 ? (
        <>
          <label class="visually-hidden" for="class-search">
            Search classes
          </label>
          <input
            id="class-search"
            type="search"
            placeholder={`Search ${all.length} classes`}
            value={search}
            onInput={(event) => setSearch(event.currentTarget.value)}
            onKeyDown={(event) => {
              if (event.key === 'Enter' && shown[0]) explain(String(shown[0].index));
            }}
          />
          <p class="visually-hidden" aria-live="polite">
            {wanted ? `${matches.length} classes found` : ''}
          </p>
          <ol class="rows" aria-label={wanted ? 'Classes found' : 'Best classes'}>
            {shown.map((row) => {
              const isChosen = String(row.index) === chosen;
              const isRival = String(row.index) === rival;
              const value =
                row.probability ?? (row.score === undefined ? undefined : Math.max(row.score, 0) / most);
              return (
                <li key={row.index} class={isRival ? 'rival' : ''}>
                  <button
                    type="button"
                    class="row"
                    aria-pressed={isChosen}
                    onClick={() => explain(String(row.index))}
                    style={{ '--share': String(value ?? 0) }}
                  >
                    <span class="name">{row.name}</span>
                    {row.change === undefined || Math.abs(row.change) < 0.0005 ? null : (
                      <span class={`delta ${row.change < 0 ? 'less' : 'more'}`}>
                        {row.change < 0 ? '−' : '+'}
                        {row.probability === undefined
                          ? Math.abs(row.change).toFixed(2)
                          : percent(Math.abs(row.change))}
                      </span>
                    )}
                    <span class="value">
                      {row.probability === undefined ? row.score?.toFixed(2) : percent(row.probability)}
                    </span>
                  </button>
                  {row.score === undefined || isChosen ? null : (
                    <button
                      type="button"
                      class="against"
                      aria-pressed={isRival}
                      aria-label={`vs ${row.name}`}
                      title="What tells the explained class from this one"
                      onClick={() => explain(isRival ? own : `contrast:${chosen}:rivals=${row.index}`)}
                    >
                      vs
                    </button>
                  )}
                </li>
              );
            })}
          </ol>
          {matches.length > shown.length && wanted ? (
            <p class="hint">{matches.length - shown.length} more; go on typing.</p>
          ) : null}
        </>
      ) : null}
      {state.session.value.isReduced ? null : (
        <details>
          <summary>Another target</summary>
          <form
            onSubmit={(event) => {
              event.preventDefault();
              if (typed !== undefined) explain(typed.trim());
            }}
          >
            <label for="target">
              As <code>--target</code> takes it
            </label>
            <input
              id="target"
              type="text"
              placeholder="contrast:3:nearest=2"
              value={typed ?? target}
              onInput={(event) => setTyped(event.currentTarget.value)}
              spellcheck={false}
            />
          </form>
        </details>
      )}
    </section>
  );
}

/** What a detector has found. */
function Objects() {
  const all = work.objectBoxes();
  if (all.length === 0) return null;
  return (
    <ol class="rows objects" aria-label="Objects">
      {all.map((object, i) => (
        <li key={i}>
          <button
            type="button"
            class="row"
            aria-pressed={object.isChosen}
            style={{ '--share': String(object.probability ?? 0) }}
            onClick={() => work.chooseObject(object)}
          >
            <span class="name">{object.name}</span>
            <span class="value">{object.probability === undefined ? '' : percent(object.probability)}</span>
          </button>
        </li>
      ))}
    </ol>
  );
}
