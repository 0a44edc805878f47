'use strict';
(() => {
  const { study, aspect, items, colors: table } = JSON.parse(document.getElementById('data').textContent);
  const byId = (id) => document.getElementById(id);
  const storageKey = `gradcampp-study-${study}`;
  const bytesOf = (base64) => Uint8Array.from(atob(base64), (character) => character.charCodeAt(0));
  const colors = bytesOf(table);
  for (const frame of document.querySelectorAll('.frame')) frame.style.aspectRatio = aspect;

  /** SHA-256 (FIPS 180-4) of a string's UTF-8, in hexadecimal: crypto.subtle is missing on plain http pages. */
  function sha256(text) {
    const bytes = new TextEncoder().encode(text);
    const words = new Uint32Array(((bytes.length + 72) >> 6) * 16);
    bytes.forEach((byte, i) => (words[i >> 2] |= byte << (24 - (i % 4) * 8)));
    words[bytes.length >> 2] |= 0x80 << (24 - (bytes.length % 4) * 8);
    words[words.length - 2] = Math.floor(bytes.length / 0x20000000);
    words[words.length - 1] = bytes.length << 3;
    const [constants, hash] = roundConstants();
    const turn = (x, n) => (x >>> n) | (x << (32 - n));
    const w = new Uint32Array(64);
    for (let block = 0; block < words.length; block += 16) {
      for (let i = 0; i < 64; i++) {
        if (i < 16) w[i] = words[block + i];
        else {
          const s0 = turn(w[i - 15], 7) ^ turn(w[i - 15], 18) ^ (w[i - 15] >>> 3);
          const s1 = turn(w[i - 2], 17) ^ turn(w[i - 2], 19) ^ (w[i - 2] >>> 10);
          w[i] = w[i - 16] + s0 + w[i - 7] + s1;
        }
      }
      let [a, b, c, d, e, f, g, h] = hash;
      for (let i = 0; i < 64; i++) {
        const t1 = (h + (turn(e, 6) ^ turn(e, 11) ^ turn(e, 25)) + ((e & f) ^ (~e & g)) + constants[i] + w[i]) | 0;
        const t2 = ((turn(a, 2) ^ turn(a, 13) ^ turn(a, 22)) + ((a & b) ^ (a & c) ^ (b & c))) | 0;
        [h, g, f, e, d, c, b, a] = [g, f, e, (d + t1) | 0, c, b, a, (t1 + t2) | 0];
      }
      [a, b, c, d, e, f, g, h].forEach((value, i) => (hash[i] += value));
    }
    return Array.from(hash, (value) => value.toString(16).padStart(8, '0')).join('');
  }

  /** Fractional parts of the cube and square roots of the first primes. */
  function roundConstants() {
    const constants = new Uint32Array(64);
    const hash = new Uint32Array(8);
    const isPrime = (n) => {
      for (let d = 2; d * d <= n; d++) if (n % d === 0) return false;
      return true;
    };
    const fraction = (x) => (x - Math.floor(x)) * 0x100000000;
    for (let n = 2, i = 0; i < 64; n++) {
      if (!isPrime(n)) continue;
      if (i < 8) hash[i] = fraction(Math.sqrt(n));
      constants[i++] = fraction(Math.cbrt(n));
    }
    return [constants, hash];
  }

  /** mulberry32: each subject's order and sides follow from the study and the subject's code. */
  function randomFrom(text) {
    let state = Number.parseInt(sha256(text).slice(0, 8), 16);
    return () => {
      state = (state + 0x6d2b79f5) | 0;
      let t = Math.imul(state ^ (state >>> 15), 1 | state);
      t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t;
      return ((t ^ (t >>> 14)) >>> 0) / 4294967296;
    };
  }

  function planFor(subject) {
    const random = randomFrom(`${study} ${subject}`);
    const plan = items.map((_, i) => i);
    for (let i = plan.length - 1; i > 0; i--) {
      const j = Math.floor(random() * (i + 1));
      [plan[i], plan[j]] = [plan[j], plan[i]];
    }
    return plan.map((item) => ({ item, first: random() < 0.5 ? 'a' : 'b' }));
  }

  let subject = '';
  let plan = [];
  /** By item id: { first, choice, seconds }. */
  let answers = {};
  let at = 0;
  let shownAt = 0;
  let canStore = true;

  function store() {
    try {
      localStorage.setItem(storageKey, JSON.stringify({ subject, answers }));
    } catch {
      canStore = false;
    }
  }

  function restore() {
    try {
      const stored = JSON.parse(localStorage.getItem(storageKey));
      if (!stored) return;
      byId('subject').value = stored.subject;
      const count = Object.keys(stored.answers).length;
      byId('stored').textContent = `${count} of ${items.length} pictures are answered already in this browser.`;
      return stored;
    } catch {
      byId('stored').textContent = 'This browser keeps nothing: please answer all pictures in one go.';
    }
  }

  function drawMap(canvas, { width: w, data }) {
    const values = bytesOf(data);
    const h = values.length / w;
    canvas.width = 240;
    canvas.height = Math.round(240 / aspect);
    const context = canvas.getContext('2d');
    const image = context.createImageData(canvas.width, canvas.height);
    const place = (i, from, to) => Math.min(Math.max(((i + 0.5) * from) / to - 0.5, 0), from - 1);
    for (let y = 0, o = 0; y < canvas.height; y++) {
      const v = place(y, h, canvas.height);
      const [top, bottom] = [Math.floor(v), Math.min(Math.floor(v) + 1, h - 1)];
      for (let x = 0; x < canvas.width; x++, o += 4) {
        const u = place(x, w, canvas.width);
        const [left, right] = [Math.floor(u), Math.min(Math.floor(u) + 1, w - 1)];
        const upper = values[top * w + left] + (u - left) * (values[top * w + right] - values[top * w + left]);
        const lower = values[bottom * w + left] + (u - left) * (values[bottom * w + right] - values[bottom * w + left]);
        const color = Math.round(upper + (v - top) * (lower - upper)) * 3;
        image.data.set([colors[color], colors[color + 1], colors[color + 2], 255], o);
      }
    }
    context.putImageData(image, 0, 0);
    return describe(values, w, h);
  }

  /** What a map shows, in words, for those who cannot see it. */
  function describe(values, w, h) {
    let peak = 0;
    let marked = 0;
    values.forEach((value, i) => {
      if (value > values[peak]) peak = i;
      if (value >= 128) marked++;
    });
    if (values[peak] === 0) return 'Marks nothing.';
    const third = (place, length) => Math.min(2, Math.floor((3 * (place + 0.5)) / length));
    const row = ['top', 'middle', 'bottom'][third(Math.floor(peak / w), h)];
    const column = ['left', 'centre', 'right'][third(peak % w, w)];
    return `Strongest at the ${row} ${column}; marks ${Math.round((100 * marked) / values.length)} percent of the picture.`;
  }

  function show() {
    const finished = at >= plan.length;
    byId('intro').hidden = true;
    byId('task').hidden = finished;
    byId('end').hidden = !finished;
    if (finished) return finish();
    const { item: index, first } = plan[at];
    const item = items[index];
    const second = first === 'a' ? 'b' : 'a';
    byId('progress').textContent = `Picture ${at + 1} of ${plan.length}`;
    byId('bar').value = Object.keys(answers).length;
    byId('question').textContent = `The computer was asked where it sees “${item.class}”. Which map makes you trust it more?`;
    byId('picture').src = item.picture;
    byId('picture').alt = `The picture: ${item.class}`;
    const answer = answers[item.id];
    for (const [id, token] of [
      ['first', first],
      ['second', second],
    ]) {
      const button = byId(id);
      button.querySelector('img').src = item.picture;
      byId(`${id}-text`).textContent = drawMap(button.querySelector('canvas'), item[token]);
      button.setAttribute('aria-pressed', String(answer?.choice === token));
    }
    byId('same').setAttribute('aria-pressed', String(answer?.choice === 'same'));
    byId('back').disabled = at === 0;
    byId('question').focus({ preventScroll: true });
    shownAt = performance.now();
  }

  function choose(what) {
    const { item, first } = plan[at];
    const choice = what === 'same' ? 'same' : (what === 'first') === (first === 'a') ? 'a' : 'b';
    const seconds = Math.round((performance.now() - shownAt) / 100) / 10;
    answers[items[item].id] = { first, choice, seconds };
    store();
    at++;
    show();
  }

  function result() {
    const unsigned = {
      format: 'gradcampp-study-answers/1',
      study,
      subject,
      answers: plan
        .filter(({ item }) => answers[items[item].id])
        .map(({ item }) => ({ item: items[item].id, ...answers[items[item].id] })),
    };
    return JSON.stringify({ ...unsigned, checksum: sha256(JSON.stringify(unsigned)) });
  }

  function finish() {
    byId('text').value = result();
    byId('thanks').focus();
    if (!canStore) byId('saved').textContent = 'This browser keeps nothing: save the file before you close the page.';
  }

  byId('start').addEventListener('submit', (event) => {
    event.preventDefault();
    const given = byId('subject').value.trim();
    subject = given || `s-${crypto.getRandomValues(new Uint32Array(2)).join('-')}`;
    answers = stored && stored.subject === subject ? stored.answers : {};
    plan = planFor(subject);
    at = plan.findIndex(({ item }) => !answers[items[item].id]);
    if (at < 0) at = plan.length;
    store();
    show();
  });
  byId('first').addEventListener('click', () => choose('first'));
  byId('second').addEventListener('click', () => choose('second'));
  byId('same').addEventListener('click', () => choose('same'));
  const back = () => {
    if (at === 0) return;
    at--;
    show();
  };
  byId('back').addEventListener('click', back);
  byId('review').addEventListener('click', back);
  byId('save').addEventListener('click', () => {
    const link = document.createElement('a');
    link.href = `data:application/json;charset=utf-8,${encodeURIComponent(result())}`;
    link.download = `answers-${subject.replaceAll(/[^\w-]+/g, '_')}.json`;
    link.click();
    byId('saved').textContent = `Saved as ${link.download}.`;
  });
  document.addEventListener('keydown', (event) => {
    if (byId('task').hidden || event.ctrlKey || event.metaKey || event.altKey || event.repeat) return;
    const what = { 1: 'first', 2: 'second', 0: 'same' }[event.key];
    if (what) choose(what);
    else if (event.key === 'ArrowLeft' || event.key === 'Backspace') back();
    else return;
    event.preventDefault();
  });

  const stored = restore();
})();
