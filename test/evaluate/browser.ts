import { existsSync } from 'node:fs';
import { readFile } from 'node:fs/promises';
import { createRequire } from 'node:module';
import { pathToFileURL } from 'node:url';
import { type Browser, chromium, type Page } from 'playwright-core';

const executablePath = '/usr/bin/chromium';

/** Whether pages can be tested here. With REQUIRE_BROWSER=1 a missing browser is a failure, not a skip. */
export const hasBrowser = existsSync(executablePath) || process.env.REQUIRE_BROWSER === '1';
export const browserNote = hasBrowser ? '' : ' (skipped: no /usr/bin/chromium)';

/**
 * @param options `gpu`: with WebGPU, of SwiftShader where there is no GPU. `measuresMemory`: `performance.measureUserAgentSpecificMemory`
 *   answers at once, not after some random while
 */
export function openBrowser({
  gpu = false,
  measuresMemory = false,
}: {
  gpu?: boolean;
  measuresMemory?: boolean;
} = {}): Promise<Browser> {
  const args =
    '--no-sandbox --headless --disable-quic --no-first-run --disable-background-networking --disable-component-update --disable-sync';
  // The tests' own Vulkan driver (support/swiftshader.ts) is older than what Chromium brings along.
  const { VK_DRIVER_FILES: _driver, LD_LIBRARY_PATH: _libraries, ...env } = process.env;
  return chromium.launch({
    executablePath,
    args: [
      ...args.split(' '),
      gpu ? '--enable-unsafe-webgpu' : '--disable-gpu',
      ...(measuresMemory ? ['--enable-blink-features=ForceEagerMeasureMemory'] : []),
    ],
    env: env as Record<string, string>,
  });
}

/** A page with what must not happen: requests that leave it, and errors. */
export interface WatchedPage {
  readonly page: Page;
  readonly requests: readonly string[];
  readonly errors: readonly string[];
}

export async function openPage(
  browser: Browser,
  file: string,
  options: { width?: number; height?: number; colorScheme?: 'light' | 'dark' } = {},
): Promise<WatchedPage> {
  const { width = 1280, height = 900, colorScheme = 'light' } = options;
  const context = await browser.newContext({
    viewport: { width, height },
    colorScheme,
    acceptDownloads: true,
  });
  const page = await context.newPage();
  const requests: string[] = [];
  const errors: string[] = [];
  const url = pathToFileURL(file).href;
  page.on('request', (request) => {
    if (request.url() !== url && !request.url().startsWith('data:')) requests.push(request.url());
  });
  page.on('pageerror', (error) => errors.push(error.message));
  page.on('console', (message) => {
    if (message.type() === 'error') errors.push(message.text());
  });
  await page.goto(url);
  return { page, requests, errors };
}

/** What axe-core finds serious or critical. The page's own policy does not apply to scripts from here. */
export async function seriousIssues(page: Page): Promise<string[]> {
  const source = await readFile(createRequire(import.meta.url).resolve('axe-core/axe.min.js'), 'utf8');
  await page.evaluate(source);
  return page.evaluate(async () => {
    // biome-ignore lint: axe is what the script above defines
    const { violations, passes } = await (globalThis as any).axe.run();
    if (passes.length < 10) throw new Error('axe-core looked at next to nothing');
    return violations
      .filter(({ impact }: { impact: string }) => impact === 'serious' || impact === 'critical')
      .flatMap(({ id, nodes }: { id: string; nodes: { html: string; failureSummary: string }[] }) =>
        nodes.map((node) => `${id}: ${node.html} ${node.failureSummary}`),
      );
  });
}

/** How far the page is wider than its window. */
export function overflow(page: Page): Promise<number> {
  return page.evaluate('document.documentElement.scrollWidth - document.documentElement.clientWidth');
}
