import type { CatalogSnapshot, DistributedTable, NodeEntry } from '../catalog/snapshot.ts';
import { PgError, pgError } from '../core/errors.ts';
import type { SqlRunner } from '../core/runner.ts';
import { settled } from '../core/settled.ts';
import { quoteQualified } from '../sql/quote.ts';
import { describeTables } from './describe-table.ts';
import { requireOwner } from './distribute.ts';
import { placingColumns } from './distribution-key.ts';
import { withShellAccess } from './guard.ts';
import { isMaintenanceText } from './guard-sql.ts';
import type { HerdTransaction } from './herd.ts';
import { attachIndexSql, createIndexSql } from './node-index.ts';
import { type Holder, holders, type NodeTable } from './node-relations.ts';
import { inOneTransaction, retriedForLocks } from './one-transaction.ts';
import {
  finishJob,
  type IndexJob,
  noteProgress,
  openIndexJob,
  readIndexJob,
  setValid,
  whileHolding,
} from './online-index-job.ts';
import { activeNodes, nodeTable, schemaOf } from './place-table.ts';
import { checkDistributable } from './table-rules.ts';
import type { IndexShape, TableShape } from './table-shape.ts';

/*
 * CREATE INDEX CONCURRENTLY on a distributed table. The index is made on the empty shell, and is INVALID from then on. Each node builds
 * it on one leaf after the other, CONCURRENTLY; then the parent's index is made over them, which takes a moment. When all nodes have it,
 * the shell's index becomes valid. No transaction spans all that: what was built before a failure stays, as a job that can be resumed,
 * and DROP INDEX removes it.
 */

/** `plain`: the statement without CONCURRENTLY, which the shell takes. */
export async function createIndexOnline(
  tx: HerdTransaction,
  snapshot: CatalogSnapshot,
  { oid, text, plain }: { readonly oid: number; readonly text: string; readonly plain: string },
): Promise<void> {
  const table = snapshot.relationsByOid.get(oid)!.distributed!;
  const isReference = table.distribution.kind === 'reference';
  const job = await tx.beside('coordinator', async (runner) => {
    // A reference table has its rows there too: its index is built as on the nodes, and is invalid only if that fails.
    const before = isReference ? await inOneTransaction(runner, () => describeTables(runner, [oid])) : null;
    if (isReference) await runner.query(text);
    return inOneTransaction(runner, async () => {
      const [was] = before ?? (await describeTables(runner, [oid]));
      if (!isReference) await makeOnShell(runner, plain);
      const [shape] = await describeTables(runner, [oid]);
      const index = shape?.indexes.find((each) => !was?.indexes.some((known) => known.oid === each.oid));
      if (!shape || !index) return null;
      if (table.distribution.kind === 'distributed') {
        checkDistributable(shape, placingColumns(table.distribution));
      }
      return openIndexJob(runner, { relation: oid, index: index.oid });
    });
  });
  if (job === null) return;
  tx.changed();
  await buildOnNodes(tx, table, job);
}

/** Builds what an earlier attempt has left to do. */
export async function resumeIndexJob(tx: HerdTransaction, jobId: number): Promise<void> {
  const job = await tx.beside('coordinator', (runner) => readIndexJob(runner, jobId));
  const table = (await tx.snapshot()).relationsByOid.get(job.relation)?.distributed;
  if (!table) throw pgError('undefinedTable', `the table of job ${jobId} is not there any more`);
  await requireOwner(tx.coordinator, job.relation);
  tx.changed();
  await buildOnNodes(tx, table, job);
}

async function makeOnShell(runner: SqlRunner, plain: string): Promise<void> {
  const run = () => runner.query(plain);
  await (isMaintenanceText(plain) ? run() : withShellAccess(runner, run));
}

/** One worker at a time: whoever resumes a job that is still at work is refused. */
function buildOnNodes(tx: HerdTransaction, table: DistributedTable, job: IndexJob): Promise<void> {
  return tx.beside('coordinator', (runner) => whileHolding(runner, job, () => buildEverywhere(tx, table, job)));
}

async function buildEverywhere(tx: HerdTransaction, table: DistributedTable, job: IndexJob): Promise<void> {
  const snapshot = await tx.snapshot();
  const { shape, index, schema } = await tx.beside('coordinator', (runner) =>
    inOneTransaction(runner, async () => {
      const [found] = await describeTables(runner, [job.relation]);
      const own = found?.indexes.find((each) => each.oid === job.index);
      if (!found || !own) throw pgError('undefinedObject', `the index of job ${job.id} was dropped`);
      return { shape: found, index: own, schema: await schemaOf(runner, found) };
    }),
  );
  try {
    await settled(
      activeNodes(snapshot).map(async (node) => {
        await buildOnNode(tx, nodeTable(shape, schema, table, node.id), index, node);
        await tx.beside('coordinator', (runner) => noteProgress(runner, job.id, node.name));
      }),
    );
  } catch (error) {
    await tx.beside('coordinator', (runner) =>
      finishJob(runner, job, error instanceof Error ? error.message : 'failed'),
    );
    throw withWayOut(error, shape, index, job.id);
  }
  await tx.beside('coordinator', (runner) => finishJob(runner, job, null));
}

async function buildOnNode(tx: HerdTransaction, table: NodeTable, index: IndexShape, node: NodeEntry): Promise<void> {
  await tx.beside(node.id, async (runner) => {
    for (const holder of holders(table)) await buildOnHolder(runner, holder, index);
    if (table.group === null) return;
    const whole = attachIndexSql(table, index).join(';\n');
    await retriedForLocks(tx.signal, () => inOneTransaction(runner, () => runner.query(whole), { lockTimeoutMs: 500 }));
  });
}

/** An earlier attempt may have left the index, whole or not. */
async function buildOnHolder(runner: SqlRunner, { relation, schema }: Holder, index: IndexShape): Promise<void> {
  const name = quoteQualified(schema, index.name);
  const { rows } = await runner.query(
    'SELECT i.indisvalid FROM pg_catalog.pg_index i WHERE i.indexrelid = to_regclass($1)',
    [name],
  );
  if (rows[0]?.[0] === 't') return;
  if (rows[0]?.[0] === 'f') await runner.query(`DROP INDEX CONCURRENTLY ${name}`);
  await runner.query(createIndexSql({ ...index, concurrently: true }, relation));
}

function withWayOut(error: unknown, shape: TableShape, index: IndexShape, jobId: number): unknown {
  if (!(error instanceof PgError)) return error;
  const name = quoteQualified(shape.schema, index.name);
  const hint = `Index ${name} is invalid now. Drop it (DROP INDEX ${name}), or go on with SELECT pgherd_resume_job(${jobId}).`;
  return new PgError({ ...error.fields, hint: error.fields.hint ? `${error.fields.hint} ${hint}` : hint });
}

/**
 * DROP INDEX CONCURRENTLY. PostgreSQL has none for partitioned tables, so each node drops the index in a moment when it gets the lock at
 * once, trying again until then: nobody queues behind it. The shell's index is invalid meanwhile, and is dropped last.
 */
export async function dropIndexOnline(
  tx: HerdTransaction,
  snapshot: CatalogSnapshot,
  { index, text }: { readonly index: number; readonly text: string },
): Promise<void> {
  const found = await tx.beside('coordinator', (runner) =>
    inOneTransaction(runner, () => giveUp(runner, snapshot, index)),
  );
  if (found) {
    const name = quoteQualified(found.schema, found.name);
    await settled(
      activeNodes(snapshot).map((node) =>
        tx.beside<unknown>(node.id, (runner) => {
          if (found.isReference) return runner.query(`DROP INDEX CONCURRENTLY IF EXISTS ${name}`);
          const drop = () => runner.query(`DROP INDEX IF EXISTS ${name}`);
          return retriedForLocks(tx.signal, () => inOneTransaction(runner, drop, { lockTimeoutMs: 100 }));
        }),
      ),
    );
  }
  await tx.beside('coordinator', (runner) => runner.query(text));
  tx.changed();
}

/** Makes the index of a distributed table invalid. null: the index is not of such a table. */
async function giveUp(runner: SqlRunner, snapshot: CatalogSnapshot, index: number) {
  const { rows } = await runner.query('SELECT i.indrelid FROM pg_catalog.pg_index i WHERE i.indexrelid = $1', [
    String(index),
  ]);
  const table = snapshot.relationsByOid.get(Number(rows[0]?.[0] ?? 0))?.distributed;
  if (!table) return null;
  const [shape] = await describeTables(runner, [table.oid]);
  const own = shape?.indexes.find((each) => each.oid === index);
  if (!shape || !own) {
    throw pgError('dependentObjectsStillExist', 'cannot drop the index of a constraint', {
      hint: 'ALTER TABLE … DROP CONSTRAINT drops both.',
    });
  }
  await requireOwner(runner, table.oid);
  await setValid(runner, index, false);
  return { schema: shape.schema, name: own.name, isReference: table.distribution.kind === 'reference' };
}
