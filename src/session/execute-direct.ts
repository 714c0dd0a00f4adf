import type { ServerConnection } from '../backend/server-connection.ts';
import type { Site } from '../catalog/site.ts';
import { pgError, unsupported } from '../core/errors.ts';
import { settled } from '../core/settled.ts';
import type { ClientOutput } from '../execute/client-output.ts';
import { exchangeSource } from '../execute/exchange.ts';
import { RowWindow, runOnAll } from '../execute/scatter.ts';
import type { Dialect } from '../sql/dialect.ts';
import type { FieldDescription } from '../wire/backend.ts';
import { encodeQuery } from '../wire/frontend.ts';
import { describeOn } from './describe.ts';
import type { SessionState } from './session-state.ts';

type ExecuteDirect = Extract<Dialect, { kind: 'execute direct' }>;

/**
 * Postgres-XL's EXECUTE DIRECT ON (node, …) 'query': each node answers from its own part of the tables, inside the session's
 * transaction. Nothing can be written that way, for PostgreSQL runs it as read-only.
 */
export async function runExecuteDirect(
  session: SessionState,
  direct: ExecuteDirect,
  output: ClientOutput,
): Promise<void> {
  const sql = queryOf(session, direct);
  const sites = sitesOf(session, direct);
  session.transaction.ensureBlock();
  const connections = await settled(sites.map((site) => session.transaction.join(site, session.signal)));
  await eachQuery(connections, 'SAVEPOINT pgherd_direct; SET LOCAL transaction_read_only = on');
  const window = new RowWindow(output);
  const bytes = encodeQuery(sql);
  const tags = await runOnAll(
    connections.map((connection) => exchangeSource(connection, bytes)),
    window,
  );
  await eachQuery(connections, 'ROLLBACK TO SAVEPOINT pgherd_direct; RELEASE SAVEPOINT pgherd_direct');
  const [tag = ''] = tags;
  output.complete(/^SELECT/.test(tag) ? `SELECT ${window.passed}` : tag);
}

export async function describeDirect(
  session: SessionState,
  direct: ExecuteDirect,
): Promise<readonly FieldDescription[] | null> {
  const sql = queryOf(session, direct);
  const [site] = sitesOf(session, direct);
  const connection = await session.transaction.join(site!, session.signal);
  return (await describeOn(connection, sql, [])).fields;
}

const queries: ReadonlySet<string> = new Set(['SelectStmt', 'VariableShowStmt', 'ExplainStmt']);

function queryOf(session: SessionState, { sql }: ExecuteDirect): string {
  const statements = session.services.statements.parse(sql);
  const [statement] = statements;
  if (statement === undefined || statements.length > 1) {
    throw pgError('syntaxError', 'EXECUTE DIRECT takes one query');
  }
  if (queries.has(statement.kind)) return statement.text;
  throw unsupported('PH043', `EXECUTE DIRECT of ${statement.kind.replace(/Stmt$/, '')}`);
}

function sitesOf({ catalog }: SessionState, { nodes }: ExecuteDirect): Site[] {
  return nodes.map((name) => {
    const node = catalog.nodes.find((each) => each.name === name && each.active);
    if (node) return node.id;
    if (name === 'coordinator') return 'coordinator';
    throw pgError('undefinedObject', `node "${name}" does not exist`);
  });
}

function eachQuery(connections: readonly ServerConnection[], sql: string): Promise<unknown> {
  return settled(connections.map((connection) => connection.query(sql)));
}
