import { readFileSync } from 'node:fs';
import pg from 'pg';
import { startRouter } from '../../src/cli/serve.ts';
import { silentLog } from '../../src/core/log.ts';
import { startHerdServers, startPostgres } from '../harness/postgres.ts';

pg.types.setTypeParser(20, (x) => x);
for (const t of [1082, 1114, 1184, 1700, 701, 700, 114, 3802, 1009, 1007])
  pg.types.setTypeParser(t as any, (x: any) => x);
const herd = await startHerdServers({ nodes: 2 });
const plainServer = await startPostgres();
const a = (s: any) => ({ host: s.host, port: s.port, database: 'postgres', user: 'postgres' });
const errs: any[] = [];
const log = { ...silentLog, warn: (...x: any[]) => errs.push(x), error: (...x: any[]) => errs.push(x) };
const port = 20000 + Math.floor(Math.random() * 10000);
const router = await startRouter({
  listen: { host: '127.0.0.1', port },
  coordinator: a(herd.coordinator),
  nodes: herd.nodes.map((n: any) => ({ ...a(n), name: n.name })),
  auth: 'trust',
  addresses: {},
  defaultShardCount: 8,
  maxConnectionsPerPool: 40,
  log,
} as any);
const r = new pg.Client({ host: '127.0.0.1', port: router.port, user: 'postgres', database: 'postgres' });
await r.connect();
const p = new pg.Client({ host: '127.0.0.1', port: plainServer.port, user: 'postgres', database: 'postgres' });
await p.connect();
async function run(c: pg.Client, sql: string, params?: any[]) {
  try {
    const x = (await c.query({ text: sql, values: params, rowMode: 'array' } as any)) as any;
    const q = Array.isArray(x) ? x.at(-1) : x;
    return {
      rows: q.rows as any[][],
      fields: q.fields?.map((f: any) => f.name),
      types: q.fields?.map((f: any) => f.dataTypeID),
      tag: q.command + ' ' + q.rowCount,
    };
  } catch (e: any) {
    return { error: e.code, message: e.message, hint: e.hint, where: e.where };
  }
}
const key = (rows: any[][]) => rows.map((x) => JSON.stringify(x));
const approx = (s: string) => s;
let bad = 0,
  n = 0;
const rungs: Record<string, number> = {};
async function cmp(sql: string, params?: any[], force = true) {
  n++;
  const isQuery = /^\s*(select|with|values|table)/i.test(sql);
  const ordered = /order by/i.test(sql.replace(/\([^()]*\)/g, ''));
  const x: any = await run(p, sql, params);
  const modes = isQuery && force ? ['off', 'gather'] : ['off'];
  for (const m of modes) {
    if (modes.length > 1) await run(r, m === 'off' ? 'reset pgherd.force_rung' : `set pgherd.force_rung = '${m}'`);
    const y: any = await run(r, sql, params);
    let same = x.error === y.error;
    if (!x.error && !y.error) {
      const kx = key(x.rows),
        ky = key(y.rows);
      if (!ordered) {
        kx.sort();
        ky.sort();
      }
      same =
        JSON.stringify(kx) === JSON.stringify(ky) &&
        JSON.stringify(x.fields) === JSON.stringify(y.fields) &&
        x.tag === y.tag &&
        JSON.stringify(x.types) === JSON.stringify(y.types);
    }
    let e: any = {};
    if (isQuery && m === 'off' && !params) {
      e = await run(r, 'explain ' + sql);
      const rung = (e.rows?.[0]?.[0] ?? '').match(/Rung: ([a-z ]+) \(/)?.[1] ?? 'local';
      rungs[rung] = (rungs[rung] ?? 0) + 1;
    }
    if (!same) {
      bad++;
      console.log(
        'DIFF',
        m,
        sql,
        params ?? '',
        '\n  plain',
        JSON.stringify(x).slice(0, 600),
        '\n  herd ',
        JSON.stringify(y).slice(0, 600),
      );
      if (e.rows)
        console.log(
          e.rows
            .map((q: any) => '    ' + q[0])
            .join('\n')
            .slice(0, 1500),
        );
      else console.log('    ', JSON.stringify(e));
    }
  }
  if (modes.length > 1) await run(r, 'reset pgherd.force_rung');
}
const setup = readFileSync(new URL('./sem.setup.sql', import.meta.url), 'utf8')
  .split(/;\s*\n/)
  .map((x) => x.trim())
  .filter(Boolean);
for (const s of setup) {
  const h = s.startsWith('--herd');
  if (!h) {
    const e = await run(p, s);
    if ((e as any).error) console.log('plain setup', s, e);
  }
  const e = await run(r, s.replace(/^--herd/, ''));
  if ((e as any).error) console.log('herd setup', s, e);
}
const files = process.argv.slice(2);
for (const f of files)
  for (const q of readFileSync(f, 'utf8')
    .split(/;\s*\n/)
    .map((x) => x.trim())
    .filter(Boolean)) {
    const m = /^--params (.*)\n([\s\S]*)$/.exec(q);
    if (q.startsWith('--only')) {
      console.log(JSON.stringify(await run(r, q.replace(/^--only/, ''))));
      continue;
    }
    await cmp(m ? m[2]! : q, m ? JSON.parse(m[1]!) : undefined);
  }
console.log({ n, bad, rungs });
console.log(errs.slice(0, 5));
await r.end();
await p.end();
await router.stop();
await herd.stop();
await plainServer.stop();
process.exit(0);
