import {
  liveShardSizeName,
  preparedTransactionsName,
  serverTrafficName,
  transactionEventsName,
} from '../catalog/compatibility-sql.ts';
import { statementSchemaSql } from '../catalog/statistics-install.ts';
import { type StatisticsView, siteStatisticsSql, statisticsViewOf } from '../catalog/statistics-views.ts';
import { assert } from '../core/assert.ts';
import { PgError } from '../core/errors.ts';
import type { SqlRunner } from '../core/runner.ts';
import { quoteLiteral } from '../sql/quote.ts';
import { serverFacts } from './server-facts.ts';
import type { SessionState } from './session-state.ts';

type Rows = readonly (readonly (string | null)[])[];

/** Rows of a live relation, as text, in the order of its columns. Servers are asked as the session's own role: they show what it may see. */
export async function liveRows(session: SessionState, relation: string): Promise<Rows> {
  const { services } = session;
  const told = (message: string) => warn(session, message);
  switch (relation) {
    case liveShardSizeName:
    case serverTrafficName:
    case transactionEventsName:
    case 'live_pool':
    case 'live_shard_time':
      return services.routerRows(relation, told);
    case 'live_server':
      return serverFacts(session);
    case 'live_statement':
      return services.routerRows(relation, told, await readableRole(session));
    case preparedTransactionsName:
      return onServers(session, preparedTransactions);
    case 'live_lock_wait':
      return onServers(session, lockWaits);
    default: {
      const view = statisticsViewOf(relation);
      assert(view, `${relation} is a live relation`);
      return onServers(session, (runner, site) => statistics(session, view, runner, site));
    }
  }
}

interface Site {
  /** 0: the coordinator. */
  readonly id: number;
  readonly name: string;
}

/** A server that can't be reached is told of, and its rows are missing: statistics are wanted most when something is wrong. */
async function onServers(session: SessionState, ask: (runner: SqlRunner, site: Site) => Promise<Rows>): Promise<Rows> {
  const nodes = session.catalog.nodes.filter((node) => node.active);
  const sites: Site[] = [{ id: 0, name: 'coordinator' }, ...nodes.map(({ id, name }) => ({ id, name }))];
  const answers = await Promise.all(
    sites.map((site) =>
      ask(session.aside(site.id === 0 ? 'coordinator' : site.id), site).catch((error: unknown) => {
        if (!(error instanceof PgError) || !error.code.startsWith('08')) throw error;
        warn(session, `the rows of ${site.name} are missing: ${error.message}`);
        return [];
      }),
    ),
  );
  return answers.flat();
}

function warn(session: SessionState, message: string): void {
  session.notice({ severity: 'WARNING', code: '01000', message });
}

async function statistics(session: SessionState, view: StatisticsView, runner: SqlRunner, site: Site): Promise<Rows> {
  const columns = session.catalog.relations.get('pgherd')?.get(`live_${view.name}`)?.columns ?? [];
  const schema = view.name === 'pg_stat_statements' ? await statementsSchema(runner) : 'pg_catalog';
  if (schema === null) return [];
  const list = columns.map(({ name, typeName }) => ({ name, type: typeName }));
  return (await runner.query(siteStatisticsSql(view, list, { ...site, schema }))).rows;
}

async function statementsSchema(runner: SqlRunner): Promise<string | null> {
  return (await runner.query(statementSchemaSql)).rows[0]?.[0] ?? null;
}

async function preparedTransactions(runner: SqlRunner, { id, name }: Site): Promise<Rows> {
  const sql = `SELECT gid, ${id}, ${quoteLiteral(name)}, prepared, owner FROM pg_catalog.pg_prepared_xacts
    WHERE database = current_database()`;
  return (await runner.query(sql)).rows;
}

async function lockWaits(runner: SqlRunner, { id }: Site): Promise<Rows> {
  const sql = `SELECT ${id}, w.pid, b.pid, w.query, b.query
    FROM pg_catalog.pg_stat_activity w
    CROSS JOIN LATERAL unnest(pg_catalog.pg_blocking_pids(w.pid)) AS p(pid)
    JOIN pg_catalog.pg_stat_activity b ON b.pid = p.pid
    WHERE w.wait_event_type = 'Lock'`;
  return (await runner.query(sql)).rows;
}

/** Whose statements the session may read, as in pg_stat_statements; null: everybody's. */
async function readableRole(session: SessionState): Promise<string | null> {
  const { rows } = await session
    .aside()
    .query("SELECT CASE WHEN pg_catalog.pg_has_role('pg_read_all_stats', 'USAGE') THEN NULL ELSE current_user END");
  return rows[0]?.[0] ?? null;
}
