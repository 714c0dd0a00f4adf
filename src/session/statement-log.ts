import type { LogStatement } from './services.ts';
import type { SessionState } from './session-state.ts';
import type { ParsedStatement } from './statement-cache.ts';

/** Writes a client's statement to the log, if the configuration's log_statement has its class. As PostgreSQL divides them (GetCommandLogLevel). */
export function logStatement(session: SessionState, statement: ParsedStatement): void {
  const { logStatement: wanted, log } = session.services;
  if (wanted === 'none' || levels[classOf(statement)] > levels[wanted]) return;
  log.info({ user: session.identity.user, statement: statement.text }, 'statement');
}

const levels: Readonly<Record<LogStatement, number>> = { none: 0, ddl: 1, mod: 2, all: 3 };

const changes = new Set(['InsertStmt', 'UpdateStmt', 'DeleteStmt', 'MergeStmt', 'TruncateStmt', 'CopyStmt']);
const others = new Set(
  `SelectStmt VariableSetStmt VariableShowStmt DiscardStmt PrepareStmt ExecuteStmt DeallocateStmt ExplainStmt TransactionStmt
   DeclareCursorStmt FetchStmt ClosePortalStmt ListenStmt UnlistenStmt NotifyStmt CheckPointStmt LoadStmt ConstraintsSetStmt LockStmt
   VacuumStmt CallStmt DoStmt ReindexStmt ClusterStmt`.split(/\s+/),
);

function classOf({ kind }: ParsedStatement): 'ddl' | 'mod' | 'all' {
  if (changes.has(kind)) return 'mod';
  return others.has(kind) ? 'all' : 'ddl';
}
