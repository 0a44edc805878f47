import { useState } from 'preact/hooks';
import { encodeNpy, type Region, toPicture } from '../../web/index.js';
import { commandFor } from './command.js';
import { paintAll } from './painting.js';
import { linkOf } from './settings.js';
import { regionBoxes } from './stage.js';
import * as state from './state.js';
import * as work from './work.js';

/** The line for a terminal. */
export function command(): string {
  const { picture, model, settings } = state;
  return commandFor(settings.value, {
    picture: picture.value?.path ?? 'picture.jpg',
    model: model.value?.path ?? 'model.onnx',
    preprocess: model.value?.preprocessPath,
    caption: model.value?.caption?.paths,
  });
}

/** Numbers of what is shown, as results.jsonl names them. */
function facts(): object {
  const { settings, picture, model } = state;
  const explained = work.explained.value;
  const geometry = work.geometry.value;
  const bitmap = work.bitmap.value;
  if (!explained || !geometry) return {};
  const { target, method, layers, settings: own, map, backend, instead } = explained;
  const boxOf = (region: Region) => toPicture(region, map.dims, geometry);
  return {
    model: model.value?.path,
    image: { path: picture.value?.path, width: bitmap?.width, height: bitmap?.height },
    changed:
      settings.value.remap && state.edit.value !== ''
        ? { brush: settings.value.brush, strokes: settings.value.strokes }
        : undefined,
    target,
    caption: model.value?.captioner ? { text: work.said.value?.text, word: settings.value.word } : undefined,
    method,
    instead,
    settings: own,
    layers,
    backend,
    map: {
      dims: map.dims,
      empty: map.empty,
      logScale: map.logScale,
      threshold: settings.value.threshold,
      boxes: work.regionsShown.value.map((region) => ({ ...boxOf(region), mass: region.mass })),
    },
    geometry,
    command: command(),
    link: `#${linkOf(settings.value)}`,
  };
}

async function save(kind: 'png' | 'npy' | 'json'): Promise<void> {
  const map = work.shownMap.value;
  const picture = work.drawn.value;
  const geometry = work.geometry.value;
  if (!map || !picture || !geometry) return;
  const { settings } = state;
  const stem = (state.picture.value?.name ?? 'map').replace(/\.[^.]*$/, '');
  const boxes = settings.value.boxes ? regionBoxes() : [];
  const blob =
    kind === 'png'
      ? await paintAll(picture, map, geometry, settings.value, boxes).convertToBlob({ type: 'image/png' })
      : kind === 'npy'
        ? new Blob([
            encodeNpy({ type: 'float32', dims: map.dims, data: map.data }) as Uint8Array<ArrayBuffer>,
          ])
        : new Blob([`${JSON.stringify(facts(), null, 2)}\n`], { type: 'application/json' });
  const link = document.createElement('a');
  link.href = URL.createObjectURL(blob);
  link.download = `${stem}.${kind}`;
  link.click();
  setTimeout(() => URL.revokeObjectURL(link.href), 10_000);
  state.spoken.value = `Saved ${link.download}.`;
}

/** Everything that leaves the page, where the user takes it. */
export function Outputs() {
  const [copied, setCopied] = useState('');
  const copy = async (what: string, text: string) => {
    await navigator.clipboard.writeText(text).catch(() => {});
    setCopied(what);
    state.spoken.value = `${what} copied.`;
    setTimeout(() => setCopied(''), 2000);
  };
  const isReady = work.explained.value !== undefined;
  const isChanged = state.edit.value !== '' && state.settings.value.remap;
  return (
    <section class="panel" aria-labelledby="outputs-title">
      <h2 id="outputs-title">Take it along</h2>
      <div class="buttons">
        <button type="button" disabled={!isReady} onClick={() => save('png')}>
          PNG
        </button>
        <button type="button" disabled={!isReady} onClick={() => save('npy')}>
          .npy
        </button>
        <button type="button" disabled={!isReady} onClick={() => save('json')}>
          JSON
        </button>
        <button
          type="button"
          onClick={() => copy('Link', location.href.replace(/#.*|$/, `#${linkOf(state.settings.value)}`))}
        >
          {copied === 'Link' ? 'Copied' : 'Copy link'}
        </button>
      </div>
      {state.session.value.isReduced ? null : (
        <>
          <label class="field" for="command">
            Command for the same map
          </label>
          <textarea id="command" class="command" readonly rows={6} value={command()} spellcheck={false} />
          <div class="buttons">
            <button type="button" onClick={() => copy('Command', command())}>
              {copied === 'Command' ? 'Copied' : 'Copy as command'}
            </button>
          </div>
          {isChanged ? (
            <p class="hint">The command explains the picture as it was, without the brush.</p>
          ) : null}
        </>
      )}
    </section>
  );
}
