import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { chromium } from 'playwright-core';

export interface Browser {
  open(url: string, viewport: { readonly width: number; readonly height: number }): Promise<Page>;
  close(): Promise<void>;
}

export interface Page {
  /** Errors of scripts, and everything that was fetched from elsewhere than the page's own origin. */
  readonly faults: readonly string[];
  title(): Promise<string>;
  evaluate(expression: string): Promise<unknown>;
  /** Until the expression is true. */
  until(expression: string): Promise<void>;
  click(selector: string): Promise<void>;
  fill(selector: string, text: string): Promise<void>;
  select(selector: string, value: string): Promise<void>;
  press(key: string): Promise<void>;
  resize(viewport: { readonly width: number; readonly height: number }): Promise<void>;
  /** Into a folder, if there is one: to be looked at. */
  screenshot(folder: string | undefined, name: string): Promise<void>;
}

const places = ['/usr/bin/chromium', '/usr/bin/chromium-browser', '/usr/bin/google-chrome'];

/** Chromium of the system, or undefined with one visible line. `PGHERD_CHROMIUM` says where it is. */
export async function openBrowser(): Promise<Browser | undefined> {
  const path = process.env['PGHERD_CHROMIUM'] ?? places.find((each) => existsSync(each));
  if (path === undefined) {
    process.stderr.write('SKIPPED: pages in a browser: there is no chromium (set PGHERD_CHROMIUM)\n');
    return undefined;
  }
  const browser = await chromium.launch({ executablePath: path, args: ['--no-sandbox'] });
  return {
    async open(url, viewport) {
      const page = await browser.newPage({ viewport });
      const faults: string[] = [];
      const origin = new URL(url).origin;
      page.on('pageerror', (error) => faults.push(String(error)));
      page.on('console', (message) => void (message.type() === 'error' && faults.push(message.text())));
      page.on('request', (request) => {
        const own = request.url() === url || (origin !== 'null' && request.url().startsWith(origin));
        if (!own) faults.push(`fetched ${request.url()}`);
      });
      await page.goto(url, { waitUntil: 'load' });
      return {
        faults,
        title: () => page.title(),
        evaluate: (expression) => page.evaluate(expression),
        until: (expression) => untilTrue(() => page.evaluate(expression), expression),
        click: (selector) => page.click(selector),
        fill: (selector, text) => page.fill(selector, text),
        select: async (selector, value) => void (await page.selectOption(selector, value)),
        press: (key) => page.keyboard.press(key),
        resize: (size) => page.setViewportSize(size),
        async screenshot(folder, name) {
          if (folder !== undefined) await page.screenshot({ path: join(folder, `${name}.png`), fullPage: true });
        },
      };
    },
    close: () => browser.close(),
  };
}

const waitMs = 30_000;
const pollMs = 100;

/** Not by the page's own clock: its policy lets no text be evaluated. */
async function untilTrue(ask: () => Promise<unknown>, what: string): Promise<void> {
  const deadlineMs = Date.now() + waitMs;
  while (!(await ask())) {
    if (Date.now() > deadlineMs) throw new Error(`it did not come true: ${what}`);
    await new Promise((resolve) => setTimeout(resolve, pollMs));
  }
}
