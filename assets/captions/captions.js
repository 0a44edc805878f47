const at = (id) => document.getElementById(id);
const pictures = [...document.querySelectorAll('.picture')];

function show() {
  const words = at('filter').value.toLowerCase().split(/\s+/).filter(Boolean);
  let count = 0;
  for (const picture of pictures) {
    picture.hidden = !words.every((word) => picture.dataset.text.includes(word));
    if (!picture.hidden) count++;
  }
  at('count').textContent = count === pictures.length ? `${count} shown` : `${count} of ${pictures.length} shown`;
}

/** Shows a word's map, and what the decoder attends to where it says it. */
function choose(picture, word, hasFocus = false) {
  const text = word.querySelector('.text').textContent;
  const isWhole = word.classList.contains('whole');
  for (const other of picture.querySelectorAll('.word')) {
    other.setAttribute('aria-pressed', String(other === word));
    if (hasFocus) other.tabIndex = other === word ? 0 : -1; // one of the words is a stop of the Tab key
  }
  const map = picture.querySelector('.map');
  if (map && word.dataset.map) {
    const image = map.querySelector('img');
    image.src = word.dataset.map;
    image.alt = isWhole ? 'Map of the caption' : `Map of “${text}”`;
    const empty = word.dataset.empty ? ' · empty: nothing in the picture speaks for it' : '';
    map.querySelector('figcaption').textContent = `${isWhole ? text : `“${text}”`}${empty}`;
  }
  const attention = picture.querySelector('.attention');
  if (!attention) return;
  attention.hidden = !word.dataset.attention;
  if (!word.dataset.attention) return;
  attention.querySelector('img').src = word.dataset.attention;
  attention.querySelector('img').alt = `What the decoder attends to at “${text}”`;
}

const steps = { ArrowRight: 1, ArrowDown: 1, ArrowLeft: -1, ArrowUp: -1 };
for (const picture of pictures) {
  const words = [...picture.querySelectorAll('.word')];
  const load = () => {
    for (const { dataset } of words) for (const file of [dataset.map, dataset.attention]) if (file) new Image().src = file;
  };
  picture.querySelector('.said')?.addEventListener('pointerenter', load, { once: true });
  for (const [i, word] of words.entries()) {
    word.addEventListener('pointerenter', () => choose(picture, word));
    word.addEventListener('focus', () => choose(picture, word, true));
    word.addEventListener('click', () => choose(picture, word));
    word.addEventListener('keydown', (event) => {
      const last = words.length - 1;
      const to = { Home: 0, End: last }[event.key] ?? (steps[event.key] && Math.min(Math.max(i + steps[event.key], 0), last));
      if (to === undefined) return;
      event.preventDefault();
      words[to].focus();
    });
  }
}

at('controls').addEventListener('submit', (event) => event.preventDefault());
at('filter').addEventListener('input', show);

const themes = ['', 'light', 'dark'];
let theme = 0;
at('theme').addEventListener('click', () => {
  theme = (theme + 1) % themes.length;
  document.documentElement.dataset.theme = themes[theme];
  at('theme').setAttribute('aria-label', `Colours: ${themes[theme] || 'as the system'}`);
});
show();
