import { render } from 'preact';
import { type Session, sessionFile } from '../session.js';
import { App } from './app.js';
import { openSession } from './opening.js';
import * as state from './state.js';
import { begin } from './work.js';

/** The explorer's page. */
const response = await fetch(new URL(sessionFile, document.baseURI));
if (response.ok) state.session.value = (await response.json()) as Session;
document.documentElement.classList.toggle('reduced', state.session.value.isReduced);
state.followLink();
const root = document.getElementById('app') as HTMLElement;
root.replaceChildren();
render(<App />, root);
begin();
await openSession(state.session.value);
