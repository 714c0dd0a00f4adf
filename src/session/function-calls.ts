import { type CatalogSnapshot, type RelationEntry, resolveRelation } from '../catalog/snapshot.ts';
import { PgError } from '../core/errors.ts';
import { conditions } from '../core/sqlstate.ts';
import type { SessionState } from './session-state.ts';
import type { ParsedStatement } from './statement-cache.ts';

/*
 * What a user's function writes on nodes comes back by the loop while the coordinator is at work on the statement that called it. It
 * ends together with what the coordinator has written only when the coordinator is in a block too.
 */

/**
 * Opens a block on the coordinator for a statement that may write distributed tables through a function or a trigger. `steps`: it reads in
 * several, which are to see one moment.
 */
export async function openForFunctions(
  session: SessionState,
  statement: ParsedStatement,
  steps: 'one' | 'several' = 'one',
): Promise<void> {
  if (session.services.loop === null || session.loop !== null || session.committingProcedure) return;
  if (!mayComeBack(session, statement)) return;
  if (steps === 'several') await session.transaction.openSnapshotBlock(session.signal);
  session.transaction.ensureBlock();
  await session.coordinator('data');
  session.transaction.markWritten('coordinator');
}

/** A materialized view is filled by one statement, whose reads come back one by one: they share a snapshot. */
export function openForFilling(session: SessionState): void {
  if (session.services.loop === null) return;
  session.transaction.ensureBlock('BEGIN ISOLATION LEVEL REPEATABLE READ');
}

/** Functions that may change rows through the loop: where they meet others' changes, READ COMMITTED's rules are to hold. */
export function writesByFunctions({ catalog, services }: SessionState, { traits }: ParsedStatement): boolean {
  if (services.loop === null) return false;
  return traits.calls.some((name) =>
    catalog.functions.get(name)?.some(({ userDefined, volatility }) => userDefined && volatility === 'volatile'),
  );
}

/** It calls functions that users have made: what they do may come back to the router, while the coordinator is at work. */
export function callsUsers({ traits }: ParsedStatement, { functions }: CatalogSnapshot): boolean {
  return traits.calls.some((name) => functions.get(name)?.some(({ userDefined }) => userDefined));
}

function mayComeBack(session: SessionState, statement: ParsedStatement): boolean {
  const { kind } = statement;
  if (kind === 'DoStmt' || kind === 'CallStmt' || callsUsers(statement, session.catalog)) return true;
  return changeTargets(session, statement).some(
    ({ distributed, hasTriggers }) => distributed === null && hasTriggers === true,
  );
}

/** What a statement that changes rows changes: every relation that its name may stand for. */
export function changeTargets(
  { catalog, temporaryNames }: SessionState,
  { kind, node }: ParsedStatement,
): readonly RelationEntry[] {
  if (!/^(Insert|Update|Delete|Merge)Stmt$/.test(kind)) return [];
  const [{ relation }] = Object.values(node) as [{ relation?: { schemaname?: string; relname?: string } }];
  const name = relation?.relname;
  if (name === undefined || temporaryNames.has(name)) return [];
  const candidates = relation?.schemaname
    ? [resolveRelation(catalog, relation.schemaname, name, [])]
    : [...catalog.relations.keys()].map((schema) => resolveRelation(catalog, schema, name, []));
  return candidates.flatMap((found) => (found.kind === 'relation' ? [found.relation] : []));
}

/**
 * A procedure that ends transactions can't be in a block of the router's. Whether it does is seen when it tries; by then nothing of it
 * has been committed, so it runs again, by itself.
 */
export async function withoutBlockIfItCommits(session: SessionState, run: () => Promise<void>): Promise<void> {
  const { transaction } = session;
  if (transaction.inBlock) return run();
  try {
    await run();
  } catch (error) {
    const commits = error instanceof PgError && error.code === conditions.invalidTransactionTermination;
    if (!commits || transaction.explicit || !transaction.inBlock) throw error;
    await transaction.rollback();
    session.committingProcedure = true;
    try {
      await run();
    } finally {
      session.committingProcedure = false;
    }
  }
}
