import { pgError } from '../core/errors.ts';
import type { SqlRunner } from '../core/runner.ts';
import type { HerdTransaction } from './herd.ts';

/** What decides whether two servers can be of one herd (DESIGN 2). */
interface ServerFacts {
  readonly version: number;
  readonly encoding: string;
  /** `bytewise`, or provider, locale and version. */
  readonly order: string;
  /** The guards read error contexts, which are in this language. */
  readonly messages: string;
  readonly maxPreparedTransactions: number;
  readonly availableExtensions: readonly string[];
}

const lowestVersion = 150_000;
/** Each two-phase commit under way holds one. */
const wantedPreparedTransactions = 50;

/** Refuses a server on which rows would order, compare or commit differently. Gives its version number. */
export async function admitNode(tx: HerdTransaction, node: SqlRunner, extensions: readonly string[]): Promise<number> {
  const [own, other] = [await serverFacts(tx.coordinator), await serverFacts(node)];
  const refuse = (message: string, hint: string) =>
    pgError('objectNotInPrerequisiteState', `the node cannot join: ${message}`, { hint });
  if (await isCoordinator(tx.coordinator, node)) {
    throw refuse('it is the coordinator itself', 'SELECT citus_set_coordinator_host(…) names the coordinator.');
  }
  if (other.version < lowestVersion)
    throw refuse(`its version is ${other.version}`, 'PostgreSQL 15 or newer is needed.');
  if (other.encoding !== own.encoding) {
    throw refuse(
      `its encoding is ${other.encoding}, the coordinator's is ${own.encoding}`,
      'Create its database with the same ENCODING.',
    );
  }
  if (other.order !== own.order) {
    throw refuse(
      `its default collation is ${other.order}, the coordinator's is ${own.order}`,
      'Create its database with the same locale at the same version; C and C.UTF-8 are alike everywhere.',
    );
  }
  if (!/^(C|POSIX|en.*)?(\.|$)/.test(other.messages)) {
    throw refuse(
      `its messages are in the language of ${other.messages}`,
      "ALTER SYSTEM SET lc_messages = 'C' there, and reload.",
    );
  }
  if (other.maxPreparedTransactions === 0) {
    throw refuse(
      'max_prepared_transactions is 0',
      `Set it to ${wantedPreparedTransactions} or more and restart the server.`,
    );
  }
  const missing = extensions.filter((name) => !other.availableExtensions.includes(name));
  if (missing.length > 0) throw refuse(`it lacks the extensions ${missing.join(', ')}`, 'Install them on its machine.');
  if (other.maxPreparedTransactions < wantedPreparedTransactions) {
    const message = `max_prepared_transactions of the node is ${other.maxPreparedTransactions}: few transactions can commit at once`;
    tx.notice({ severity: 'WARNING', code: '01000', message });
  }
  return other.version;
}

/** The node sees the coordinator's own connection. (Servers copied from one template have one system identifier.) */
async function isCoordinator(coordinator: SqlRunner, node: SqlRunner): Promise<boolean> {
  const { rows } = await coordinator.query(
    'SELECT pid, backend_start, datid FROM pg_stat_activity WHERE pid = pg_backend_pid()',
  );
  const { rows: seen } = await node.query(
    `SELECT FROM pg_stat_activity a JOIN pg_database d ON d.oid = a.datid AND d.datname = current_database()
    WHERE (a.pid, a.backend_start, a.datid) = ($1, $2, $3)`,
    [...rows[0]!],
  );
  return seen.length > 0;
}

async function serverFacts(runner: SqlRunner): Promise<ServerFacts> {
  const { rows } = await runner.query(factsSql);
  return JSON.parse(rows[0]![0]!) as ServerFacts;
}

/** Of a row `d` of pg_database: how its default collation orders; equal on servers that can be of one herd. */
export const defaultOrderSql = `CASE WHEN d.datlocprovider = 'c' AND d.datcollate IN ('C', 'POSIX', 'C.UTF-8', 'C.utf8') OR d.datlocprovider = 'b'
    THEN 'bytewise' ELSE concat_ws(' ', CASE d.datlocprovider WHEN 'i' THEN 'icu' ELSE 'libc' END,
      coalesce(to_jsonb(d)->>'datlocale', to_jsonb(d)->>'daticulocale', d.datcollate), d.datcollversion) END`;

const factsSql = `SELECT json_build_object(
  'version', current_setting('server_version_num')::integer, 'encoding', current_setting('server_encoding'),
  'order', ${defaultOrderSql},
  'messages', current_setting('lc_messages'),
  'maxPreparedTransactions', current_setting('max_prepared_transactions')::integer,
  'availableExtensions', (SELECT json_agg(name) FROM pg_available_extensions))
FROM pg_database d WHERE d.datname = current_database()`;
