import type { Site } from '../../catalog/site.ts';
import type { RelationEntry } from '../../catalog/snapshot.ts';
import { settled } from '../../core/settled.ts';
import { quoteQualified } from '../../sql/quote.ts';
import type { ExecutionContext } from '../context.ts';

/**
 * Whether rows that satisfy a condition have been committed which a REPEATABLE READ transaction doesn't see. Another connection looks for
 * them; it sees what the transaction itself has deleted or changed as it was, but with the transaction's marks on it. (PostgreSQL's own
 * checks look past the snapshot too: ri_triggers.c, "crosscheck".)
 */
export async function childIsSeenLate(
  relation: RelationEntry,
  condition: string,
  context: ExecutionContext,
): Promise<boolean> {
  const name = quoteQualified(relation.schema, relation.name);
  const answers = await settled(
    sitesOf(relation).map(async (site) => {
      const own = await context.transaction.join(site, context.signal);
      const marks = await own.query(ownMarksSql);
      const sql = `SELECT 1 FROM ${name} AS t WHERE ${condition} AND t.xmax::text <> ALL ($1::text[]) LIMIT 1`;
      return context.control(site).query(sql, [marks.rows[0]![0]!]);
    }),
  );
  return answers.some(({ rows }) => rows.length > 0);
}

/** Where rows of a table are read. */
export function sitesOf({ distributed }: RelationEntry): Site[] {
  const distribution = distributed?.distribution;
  if (distribution?.kind !== 'distributed') return ['coordinator'];
  return [...new Set(distribution.group.shards.map(({ nodeId }) => nodeId))];
}

/** The transaction's ids on the server, those of its savepoints too: it holds a lock on each. */
const ownMarksSql = `SELECT coalesce(array_agg(l.transactionid::text), '{}') FROM pg_catalog.pg_locks l
  WHERE l.locktype = 'transactionid' AND l.pid = pg_catalog.pg_backend_pid() AND l.mode = 'ExclusiveLock'`;
