// What moving a slider of the explorer takes in the page: node bench/explorer.mjs MODEL PICTURE (after npm run build).
// Chromium's own counters say how much script, style and layout each move came to, from the event to the picture.
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import { chromium } from 'playwright-core';

const command = fileURLToPath(new URL('../dist/cli/main.js', import.meta.url));
const server = spawn(process.execPath, [command, 'explore', ...process.argv.slice(2), '--no-open', '--port', '0'], {
  stdio: ['ignore', 'pipe', 'ignore'],
});
const [address] = await once(createInterface({ input: server.stdout }), 'line');
const browser = await chromium.launch({
  executablePath: '/usr/bin/chromium',
  args: ['--no-sandbox', '--headless', '--disable-gpu', '--disable-quic', '--no-first-run', '--disable-background-networking', '--disable-component-update', '--disable-sync'],
});
try {
  const page = await browser.newPage({ viewport: { width: 1280, height: 900 } });
  await page.goto(address);
  const calm = () =>
    page.waitForFunction(
      () => document.querySelector('.explained strong') && document.querySelector('[data-busy="false"]'),
      undefined,
      { timeout: 300_000 },
    );
  await calm();
  const client = await page.context().newCDPSession(page);
  await client.send('Performance.enable', { timeDomain: 'threadTicks' }); // processor time, whatever else the machine does
  const metrics = async () => {
    const { metrics: all } = await client.send('Performance.getMetrics');
    return Object.fromEntries(all.map(({ name, value }) => [name, value]));
  };
  const results = {};
  for (const id of ['layer', 'threshold', 'opacity', 'swipe']) {
    const moves = 60;
    const before = await metrics();
    const events = await page.evaluate(
      async ([slider, count]) => {
        const input = document.getElementById(slider);
        const [from, to, step] = [Number(input.min), Number(input.max), Number(input.step)];
        const places = Math.round((to - from) / step);
        const times = [];
        for (let i = 0; i < count; i++) {
          input.value = String(from + step * (i % (places + 1)));
          const since = performance.now();
          input.dispatchEvent(new Event('input', { bubbles: true }));
          times.push(performance.now() - since);
          await new Promise((resolve) => requestAnimationFrame(() => setTimeout(resolve)));
        }
        return times.sort((a, b) => a - b);
      },
      [id, moves],
    );
    const after = await metrics();
    const each = (name) => Math.round((1e5 * (after[name] - before[name])) / moves) / 100;
    results[id] = {
      moves,
      handlerMedian: Math.round(100 * events[moves >> 1]) / 100,
      handlerMost: Math.round(100 * events.at(-1)) / 100,
      script: each('ScriptDuration'),
      style: each('RecalcStyleDuration'),
      layout: each('LayoutDuration'),
    };
    await calm();
  }
  process.stdout.write(`${JSON.stringify({ milliseconds: 'a move', ...results }, null, 1)}\n`);
} finally {
  await browser.close();
  server.kill('SIGKILL');
}
