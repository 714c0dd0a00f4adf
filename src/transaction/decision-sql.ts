import { createHash } from 'node:crypto';
import type { NodeId } from '../catalog/snapshot.ts';
import type { SqlRunner } from '../core/runner.ts';
import { failure } from './answers.ts';
import { decisionKey, epochLockClass, type TransactionName } from './gid.ts';
import type { Answer } from './protocol.ts';
import type { EndedDecisions } from './transaction-book.ts';

/**
 * The functions that write decisions, created in schema `pgherd` on the coordinator (its tables: catalog/schema-sql.ts). The
 * primary key of `transaction_decision` lets exactly one decision win; an insert that meets a concurrent one waits for its end. All of them
 * commit with synchronous_commit on: with `off`, an acknowledged decision was lost in a crash (tried), and a lost fence or abort
 * would let a slow router decide anew.
 *
 * A client's role runs decide_commit() in its own transaction, so whoever calls it proves to be the router: `secret` is a
 * query that only the functions' owner may run.
 */
export function decisionFunctionsSql(secret: string): string {
  return `
SELECT pg_advisory_xact_lock(${epochLockClass}, 0), set_config('client_min_messages', 'warning', true);
DO $$ BEGIN
  IF NOT EXISTS (SELECT FROM pg_attribute WHERE attrelid = 'pgherd.transaction_decision'::regclass AND attname = 'nodes') THEN
    -- The nodes that were prepared.
    ALTER TABLE pgherd.transaction_decision ADD COLUMN nodes integer[] NOT NULL DEFAULT '{}';
  END IF;
END $$;
DROP FUNCTION IF EXISTS pgherd.decide_commit(text, bigint);

CREATE OR REPLACE FUNCTION pgherd.decide_commit(key text, of_epoch bigint, of_nodes integer[], proof text) RETURNS void
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog AS $$
DECLARE known text;
BEGIN
  known := (${secret});
  IF proof IS DISTINCT FROM encode(sha256(convert_to(concat_ws(':', known, 'decide', key, known), 'UTF8')), 'hex') THEN
    RAISE EXCEPTION USING ERRCODE = '42501', MESSAGE = 'only the router decides transactions';
  END IF;
  PERFORM set_config('synchronous_commit', 'on', true);
  PERFORM 1 FROM pgherd.router_epoch e WHERE e.epoch = of_epoch AND NOT e.fenced FOR SHARE;
  IF NOT FOUND THEN
    RAISE EXCEPTION USING ERRCODE = '40001', MESSAGE = 'this router was declared dead while the transaction ran',
      HINT = 'Run the transaction again.';
  END IF;
  INSERT INTO pgherd.transaction_decision (gid, decision, nodes) VALUES (key, 'commit', of_nodes);
END $$;

CREATE OR REPLACE FUNCTION pgherd.decide_abort(key text) RETURNS text
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog AS $$
DECLARE winner text;
BEGIN
  PERFORM set_config('synchronous_commit', 'on', true);
  INSERT INTO pgherd.transaction_decision (gid, decision) VALUES (key, 'abort') ON CONFLICT DO NOTHING;
  SELECT d.decision INTO winner FROM pgherd.transaction_decision d WHERE d.gid = key;
  RETURN winner;
END $$;
REVOKE ALL ON FUNCTION pgherd.decide_abort(text) FROM PUBLIC;

-- True: its router is dead, and fenced. A living router holds the lock.
CREATE OR REPLACE FUNCTION pgherd.fence_epoch(of_epoch bigint) RETURNS boolean
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog AS $$
BEGIN
  PERFORM set_config('synchronous_commit', 'on', true);
  IF EXISTS (SELECT FROM pgherd.router_epoch e WHERE e.epoch = of_epoch AND e.fenced) THEN RETURN true; END IF;
  IF NOT pg_try_advisory_xact_lock(${epochLockClass}, of_epoch::integer) THEN RETURN false; END IF;
  UPDATE pgherd.router_epoch SET fenced = true WHERE epoch = of_epoch AND NOT fenced;
  RETURN true;
END $$;
REVOKE ALL ON FUNCTION pgherd.fence_epoch(bigint) FROM PUBLIC`;
}

/** Parameters, not literals: the proof is in nobody's view of running statements. */
export function decideSql(
  name: TransactionName,
  nodes: readonly NodeId[],
  proof: string,
): { readonly sql: string; readonly parameters: readonly string[] } {
  return {
    sql: 'SELECT pgherd.decide_commit($1, $2::bigint, $3::integer[], $4)',
    parameters: [decisionKey(name), String(name.epoch), `{${nodes.join(',')}}`, proof],
  };
}

/**
 * Rows for transactions of one router, by its own role: as decide_commit() does, if its epoch is not fenced. The tag tells how many rows there are: all or none.
 * The text is always the same, so that it stays prepared.
 */
export function decideTogetherSql(
  transactions: readonly { readonly name: TransactionName; readonly nodes: readonly NodeId[] }[],
): { readonly sql: string; readonly parameters: readonly string[] } {
  const keys = transactions.map(({ name }) => decisionKey(name));
  const nodes = transactions.map((each) => `"{${each.nodes.join(',')}}"`);
  return {
    sql: decideTogetherText,
    parameters: [String(transactions[0]?.name.epoch), `{${keys.join(',')}}`, `{${nodes.join(',')}}`],
  };
}

const decideTogetherText = `
WITH alive AS (
  SELECT pg_catalog.set_config('synchronous_commit', 'on', true) AS durable
    FROM pgherd.router_epoch e WHERE e.epoch = $1::bigint AND NOT e.fenced FOR SHARE)
INSERT INTO pgherd.transaction_decision (gid, decision, nodes)
  SELECT d.gid, 'commit', d.nodes::integer[]
    FROM alive, ROWS FROM (pg_catalog.unnest($2::text[]), pg_catalog.unnest($3::text[])) d (gid, nodes)
    WHERE alive.durable = 'on'`;

/** Good for this transaction only. */
export function decisionProof(name: TransactionName, secret: string): string {
  return createHash('sha256')
    .update([secret, 'decide', decisionKey(name), secret].join(':'))
    .digest('hex');
}

export async function askDecision(control: SqlRunner, key: string): Promise<Answer> {
  try {
    const { rows } = await control.query('SELECT pgherd.decide_abort($1)', [key]);
    return { kind: 'decided', decision: rows[0]?.[0] === 'commit' ? 'commit' : 'abort' };
  } catch (error) {
    return failure(error);
  }
}

/**
 * Deletes rows that have served, and takes nodes that were told off the others; null: nothing is to do. An abort of a living epoch
 * stays: a commit of the same name may still be on its way to the coordinator.
 */
export function forgetSql({ served, told }: EndedDecisions): string | null {
  const statements = [...told].map(
    ([key, nodes]) => `UPDATE pgherd.transaction_decision
      SET nodes = ARRAY(SELECT n FROM unnest(nodes) n WHERE n <> ALL ('{${nodes.join(',')}}'::integer[])) WHERE gid = '${key}'`,
  );
  if (served.length > 0) {
    statements.push(`DELETE FROM pgherd.transaction_decision d WHERE d.gid IN (${served.map((key) => `'${key}'`).join(', ')})
      AND (d.decision = 'commit' OR EXISTS (SELECT FROM pgherd.router_epoch e
             WHERE e.epoch = split_part(d.gid, ':', 3)::bigint AND e.fenced))`);
  }
  return statements.length === 0 ? null : statements.join(';\n');
}
