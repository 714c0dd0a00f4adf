import { unreachable } from '../core/assert.ts';
import { unsupported } from '../core/errors.ts';
import type { QueryResult, SqlRunner } from '../core/runner.ts';
import { deparseExpression } from '../sql/deparse.ts';
import type { RawStatement } from '../sql/parse.ts';
import { arrayText } from './array-text.ts';
import { changeTables } from './change-tables.ts';
import type { ColumnChanges } from './column-changes.ts';
import type { DdlAction } from './ddl-action.ts';
import { notice } from './distribute.ts';
import { distributeByClause, relationExists } from './distribute-by-clause.ts';
import { settleDelegates } from './distributed-functions.ts';
import { withShellAccess } from './guard.ts';
import type { HerdTransaction } from './herd.ts';
import { withUncheckedKeys } from './kept-foreign-keys.ts';
import { arrangeKeyWatches } from './key-watches.ts';
import { lockTables } from './lock-tables.ts';
import { dropLoopSql } from './loop-sql.ts';
import { changeNode } from './node-statements.ts';
import { changeObjects } from './object-ddl.ts';
import { createIndexOnline, dropIndexOnline } from './online-index.ts';
import { runAll } from './owner.ts';
import { onNodes } from './place-table.ts';
import { redistribute } from './redistribute.ts';
import { retypeKey } from './retype-key.ts';
import { changeRole } from './role-ddl.ts';
import { changeSchemaPrivileges, dropSchemas, renameSchema } from './schema-ddl.ts';
import type { TableShape } from './table-shape.ts';
import { truncateTables } from './truncate.ts';

export { classifyDdl } from './classify-ddl.ts';
export type { DdlAction } from './ddl-action.ts';

/** Carries out what classifyDdl() found, in the transaction; gives the command tag. */
export async function runDdl(tx: HerdTransaction, action: DdlAction, statement: RawStatement): Promise<string> {
  const tag = await runAction(tx, action, statement);
  await settleDelegates(tx);
  return tag;
}

async function runAction(tx: HerdTransaction, action: DdlAction, statement: RawStatement): Promise<string> {
  const { text } = statement;
  const run = () => tx.coordinator.query(text);
  const snapshot = await tx.snapshot();
  switch (action.kind) {
    case 'local': {
      const { tag } = await run();
      if (action.changesCatalog) tx.changed();
      return tag;
    }
    case 'refuse':
      throw unsupported(action.code, action.what);
    case 'notice':
      notice(tx, action.message);
      return action.tag;
    case 'tables': {
      if (action.text !== null && !action.checksKeys) {
        notice(tx, 'the index is built in one transaction: writes to the table wait until it is done');
      }
      const sql = action.text ?? text;
      const execute = async () => {
        await runAll(tx.coordinator, action.withoutLoop.flatMap(dropLoopSql));
        const query = () => tx.coordinator.query(sql);
        return action.checksKeys ? withUncheckedKeys(tx, query) : query();
      };
      const result = await changeTables(tx, snapshot, {
        scope: action.scope,
        run: action.shellAccess ? () => withShellAccess(tx.coordinator, execute) : execute,
        columns: (before) => columnChanges(statement, before),
      });
      return result.tag;
    }
    case 'create index online':
      await createIndexOnline(tx, snapshot, { ...action, text });
      return 'CREATE INDEX';
    case 'drop index online':
      await dropIndexOnline(tx, snapshot, { ...action, text });
      return 'DROP INDEX';
    case 'retype key':
      return (await retypeKey(tx, snapshot, action.table, run)).tag;
    case 'local keys': {
      const execute = () => tx.coordinator.query(action.text);
      const { tag } = await withShellAccess(tx.coordinator, () =>
        action.checksKeys ? withUncheckedKeys(tx, execute) : execute(),
      );
      tx.changed();
      await arrangeKeyWatches(tx, { checksRows: true });
      return tag;
    }
    case 'objects': {
      const { nodeText, nodeFunction, scope } = action;
      return (await changeObjects(tx, snapshot, { scope, run, nodeText, nodeFunction })).tag;
    }
    case 'role':
      return (await changeRole(tx, snapshot, run, action)).tag;
    case 'schema privileges':
      return (await changeSchemaPrivileges(tx, snapshot, run, text)).tag;
    case 'rename schema':
      return (await renameSchema(tx, snapshot, run, action)).tag;
    case 'drop schemas':
      return (await dropSchemas(tx, snapshot, run, action)).tag;
    case 'truncate': {
      const execute = () => tx.coordinator.query(action.text);
      return (await truncateTables(tx, snapshot, execute, action)).tag;
    }
    case 'lock':
      return (await lockTables(tx, snapshot, run, action)).tag;
    case 'maintenance': {
      const { tag } = await run();
      const { nodeText } = action;
      if (nodeText !== null) await onNodes(tx, snapshot, (node) => node.query(nodeText));
      return tag;
    }
    case 'create like': {
      const { tag } = await run();
      await dropCopiedGuards(tx.coordinator);
      tx.changed();
      return tag;
    }
    case 'create distributed':
      return createDistributed(tx, action, run);
    case 'distribute created':
      await distributeByClause(tx, action.table, action.clause);
      return 'SELECT';
    case 'node':
      return changeNode(tx, action.statement);
    case 'redistribute':
      return redistribute(tx, action.wish);
    default:
      return unreachable(action);
  }
}

async function createDistributed(
  tx: HerdTransaction,
  action: Extract<DdlAction, { kind: 'create distributed' }>,
  run: () => Promise<QueryResult>,
): Promise<string> {
  const existed = action.ifNotExists && (await relationExists(tx.coordinator, action.table));
  const { tag } = await run();
  if (action.like) await dropCopiedGuards(tx.coordinator);
  tx.changed();
  if (!existed) await distributeByClause(tx, action.table, action.clause);
  return tag;
}

/** `ALTER COLUMN … TYPE … USING`: the one thing that a statement does and no catalog shows. */
function columnChanges(statement: RawStatement, before: readonly TableShape[]): Map<number, ColumnChanges> {
  const found = new Map<number, ColumnChanges>();
  if (!('AlterTableStmt' in statement.node)) return found;
  const { relation, cmds = [] } = statement.node.AlterTableStmt;
  for (const shape of before) {
    if (shape.name !== relation?.relname || (relation.schemaname && relation.schemaname !== shape.schema)) continue;
    const using = new Map<number, string>();
    for (const command of cmds) {
      if (!('AlterTableCmd' in command) || command.AlterTableCmd.subtype !== 'AT_AlterColumnType') continue;
      const { name, def } = command.AlterTableCmd;
      const expression = def && 'ColumnDef' in def ? def.ColumnDef.raw_default : undefined;
      const column = shape.columns.find((candidate) => candidate.name === name);
      if (expression && column) using.set(column.attnum, deparseExpression(expression));
    }
    found.set(shape.oid, { using });
  }
  return found;
}

async function dropCopiedGuards(runner: SqlRunner): Promise<QueryResult> {
  const { rows } = await runner.query(
    `SELECT format('DROP STATISTICS %I.%I', n.nspname, s.stxname)
    FROM pg_catalog.pg_depend d JOIN pg_catalog.pg_statistic_ext s ON s.oid = d.objid
    JOIN pg_catalog.pg_namespace n ON n.oid = s.stxnamespace
    WHERE d.classid = 'pg_statistic_ext'::regclass AND d.refobjid = 'pgherd.shell_guard(regclass)'::regprocedure
      AND s.stxrelid <> ALL ((SELECT coalesce(array_agg(t.relation), $1::oid[]) FROM pgherd.dist_table t)::oid[])`,
    [arrayText([])],
  );
  return runner.query(rows.map(([sql]) => sql).join(';\n') || 'SELECT');
}
