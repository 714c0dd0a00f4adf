import { pgError } from '../core/errors.ts';
import type { SqlRunner } from '../core/runner.ts';
import { inOneTransaction } from './one-transaction.ts';
import { ownerOf } from './owner.ts';

/** The building of an index over all nodes, kept in pgherd.job: OIDs on the coordinator. */
export interface IndexJob {
  readonly id: number;
  readonly relation: number;
  readonly index: number;
}

const kind = 'create index';

/** In the transaction that makes the index on the shell. */
export async function openIndexJob(
  runner: SqlRunner,
  { relation, index }: { readonly relation: number; readonly index: number },
): Promise<IndexJob> {
  await setValid(runner, index, false);
  const { rows } = await ownerOf(runner).query(
    "INSERT INTO pgherd.job (kind, state, arguments, progress) VALUES ($1, 'running', $2, $3) RETURNING job_id",
    [kind, JSON.stringify({ relation, index }), JSON.stringify({ nodes: [] })],
  );
  return { id: Number(rows[0]![0]), relation, index };
}

export async function readIndexJob(runner: SqlRunner, id: number): Promise<IndexJob> {
  return inOneTransaction(runner, async () => {
    const { rows } = await ownerOf(runner).query(
      `SELECT (j.arguments->>'relation')::bigint, (j.arguments->>'index')::bigint, j.state FROM pgherd.job j WHERE j.job_id = $1 AND j.kind = $2`,
      [String(id), kind],
    );
    const [row] = rows;
    if (!row) throw pgError('undefinedObject', `there is no job ${id} that builds an index`);
    if (row[2] === 'finished') throw pgError('objectNotInPrerequisiteState', `job ${id} is finished`);
    await ownerOf(runner).query(
      "UPDATE pgherd.job SET state = 'running', error = NULL, updated_at = now() WHERE job_id = $1",
      [String(id)],
    );
    return { id, relation: Number(row[0]), index: Number(row[1]) };
  });
}

/** Any constant: the first half of the keys of jobs' advisory locks. */
const jobLockClass = 1_886_218_354;

/** Works while it holds the job's lock, which goes with the connection if the router dies. */
export async function whileHolding<T>(runner: SqlRunner, { id }: IndexJob, work: () => Promise<T>): Promise<T> {
  const key = `${jobLockClass}, ${id}`;
  const { rows } = await runner.query(`SELECT pg_try_advisory_lock(${key})`);
  if (rows[0]?.[0] !== 't') throw pgError('objectInUse', `job ${id} is at work`);
  try {
    return await work();
  } finally {
    await runner.query(`SELECT pg_advisory_unlock(${key})`);
  }
}

/** A node has the index. */
export async function noteProgress(runner: SqlRunner, id: number, node: string): Promise<void> {
  await inOneTransaction(runner, () =>
    ownerOf(runner).query(
      `UPDATE pgherd.job SET updated_at = now(), progress = jsonb_set(progress, '{nodes}',
        (progress->'nodes') - $2::text || to_jsonb($2::text)) WHERE job_id = $1`,
      [String(id), node],
    ),
  );
}

/** `error` null: all nodes have it, and the shell's index is valid from now on. */
export async function finishJob(runner: SqlRunner, { id, index }: IndexJob, error: string | null): Promise<void> {
  await inOneTransaction(runner, async () => {
    if (error === null) await setValid(runner, index, true);
    const state = error === null ? 'finished' : 'failed';
    await ownerOf(runner).query(
      'UPDATE pgherd.job SET state = $2, error = $3, updated_at = now(), finished_at = now() WHERE job_id = $1',
      [String(id), state, error],
    );
  });
}

/** Shown by \d as INVALID. Only a superuser may write it; without one, the index looks valid while it is being built. */
export async function setValid(runner: SqlRunner, index: number, valid: boolean): Promise<void> {
  const owner = ownerOf(runner);
  const { rows } =
    await owner.query(`SELECT r.rolsuper FROM pg_catalog.pg_namespace n JOIN pg_catalog.pg_roles r ON r.oid = n.nspowner
    WHERE n.nspname = 'pgherd'`);
  if (!['t', 'true'].includes(rows[0]?.[0] ?? '')) return;
  await owner.query(`UPDATE pg_catalog.pg_index SET indisvalid = ${valid} WHERE indexrelid = ${index}`);
}
