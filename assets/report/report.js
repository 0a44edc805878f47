'use strict';
(() => {
  const root = document.documentElement;
  const theme = document.getElementById('theme');
  const themes = [
    ['', 'Colours: as the system'],
    ['light', 'Colours: light'],
    ['dark', 'Colours: dark'],
  ];
  let chosen = 0;
  theme.addEventListener('click', () => {
    chosen = (chosen + 1) % themes.length;
    root.dataset.theme = themes[chosen][0];
    theme.setAttribute('aria-label', themes[chosen][1]);
    theme.title = themes[chosen][1];
  });

  const source = document.getElementById('data');
  if (!source) return;
  const { series, ascending, aspect, pixelated, colors: table, items } = JSON.parse(source.textContent);
  const colors = bytesOf(table);
  const byId = (id) => document.getElementById(id);
  const [gallery, list, more, count, large] = ['gallery', 'pictures', 'more', 'count', 'large'].map(byId);
  const pageSize = 24;
  let shown = [];
  let drawn = 0;

  function bytesOf(base64) {
    return Uint8Array.from(atob(base64), (character) => character.charCodeAt(0));
  }

  /** Bilinear, half-pixel centres, edges clamped: as the maps themselves are enlarged. */
  function drawMap(canvas, map) {
    const data = bytesOf(map.d);
    const [w, h] = [map.w, data.length / map.w];
    const { width, height } = canvas;
    const context = canvas.getContext('2d');
    const image = context.createImageData(width, height);
    const at = (i, from, to) => Math.min(Math.max(((i + 0.5) * from) / to - 0.5, 0), from - 1);
    for (let y = 0, o = 0; y < height; y++) {
      const v = at(y, h, height);
      const top = Math.floor(v);
      const bottom = Math.min(top + 1, h - 1);
      for (let x = 0; x < width; x++, o += 4) {
        const u = at(x, w, width);
        const left = Math.floor(u);
        const right = Math.min(left + 1, w - 1);
        const upper = data[top * w + left] + (u - left) * (data[top * w + right] - data[top * w + left]);
        const lower = data[bottom * w + left] + (u - left) * (data[bottom * w + right] - data[bottom * w + left]);
        const color = Math.round(upper + (v - top) * (lower - upper)) * 3;
        image.data[o] = colors[color];
        image.data[o + 1] = colors[color + 1];
        image.data[o + 2] = colors[color + 2];
        image.data[o + 3] = 255;
      }
    }
    context.putImageData(image, 0, 0);
  }

  function element(name, attributes, ...children) {
    const node = document.createElement(name);
    for (const [key, value] of Object.entries(attributes)) node.setAttribute(key, value);
    node.append(...children);
    return node;
  }

  function tile(item, map, { name, style }, size) {
    const frame = element('div', { class: pixelated ? 'frame pixelated' : 'frame', style: `aspect-ratio: ${aspect}` });
    const alt = map ? `${item.n} under the map of ${name}: ${map.s}` : `${item.n}, the picture`;
    frame.append(element('img', { src: item.p, alt, decoding: 'async' }));
    if (map && map.d) {
      const canvas = element('canvas', { width: size, height: Math.round(size / aspect), 'aria-hidden': 'true' });
      drawMap(canvas, map);
      frame.append(canvas);
    } else if (map) frame.append(element('span', { class: 'empty' }, 'empty map'));
    for (const [x0, y0, x1, y1] of item.b ?? []) {
      const place = `left:${x0 * 100}%;top:${y0 * 100}%;width:${(x1 - x0) * 100}%;height:${(y1 - y0) * 100}%`;
      frame.append(element('span', { class: 'box', style: place, 'aria-hidden': 'true' }));
    }
    const caption = element('figcaption', {}, element('span', { class: `key ${style}` }, name));
    if (map) caption.append(element('span', { class: 'score' }, map.s));
    return element('figure', { class: 'tile' }, frame, caption);
  }

  function tilesOf(item, size) {
    const picture = { name: 'picture', style: '' };
    return [tile(item, undefined, picture, size), ...item.m.map((map, i) => tile(item, map, series[i], size))];
  }

  function card(item) {
    const open = element('button', { type: 'button', class: 'open', tabindex: '-1', 'aria-haspopup': 'dialog' }, item.n);
    open.addEventListener('click', () => enlarge(shown.indexOf(item)));
    const about = element('p', { class: 'about' }, [item.c, item.t].filter(Boolean).join(' · '));
    return element('li', {}, open, about, element('div', { class: 'tiles' }, ...tilesOf(item, 112)));
  }

  function showMore() {
    const next = shown.slice(drawn, drawn + pageSize);
    list.append(...next.map(card));
    drawn += next.length;
    more.hidden = drawn >= shown.length;
    more.textContent = `Show ${Math.min(pageSize, shown.length - drawn)} more of ${shown.length - drawn}`;
    count.textContent = `${shown.length} ${shown.length === 1 ? 'picture' : 'pictures'}`;
    const buttons = opens();
    if (buttons.length > 0 && !buttons.some((button) => button.tabIndex === 0)) buttons[0].tabIndex = 0;
  }

  function arrange() {
    const order = Number(byId('order').value);
    const name = byId('class').value;
    const sign = ascending[order] ? 1 : -1;
    shown = items.filter((item) => name === '' || item.c === name);
    shown.sort((a, b) => {
      if (order < 0) return 0;
      const [x, y] = [a.v[order], b.v[order]];
      if (x === null || y === null) return (x === null) - (y === null);
      return sign * (x - y);
    });
    list.replaceChildren();
    drawn = 0;
    showMore();
  }

  const opens = () => [...list.querySelectorAll('.open')];

  function focusCard(index) {
    while (index >= drawn && drawn < shown.length) showMore();
    const buttons = opens();
    const target = buttons[Math.min(Math.max(index, 0), buttons.length - 1)];
    for (const button of buttons) button.tabIndex = -1;
    target.tabIndex = 0;
    target.focus();
    target.closest('li').scrollIntoView({ block: 'nearest' });
  }

  function setOpacity(value) {
    const slider = byId('opacity');
    slider.value = value;
    gallery.style.setProperty('--opacity', slider.value / 100);
    slider.setAttribute('aria-valuetext', `${slider.value} %`);
  }

  let current = -1;
  function enlarge(index) {
    current = index;
    const item = shown[index];
    byId('large-title').textContent = [item.n, item.c, item.t].filter(Boolean).join(' · ');
    byId('large-tiles').replaceChildren(...tilesOf(item, 320));
    byId('previous').disabled = index === 0;
    byId('next').disabled = index === shown.length - 1;
    if (!large.open) large.showModal();
  }
  const step = (by) => current + by >= 0 && current + by < shown.length && enlarge(current + by);

  byId('controls').addEventListener('submit', (event) => event.preventDefault());
  byId('order').addEventListener('change', arrange);
  byId('class').addEventListener('change', arrange);
  byId('opacity').addEventListener('input', (event) => setOpacity(event.target.value));
  more.addEventListener('click', () => {
    const first = drawn;
    showMore();
    focusCard(first);
  });
  byId('close').addEventListener('click', () => large.close());
  byId('previous').addEventListener('click', () => step(-1));
  byId('next').addEventListener('click', () => step(1));
  large.addEventListener('close', () => focusCard(current));

  list.addEventListener('keydown', (event) => {
    const at = opens().indexOf(document.activeElement);
    const moves = { ArrowDown: 1, ArrowRight: 1, j: 1, ArrowUp: -1, ArrowLeft: -1, k: -1, Home: -Infinity, End: Infinity };
    if (at < 0 || event.ctrlKey || event.metaKey || event.altKey || !(event.key in moves)) return;
    event.preventDefault();
    focusCard(Math.min(at + moves[event.key], shown.length - 1));
  });
  large.addEventListener('keydown', (event) => {
    if (event.key === 'ArrowRight') step(1);
    if (event.key === 'ArrowLeft') step(-1);
  });
  gallery.addEventListener('keydown', (event) => {
    const change = { '+': 10, '=': 10, '-': -10 }[event.key];
    if (change && !event.ctrlKey && !event.metaKey) setOpacity(Number(byId('opacity').value) + change);
  });

  setOpacity(55);
  arrange();
})();
