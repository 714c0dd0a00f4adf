import type { ServerConnection } from '../backend/server-connection.ts';
import type { Site } from '../catalog/site.ts';
import type { DistributedTable, NodeId } from '../catalog/snapshot.ts';
import { settled } from '../core/settled.ts';
import { quoteIdentifier, quoteQualified } from '../sql/quote.ts';
import type { ExecutionContext } from './context.ts';
import { readCopyOptions } from './copy-options.ts';
import { type CopySink, pumpCopy } from './copy-pump.ts';
import { CopyRouter } from './copy-router.ts';
import { CopyShares } from './copy-shares.ts';
import { activeNodes, columnList, sitesOf } from './copy-target.ts';
import { joinAll } from './sources.ts';

/*
 * Whole tables between coordinator and nodes, within the session's transaction, in COPY's text format: what is in it reads
 * the same on every server (OIDs of types and of named objects don't).
 */

/** Told of the rows copied so far, now and then. */
export type CopyProgress = (rows: number) => void;

const textOptions = readCopyOptions([], []);

/** Rows of a query on the coordinator → the shards of a table. Its global unique indexes are the caller's to fill. */
export async function copyRows(
  context: ExecutionContext,
  fromSql: string,
  table: DistributedTable,
  columns: readonly string[],
  progress?: CopyProgress,
): Promise<number> {
  if (table.distribution.kind === 'reference') return copyToAll(context, fromSql, table, columns, undefined, progress);
  const coordinator = await joinCoordinator(context);
  const router = new CopyRouter(
    context,
    { table, columns, options: textOptions, optionsSql: '', whereSql: '' },
    {
      asker: context.control(),
      coordinator: () => joinCoordinator(context),
      onNotice() {},
      onFailed() {},
    },
  );
  return withPlainOutput([coordinator], () =>
    finishing(router, async () => {
      await pumpCopy(coordinator, `COPY (${fromSql}) TO STDOUT`, counted(router, progress));
      return router.finish();
    }),
  );
}

/** All shards of a table → a table of the coordinator, whose name is qualified and quoted. */
export async function gatherRows(
  context: ExecutionContext,
  table: DistributedTable,
  intoTable: string,
  columns: readonly string[],
  progress?: CopyProgress,
): Promise<number> {
  await joinCoordinator(context);
  const nodes = await joinAll(sitesOf(table, context), context);
  const list = columns.map(quoteIdentifier).join(', ');
  const fromSql = `COPY (SELECT ${list} FROM ${quoteQualified(table.schema, table.name)}) TO STDOUT`;
  const copies = new Broadcast(context, ['coordinator'], `COPY ${intoTable}${columnList(columns)} FROM STDIN`);
  const sink = counted(copies, progress);
  return withPlainOutput(nodes, () =>
    finishing(copies, async () => {
      await settled(nodes.map((node) => pumpCopy(node, fromSql, sink)));
      return copies.finish();
    }),
  );
}

/** Rows of a query on the coordinator → every active node, or the one named (it is being added). */
export async function copyToAll(
  context: ExecutionContext,
  fromSql: string,
  table: DistributedTable,
  columns: readonly string[],
  only?: NodeId,
  progress?: CopyProgress,
): Promise<number> {
  const coordinator = await joinCoordinator(context);
  const sites = only === undefined ? activeNodes(context) : [only];
  const intoSql = `COPY ${quoteQualified(table.schema, table.name)}${columnList(columns)} FROM STDIN`;
  const copies = new Broadcast(context, sites, intoSql);
  return withPlainOutput([coordinator], () =>
    finishing(copies, async () => {
      await pumpCopy(coordinator, `COPY (${fromSql}) TO STDOUT`, counted(copies, progress));
      return copies.finish();
    }),
  );
}

function joinCoordinator({ transaction, signal }: ExecutionContext): Promise<ServerConnection> {
  transaction.ensureBlock();
  return transaction.join('coordinator', signal);
}

/** The same bytes to several servers. */
class Broadcast implements CopySink {
  readonly #sites: readonly Site[];
  readonly #shares: CopyShares;

  constructor(context: ExecutionContext, sites: readonly Site[], sql: string) {
    this.#sites = sites;
    this.#shares = new CopyShares(context, {
      sql,
      format: 'text',
      siteCount: sites.length,
      shown: (data) => data,
      onError() {},
      onNotice() {},
    });
  }

  push(row: Buffer): void {
    if (this.#shares.error !== null) throw this.#shares.error;
    for (const site of this.#sites) this.#shares.at(site).appendRaw(row);
  }

  get waits(): boolean {
    return this.#shares.full || this.#shares.error !== null;
  }

  async settle(): Promise<void> {
    if (this.#shares.error !== null) throw this.#shares.error;
    await this.#shares.drained();
  }

  /** Gives the number of rows, the same on every server. */
  async finish(): Promise<number> {
    await this.#shares.close();
    const [first] = this.#sites;
    return first === undefined ? 0 : this.#shares.rowsAt(first);
  }

  async fail(reason: unknown): Promise<unknown> {
    const [found] = await this.#shares.abandon();
    return found?.error ?? reason;
  }
}

/** On an error nothing is left running, and the earliest cause is thrown. */
async function finishing<T>(copies: { fail(reason: unknown): Promise<unknown> }, work: () => Promise<T>): Promise<T> {
  try {
    return await work();
  } catch (reason) {
    throw await copies.fail(reason);
  }
}

const progressRows = 100_000;

/** A server sends each row as a message of its own, so pushes are rows. */
function counted(sink: CopySink, progress: CopyProgress | undefined): CopySink {
  if (progress === undefined) return sink;
  let rows = 0;
  return {
    push(row) {
      sink.push(row);
      rows += 1;
      if (rows % progressRows === 0) progress(rows);
    },
    get waits() {
      return sink.waits;
    },
    settle: () => sink.settle(),
  };
}

/** Settings under which every value is written in full and reads the same under any others. */
const plainSettings: ReadonlyMap<string, string> = new Map([
  ['datestyle', 'ISO, YMD'],
  ['intervalstyle', 'postgres'],
  ['extra_float_digits', '3'],
]);

/** Runs work under the plain settings; after an error the transaction is rolled back, and they with it. */
async function withPlainOutput<T>(connections: readonly ServerConnection[], work: () => Promise<T>): Promise<T> {
  const names = [...plainSettings.keys()];
  const current = `SELECT ${names.map((name) => `current_setting('${name}')`).join(', ')}`;
  const kept = await Promise.all(
    connections.map(async (connection) => {
      const { rows } = await connection.query(current);
      await connection.query(setLocally(names, [...plainSettings.values()]));
      return rows[0]!.map((value) => value ?? '');
    }),
  );
  const result = await work();
  await Promise.all(connections.map((connection, index) => connection.query(setLocally(names, kept[index]!))));
  return result;
}

function setLocally(names: readonly string[], values: readonly string[]): string {
  return `SELECT ${names.map((name, index) => `set_config('${name}', '${values[index]}', true)`).join(', ')}`;
}
