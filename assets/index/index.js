const at = (id) => document.getElementById(id);
const pictures = [...document.querySelectorAll('.picture')];

function show() {
  const words = at('filter').value.toLowerCase().split(/\s+/).filter(Boolean);
  const method = at('method').value;
  let count = 0;
  for (const picture of pictures) {
    const fits = words.every((word) => picture.dataset.text.includes(word));
    picture.hidden = !fits;
    if (fits) count++;
    for (const figure of picture.querySelectorAll('figure[data-method]'))
      figure.hidden = method !== '' && figure.dataset.method !== method;
  }
  at('count').textContent = count === pictures.length ? `${count} shown` : `${count} of ${pictures.length} shown`;
}

at('controls').addEventListener('submit', (event) => event.preventDefault());
at('filter').addEventListener('input', show);
at('method').addEventListener('change', show);
at('opacity').addEventListener('input', (event) => {
  document.documentElement.style.setProperty('--shown', event.target.value / 100);
});

// Controls lie over what is to be seen: they are there for who points at a video or comes to it by the keyboard.
for (const video of document.querySelectorAll('figure video')) {
  const update = () => {
    video.controls = video.matches(':hover') || document.activeElement === video;
  };
  video.tabIndex = 0;
  for (const event of ['pointerenter', 'pointerleave', 'focus', 'blur']) video.addEventListener(event, () => setTimeout(update));
  update();
}

const themes = ['', 'light', 'dark'];
let theme = 0;
at('theme').addEventListener('click', () => {
  theme = (theme + 1) % themes.length;
  document.documentElement.dataset.theme = themes[theme];
  at('theme').setAttribute('aria-label', `Colours: ${themes[theme] || 'as the system'}`);
});
show();
