import { rmSync } from 'node:fs';
import { request } from 'node:http';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import pg from 'pg';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { type Browser, openBrowser, type Page } from '../harness/browser.ts';
import { startHerd, type TestHerd } from '../harness/herd.ts';
import { startStandbyOf, type TestServer } from '../harness/postgres.ts';

const assets = join(tmpdir(), `pgherd-dashboard-${process.pid}`);
const builder = join(import.meta.dirname, '..', '..', 'scripts', 'build-dashboard.mjs');
const screenshots = process.env['PGHERD_SCREENSHOTS'];
const views = ['overview', 'tables', 'activity', 'statements', 'transactions', 'replication', 'jobs', 'console'];

let herd: TestHerd;
let standby: TestServer;
let client: pg.Client;
let browser: Browser | undefined;
let page: Page;
let home: string;
let loadOn = true;
let load: Promise<unknown>;

beforeAll(async () => {
  const { buildDashboard } = await import(builder);
  await buildDashboard(assets);
  herd = await startHerd({ nodes: 2, http: { guard: { kind: 'loopback' }, tls: null, assets } });
  home = `http://127.0.0.1:${herd.httpPort}/`;
  client = await connect();
  await client.query('CREATE TABLE customers (id int PRIMARY KEY, name text)');
  await client.query('CREATE TABLE orders (id bigint, customer_id int, amount numeric, PRIMARY KEY (customer_id, id))');
  await client.query("SELECT create_distributed_table('customers', 'id', shard_count := 8)");
  await client.query("SELECT create_distributed_table('orders', 'customer_id')");
  await client.query("INSERT INTO customers SELECT g, 'customer ' || g FROM generate_series(1, 2000) g");
  await client.query('INSERT INTO orders SELECT g, 1 + g % 2000, g % 97 FROM generate_series(1, 20000) g');
  standby = await startStandbyOf(herd.byName.get('worker1')!, 'standby1');
  load = keepBusy();
  browser = await openBrowser();
  if (browser) page = await browser.open(home, { width: 1280, height: 900 });
}, 120_000);

afterAll(async () => {
  loadOn = false;
  await load;
  await browser?.close();
  await client?.end();
  await standby?.stop();
  await herd?.stop();
  rmSync(assets, { recursive: true, force: true });
});

async function connect(): Promise<pg.Client> {
  const opened = new pg.Client({ connectionString: herd.url });
  opened.on('error', () => {});
  await opened.connect();
  return opened;
}

/** A few statements a second of several kinds; some fail while a node is away. */
async function keepBusy(): Promise<void> {
  const own = await connect();
  for (let i = 0; loadOn; i++) {
    await own.query('SELECT name FROM customers WHERE id = $1', [1 + (i % 2000)]).catch(() => {});
    await own.query('UPDATE orders SET amount = amount + 1 WHERE customer_id = $1', [1 + (i % 500)]).catch(() => {});
    if (i % 10 === 0) await own.query('SELECT count(*), sum(amount) FROM orders').catch(() => {});
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
  await own.end();
}

const show = async (view: string) => {
  await page.evaluate(`location.hash = '${view}'`);
  await page.until(`document.querySelector('nav a[aria-current]')?.getAttribute('href') === '#${view}'`);
};
const untilText = (text: string) =>
  page.until(`document.querySelector('main').innerText.includes(${JSON.stringify(text)})`);
const skip = (context: { skip: () => void }) => browser ?? context.skip();

describe('over HTTP', () => {
  /** fetch() sets Host itself. */
  const status = (headers: Record<string, string>, method = 'GET', path = '/') =>
    new Promise<number>((resolve, reject) => {
      const sent = request({ host: '127.0.0.1', port: herd.httpPort!, path, method, headers }, (response) => {
        response.resume();
        resolve(response.statusCode ?? 0);
      });
      sent.on('error', reject).end(method === 'POST' ? '{}' : undefined);
    });

  test('only pages of this machine are answered, and only our own page changes something', async () => {
    expect(await status({ host: 'evil.example' })).toBe(403);
    expect(await status({ host: `localhost:${herd.httpPort}` })).toBe(200);
    const own = { host: `127.0.0.1:${herd.httpPort}` };
    expect(await status({ ...own, 'content-type': 'text/plain' }, 'POST', '/api/sql')).toBe(403);
    const json = { ...own, 'content-type': 'application/json' };
    expect(await status({ ...json, origin: 'http://evil.example' }, 'POST', '/api/sql')).toBe(403);
    expect(await status({ ...json, origin: `http://127.0.0.1:${herd.httpPort}` }, 'POST', '/api/signal')).toBe(400);
  });

  test('the console gives the first rows of a result, and errors as PostgreSQL has them', async () => {
    const run = async (sql: string, explain = 'no') => {
      const answer = await fetch(`${home}api/sql`, {
        ...{ method: 'POST', headers: { 'content-type': 'application/json' }, body: JSON.stringify({ sql, explain }) },
      });
      return (await answer.json()) as { rows: [[string]] } & Record<string, unknown>;
    };
    const found = await run('SELECT id FROM orders');
    expect(found).toMatchObject({ kind: 'rows', columns: ['id'], tag: 'SELECT 20000' });
    expect(found.rows).toHaveLength(1_000);
    expect(await run('SELECT nothing')).toMatchObject({ kind: 'error', error: { code: '42703' } });
    const plan = await run('SELECT count(*) FROM orders', 'run');
    expect(JSON.parse(plan.rows[0][0])[0].Plan['Actual Rows']).toBe(1);
  });
});

describe('in a browser', () => {
  test('the overview shows score, servers, standbys and what goes on, live', async (context) => {
    skip(context);
    await page.until("document.querySelector('.score')?.textContent === '100 %'");
    await untilText('worker2');
    const before = Number(
      await page.evaluate(
        'fetch(\'/metrics\').then(r => r.text()).then(t => t.match(/pgherd_statements_total{class="select"} (\\d+)/)[1])',
      ),
    );
    expect(before).toBeGreaterThan(10);
    await page.until("document.querySelectorAll('.chart canvas').length === 2");
    expect(
      await page.evaluate(
        "[...document.querySelectorAll('.chart')].every(c => c.getAttribute('role') === 'img' && c.ariaLabel)",
      ),
    ).toBe(true);
  });

  test('a statement is cancelled on all servers after a question', async (context) => {
    skip(context);
    const [holder, waiter] = [await connect(), await connect()];
    await holder.query("BEGIN; UPDATE customers SET name = 'held'");
    const outcome = waiter.query("UPDATE customers SET name = 'waits in vain'").catch((error: unknown) => error);
    await show('transactions');
    await untilText('waits in vain');
    await page.screenshot(screenshots, 'transactions');
    await show('activity');
    await untilText('waits in vain');
    await page.screenshot(screenshots, 'activity');
    await page.click("tr:has-text('waits in vain') button");
    await page.until("document.querySelector('dialog[open]')?.innerText.includes('waits in vain')");
    await page.click('dialog button:first-child');
    expect(await page.evaluate("document.querySelector('dialog')")).toBeNull();
    await page.click("tr:has-text('waits in vain') button");
    await page.click('dialog button.main');
    expect(await outcome).toMatchObject({ code: '57014' });
    await untilText('The request was passed on.');
    await holder.query('ROLLBACK');
    await Promise.all([holder.end(), waiter.end()]);
  });

  test('tables, statements, replication and jobs have their figures', async (context) => {
    skip(context);
    await show('tables');
    await untilText('orders');
    await page.until("document.querySelectorAll('.chart canvas').length === 2");
    await page.screenshot(screenshots, 'tables');
    await show('statements');
    await untilText('SELECT name FROM customers WHERE id = $1');
    await page.until("document.querySelector('svg.spark polyline')");
    await page.screenshot(screenshots, 'statements');
    const onStandby = new pg.Client({ host: '127.0.0.1', port: standby.port, user: 'postgres', database: 'postgres' });
    await onStandby.connect();
    await onStandby.query('SELECT pg_wal_replay_pause()');
    await client.query('UPDATE orders SET amount = amount + 1');
    await show('replication');
    await untilText('standby1');
    await page.until("document.querySelector('td .bad')?.innerText.includes('B')");
    await page.screenshot(screenshots, 'replication');
    await onStandby.query('SELECT pg_wal_replay_resume()');
    await onStandby.end();
  });

  test('a job that is half done shows how far it is', async (context) => {
    skip(context);
    const worker = new pg.Client({
      host: '127.0.0.1',
      port: herd.byName.get('worker2')!.port,
      user: 'postgres',
      database: 'postgres',
    });
    await worker.connect();
    const leaves =
      "SELECT schemaname FROM pg_tables WHERE tablename = 'customers' AND schemaname LIKE 'pgherd_s%' LIMIT 1";
    const [{ schemaname }] = (await worker.query(leaves)).rows;
    await worker.query(`BEGIN; LOCK TABLE ${schemaname}.customers IN ROW EXCLUSIVE MODE`);
    const building = client.query('CREATE INDEX CONCURRENTLY by_name ON customers (name)');
    await show('jobs');
    await untilText('1/2 of nodes');
    await page.screenshot(screenshots, 'jobs');
    await worker.query('ROLLBACK');
    await building;
    await untilText('2/2 of nodes');
    await worker.end();
  });

  test('the console runs SQL by keyboard and draws plans as a tree of steps and motions', async (context) => {
    skip(context);
    await show('console');
    await page.fill('textarea', 'SELECT o.id, c.name FROM orders o JOIN customers c ON c.id = o.id LIMIT 5');
    await page.press('Control+Enter');
    await untilText('SELECT 5');
    await page.click('button:text-is("Explain and run")');
    await page.until("document.querySelectorAll('ul.plan li').length > 3");
    await untilText('Motion 1');
    await page.screenshot(screenshots, 'console');
    await page.fill('textarea', 'SELECT pg_sleep(60)');
    await page.click('button.main');
    await page.click('button:text-is("Stop")');
    const sleeping =
      "SELECT count(*)::int AS n FROM pg_stat_activity WHERE query = 'SELECT pg_sleep(60)' AND state = 'active'";
    await expect.poll(async () => (await client.query(sleeping)).rows[0].n, { timeout: 20_000 }).toBe(0);
  });

  test('it can be used by keyboard alone, in Chinese, in the dark, at 360 and at 2560 pixels', async (context) => {
    skip(context);
    await show('overview');
    await page.evaluate('document.body.tabIndex = -1; document.body.focus()');
    await page.press('Tab');
    expect(await page.evaluate('document.activeElement.innerText')).toBe('To the content');
    await page.press('Enter');
    expect(await page.evaluate('document.activeElement.id')).toBe('content');
    await page.select('header select', 'zh');
    await untilText('健康评分');
    expect(await page.evaluate('document.documentElement.lang')).toBe('zh');
    await page.click('header input[type=checkbox]');
    expect(await page.evaluate('document.documentElement.dataset.theme')).toBe('dark');
    for (const width of [360, 2560]) {
      await page.resize({ width, height: 900 });
      for (const view of views) {
        await show(view);
        const overflow = await page.evaluate('document.documentElement.scrollWidth - innerWidth');
        expect(overflow, `${view} at ${width}`).toBeLessThanOrEqual(0);
        if (view === 'overview' || view === 'tables') {
          await page.until("document.querySelectorAll('.chart canvas').length >= 2");
          await page.screenshot(screenshots, `${view}-${width}-dark-zh`);
        }
      }
    }
    const unlabelled =
      "[...document.querySelectorAll('button, input, select, textarea')].filter(e => !(e.ariaLabel || e.innerText || e.labels?.length)).length";
    expect(await page.evaluate(unlabelled)).toBe(0);
    await page.select('header select', 'en');
    await page.click('header input[type=checkbox]');
    await page.resize({ width: 1280, height: 900 });
  });

  test('a node that goes down is seen without a reload, with what to do, and so is its return', async (context) => {
    skip(context);
    await show('overview');
    await page.until("document.querySelector('.score')?.textContent === '100 %'");
    await herd.byName.get('worker2')!.crash();
    await page.until("document.querySelector('.score')?.textContent === '50 %'");
    await untilText('node worker2 is down');
    await page.evaluate("document.querySelector('.alerts details').open = true");
    await page.screenshot(screenshots, 'overview-node-down');
    for (const view of views) await show(view);
    await herd.byName.get('worker2')!.restart();
    await show('overview');
    await page.until("document.querySelector('.score')?.textContent === '100 %'");
  });

  test('nothing was fetched from elsewhere, and no script failed', async (context) => {
    skip(context);
    expect(page.faults.filter((fault) => !/status of 5\d\d/.test(fault))).toEqual([]);
  });
});
