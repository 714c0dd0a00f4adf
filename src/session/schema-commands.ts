import { collectResult } from '../backend/collect-result.ts';
import type { ServerConnection } from '../backend/server-connection.ts';
import { liveShardSizeName } from '../catalog/compatibility-sql.ts';
import type { Site } from '../catalog/site.ts';
import { type DistributedTable, resolveRelation } from '../catalog/snapshot.ts';
import { pgError } from '../core/errors.ts';
import type { SqlRunner } from '../core/runner.ts';
import type { ClientOutput } from '../execute/client-output.ts';
import { copyRows, copyToAll, gatherRows } from '../execute/copy-tables.ts';
import { checkAllRows } from '../execute/keys/foreign-keys.ts';
import { encodeRendered } from '../execute/statement-bytes.ts';
import { delegationObstacle } from '../plan/planner.ts';
import { withClusterWideNames } from './cluster-wide-names.ts';
import { movesIntoSchemas, settleSchemas } from './distributed-schemas.ts';
import { openForFilling, openForFunctions, withoutBlockIfItCommits } from './function-calls.ts';
import { afterLocalStatement } from './local-effects.ts';
import { executionContext, runLocal, type StatementRun } from './run-statement.ts';
import { sayRows } from './say-rows.ts';
import type { SchemaAction, SchemaTransaction } from './services.ts';
import type { SessionState } from './session-state.ts';
import type { ParsedStatement } from './statement-cache.ts';

/** `SELECT create_distributed_table(…)` and its kin: carried out by the schema room in this session's transaction. */
export async function runAdminCall(session: SessionState, run: StatementRun, output: ClientOutput): Promise<void> {
  const { schema } = session.services;
  session.transaction.ensureBlock();
  const { transaction, settle } = await schemaTransaction(session);
  const answer = await schema.runAdmin(run.statement, await evaluateArguments(session, run), transaction);
  await settle();
  sayRows(output, answer.columns, answer.rows);
  output.complete(`SELECT ${answer.rows.length}`);
}

async function evaluateArguments(session: SessionState, run: StatementRun): Promise<readonly (string | null)[]> {
  const sql = session.services.schema.adminArguments(run.statement);
  if (sql === null) return [];
  const connection = await session.coordinator();
  const { rows } = await collectResult(connection, encodeRendered({ sql, values: run.parameters }, [0], false));
  return rows[0] ?? [];
}

/** DDL and other utility statements: local ones run on the coordinator as they stand, the others wherever the schema room says. */
export async function runSchemaChange(session: SessionState, asked: StatementRun, output: ClientOutput): Promise<void> {
  const { schema } = session.services;
  const run = { ...asked, statement: await withClusterWideNames(session, asked.statement) };
  const { statement } = run;
  const searchPath = await session.searchPath();
  const action = schema.classify(statement, session.catalog, searchPath, session.temporaryNames);
  if (movesIntoSchemas(session, statement)) session.transaction.ensureBlock();
  if (action.kind === 'local' || (action.needsBlock && !session.transaction.inBlock)) {
    if (statement.kind === 'RefreshMatViewStmt') openForFilling(session);
    await withoutBlockIfItCommits(session, async () => {
      await openForFunctions(session, statement);
      await runLocal(session, run, output);
    });
    if (action.changesCatalog) await session.schemaWasChanged();
    await settleSchemas(session, statement);
    return;
  }
  if (!action.outsideTransaction) session.transaction.ensureBlock();
  else if (action.refusedInBlock && session.transaction.inBlock) {
    throw pgError('activeSqlTransaction', `${action.refusedInBlock} cannot run inside a transaction block`);
  }
  for (const oid of truncatedTables(session, statement, searchPath)) session.truncating.add(oid);
  const tag = await runSchemaAction(session, statement, action).finally(() => session.truncating.clear());
  await settleSchemas(session, statement);
  await afterLocalStatement(session, statement);
  output.complete(tag);
}

/** With CASCADE any may be among them. */
function truncatedTables(
  { catalog }: SessionState,
  { node }: ParsedStatement,
  searchPath: readonly string[],
): number[] {
  if (!('TruncateStmt' in node)) return [];
  const { relations = [], behavior } = node.TruncateStmt;
  if (behavior === 'DROP_CASCADE') return [...catalog.relationsByOid.keys()];
  return relations.flatMap((entry) => {
    if (!('RangeVar' in entry) || entry.RangeVar.relname === undefined) return [];
    const found = resolveRelation(catalog, entry.RangeVar.schemaname, entry.RangeVar.relname, searchPath);
    return found.kind === 'relation' ? [found.relation.oid] : [];
  });
}

/** What classify() has found, in this session's transaction. Gives the command tag. */
export async function runSchemaAction(
  session: SessionState,
  statement: ParsedStatement,
  action: SchemaAction,
): Promise<string> {
  const { transaction, settle } = await schemaTransaction(session);
  const tag = await session.services.schema.runAction(action, statement, transaction);
  await settle();
  return tag;
}

/** The session's transaction as the schema room sees it. `settle` is called once its work is done. */
export async function schemaTransaction(
  session: SessionState,
): Promise<{ transaction: SchemaTransaction; settle: () => Promise<void> }> {
  const { services } = session;
  const connection = await session.coordinator();
  const coordinator = services.withOwner(connection, 'coordinator');
  session.transaction.markWritten('coordinator');
  let changed = false;
  const context = () => executionContext(session, []);
  const transaction: SchemaTransaction = {
    coordinator,
    async node(id) {
      // Perhaps it was added in this very transaction.
      if (!session.catalog.nodes.some((node) => node.id === id)) await session.reloadTransactionCatalog();
      const node = await session.transaction.join(id, session.signal);
      session.transaction.markWritten(id);
      return services.withOwner(node, id);
    },
    async resetStatistics() {
      if (connection.parameters.get('is_superuser') !== 'on') {
        throw pgError('insufficientPrivilege', 'permission denied for function citus_stat_statements_reset');
      }
      services.times.reset();
      await services.peers.ask({ kind: 'resetTimes' });
    },
    async shardSizes() {
      const rows = await services.routerRows(liveShardSizeName, (message) =>
        session.notice({ severity: 'WARNING', code: '01000', message }),
      );
      return rows.map(([shardId, , bytes]) => ({ shardId: shardId!, bytes: bytes ?? '0' }));
    },
    beside: (site, work) => session.beside((own) => cancellable(session, own, site, work), site),
    async checkForeignKey(oid) {
      await checkAllRows(oid, { ...context(), snapshot: await services.loadCatalog(coordinator) });
    },
    async delegationObstacle(oid) {
      const snapshot = await services.loadCatalog(coordinator);
      return delegationObstacle(oid, { snapshot, searchPath: await session.searchPath() });
    },
    snapshot: () => services.loadCatalog(coordinator),
    changed: () => {
      changed = true;
    },
    notice: (fields) => session.notice(fields),
    copyRows: (fromSql, table, columns) => copyRows(context(), fromSql, table, columns, sayProgress(session, table)),
    gatherRows: (table, intoTable, columns) =>
      gatherRows(context(), table, intoTable, columns, sayProgress(session, table)),
    copyToAll: (fromSql, table, columns, only) =>
      copyToAll(context(), fromSql, table, columns, only, sayProgress(session, table)),
    resolveAddress: (name, port) => services.resolveAddress(name, port),
    defaultShardCount: services.defaultShardCount,
    signal: session.signal,
  };
  return {
    transaction,
    settle: async () => {
      if (changed) await session.schemaWasChanged();
    },
  };
}

/** A cancel request of the client reaches it, as it reaches the transaction's connections. */
async function cancellable<T>(
  { signal, services }: SessionState,
  connection: ServerConnection,
  site: Site,
  work: (runner: SqlRunner) => Promise<T>,
): Promise<T> {
  const cancel = () => void connection.cancel().catch(() => {});
  signal.addEventListener('abort', cancel, { once: true });
  try {
    return await work(services.withOwner(connection, site));
  } finally {
    signal.removeEventListener('abort', cancel);
  }
}

/** A long copy says now and then how far it is. */
function sayProgress(session: SessionState, { name }: DistributedTable): (rows: number) => void {
  return (rows) =>
    session.notice({ severity: 'NOTICE', code: '00000', message: `copied ${rows} rows of table "${name}" so far` });
}
