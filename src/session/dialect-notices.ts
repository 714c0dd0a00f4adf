import type { RangeVar } from '@pgsql/types';
import { withoutGreenplumOptions } from '../sql/storage-options.ts';
import type { StatementRun } from './run-statement.ts';
import type { SessionState } from './session-state.ts';

/** What CREATE TABLE says in a dialect and is ignored here: the client hears of it, and the statement goes on without. */
export function withoutIgnored(session: SessionState, run: StatementRun): StatementRun {
  const { statement } = run;
  if (statement.kind !== 'CreateStmt' && statement.kind !== 'CreateTableAsStmt') return run;
  if (statement.dialect !== undefined && isTemporary(statement.node)) {
    say(session, 'a temporary table stays with its session: where its rows were to be distributed is ignored');
  }
  const without = withoutGreenplumOptions(statement);
  if (without === null) return run;
  say(session, `storage options of Greenplum are ignored: ${without.ignored.join(', ')}`);
  return { ...run, statement: { ...statement, ...without.statement } };
}

function say(session: SessionState, message: string): void {
  session.notice({ severity: 'NOTICE', code: '00000', message });
}

function isTemporary(node: StatementRun['statement']['node']): boolean {
  const relation: RangeVar | undefined =
    'CreateStmt' in node
      ? node.CreateStmt.relation
      : 'CreateTableAsStmt' in node
        ? node.CreateTableAsStmt.into?.rel
        : undefined;
  return relation?.relpersistence === 't' || relation?.schemaname?.startsWith('pg_temp') === true;
}
