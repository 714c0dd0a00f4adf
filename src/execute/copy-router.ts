import type { ServerConnection } from '../backend/server-connection.ts';
import { compileRouter } from '../catalog/route.ts';
import type { Site } from '../catalog/site.ts';
import type { ColumnEntry } from '../catalog/snapshot.ts';
import { assert } from '../core/assert.ts';
import { PgError } from '../core/errors.ts';
import type { SqlRunner } from '../core/runner.ts';
import type { ExecutionContext } from './context.ts';
import { addedColumns, drawAdded } from './copy-added.ts';
import { atLine, type LineError, type LineMap } from './copy-line-map.ts';
import { askPlaces, createPlacer, type Placer } from './copy-place.ts';
import { PlainRows } from './copy-plain-rows.ts';
import { CopyRowSource, type PlainLines } from './copy-rows.ts';
import { CopyShares, type Share } from './copy-shares.ts';
import { shownData } from './copy-shown.ts';
import { type CopyTarget, copyIntoSql, sitesOf } from './copy-target.ts';
import { noShard } from './route-rows.ts';

export interface CopyRouterOptions {
  /** Reads key values that TypeScript can't, under the client's settings. */
  readonly asker: SqlRunner;
  /** Draws defaults. */
  coordinator(): Promise<ServerConnection>;
  onNotice(frame: Buffer, lines: LineMap): void;
  /** A server has refused something: whoever waits for data need wait no longer. */
  onFailed(): void;
}

/** A row that a server must be asked about first. */
interface DeferredRow {
  readonly row: Buffer;
  readonly line: number;
  readonly embedded: number;
}

/** Deferred rows are settled when they have come to this. */
const maxDeferredRows = 5_000;
const maxDeferredBytes = 1_048_576;
/** What is reported of so many bytes of rows is worked on before more rows are taken. */
const maxKeptBytes = 8_388_608;

/**
 * Spreads the rows of one COPY over the servers of its table as they stream in. `push` is synchronous; when `waits` says so, the
 * caller stops pushing until `settle` has resolved, so memory stays bounded. Any error ends it: the caller then calls `fail`.
 */
export class CopyRouter {
  readonly #context: ExecutionContext;
  readonly #target: CopyTarget;
  readonly #options: CopyRouterOptions;
  readonly #added: readonly ColumnEntry[];
  readonly #rows: CopyRowSource;
  readonly #shares: CopyShares;
  /** Bytes since the COPYs began, of a table whose key triggers report at their end; null: it has none. */
  #keptBytes: number | null;
  readonly #sites: readonly Site[];
  /** Null: every row goes to all sites. */
  readonly #placer: Placer | null;
  readonly #plain: PlainRows | null;
  readonly #run: { site: Site | null; share: Share | null; start: number; end: number } = {
    ...{ site: null, share: null, start: 0, end: 0 },
  };
  readonly #nodeOfShard: readonly Site[];
  #deferred: DeferredRow[] = [];
  #deferredBytes = 0;
  #hasFailed = false;

  constructor(context: ExecutionContext, target: CopyTarget, options: CopyRouterOptions) {
    const { table } = target;
    const { distribution } = table;
    this.#context = context;
    this.#target = target;
    this.#options = options;
    this.#added = addedColumns(table, target.columns);
    this.#rows = new CopyRowSource(target, context.snapshot.lowestServerVersion);
    this.#sites = sitesOf(table, context);
    const distributed = distribution.kind === 'distributed';
    const route = distributed ? compileRouter(table) : undefined;
    this.#placer = distributed ? createPlacer(target, this.#added, route) : null;
    this.#plain = PlainRows.of(target, this.#added, route);
    this.#nodeOfShard = distributed ? distribution.group.shards.map((shard) => shard.nodeId) : [];
    this.#keptBytes = context.snapshot.keptTables.has(table.oid) ? 0 : null;
    this.#shares = new CopyShares(context, {
      sql: copyIntoSql(target, this.#added),
      format: target.options.format,
      siteCount: this.#sites.length,
      shown: (data) => shownData(data, this.#added.length, target.options),
      onError: () => {
        this.#hasFailed = true;
        options.onFailed();
      },
      onNotice: options.onNotice,
    });
  }

  /** Whether rows get values from sequences: the session's currval() then speaks of them. */
  get drawsSequences(): boolean {
    return this.#added.some((column) => column.default.kind === 'sequence');
  }

  /** The number of the line that is being read. */
  get line(): number {
    return this.#rows.line;
  }

  /** Starts the COPY on one server, which says whether the statement as such is right. Without shards, on none. */
  async open(): Promise<void> {
    const [first] = this.#sites;
    if (first !== undefined) await this.#shares.at(first).stream.opened;
  }

  push(chunk: Buffer): void {
    this.#throwIfFailed();
    if (this.#plain === null) this.#rows.push(chunk, this.#onRow);
    else this.#rows.pushPlain(chunk, this.#onRow, this.#plain, this.#plainRows);
  }

  get waits(): boolean {
    return (
      this.#hasFailed ||
      this.#deferred.length >= maxDeferredRows ||
      this.#deferredBytes >= maxDeferredBytes ||
      (this.#keptBytes ?? 0) >= maxKeptBytes ||
      this.#shares.full
    );
  }

  /** Catches up, until `waits` is false. `all`: with nothing held back. */
  async settle(all = false): Promise<void> {
    while (this.waits || (all && this.#deferred.length > 0)) {
      this.#throwIfFailed();
      if (this.#deferred.length > 0) await this.#settleDeferred();
      if ((this.#keptBytes ?? 0) >= maxKeptBytes) await this.#settleKeys();
      await this.#shares.drained();
    }
    if (all) this.#shares.flush();
  }

  /** The data are complete. Gives the number of rows put in. */
  async finish(): Promise<number> {
    this.#rows.finish(this.#onRow);
    await this.settle(true);
    this.#throwIfFailed();
    await this.#shares.close();
    return this.#placer === null ? this.#shares.rowsAt('coordinator') : this.#shares.rowCount;
  }

  /** Ends what runs on the servers. Gives the error of the earliest line: what one server would have said. */
  async fail(reason: unknown): Promise<unknown> {
    const found = await this.#shares.abandon();
    if (!(reason instanceof PgError) || isAboutSession(reason)) return reason;
    const own: LineError[] = isServers(reason, found) ? [] : [{ error: reason, line: this.line }];
    const [first] = [...found, ...own].sort((a, b) => (a.line ?? Infinity) - (b.line ?? Infinity));
    return first?.error ?? reason;
  }

  readonly #onRow = (row: Buffer, line: number, embedded: number): void => {
    if (this.#added.length > 0) {
      this.#defer(row, line, embedded);
      return;
    }
    if (this.#placer === null) {
      for (const site of this.#sites) this.#shares.at(site).append(row, null, line, embedded);
      return;
    }
    const place = this.#placer(row, null);
    if (place === 'ask') this.#defer(row, line, embedded);
    else this.#give(place, { row, line, embedded }, null);
  };

  readonly #plainRows: PlainLines = {
    row: (shard, chunk, start, end, line) => this.#onPlainRow(shard, chunk, start, end, line),
    end: (chunk) => this.#endRun(chunk),
  };

  /** Rows next to each other that go to the same server are copied together. */
  #onPlainRow(shard: number, chunk: Buffer, start: number, end: number, line: number): void {
    const site = this.#nodeOfShard[shard];
    assert(site !== undefined, 'a shard that was routed to has a node');
    const run = this.#run;
    if (run.site === site) run.end = end;
    else {
      this.#endRun(chunk);
      run.site = site;
      run.share = this.#shares.at(site);
      run.start = start;
      run.end = end;
    }
    run.share!.countRow(line);
    if (this.#keptBytes !== null) this.#keptBytes += end - start;
  }

  #endRun(chunk: Buffer): void {
    const run = this.#run;
    run.share?.appendSlice(chunk, run.start, run.end);
    run.site = null;
    run.share = null;
  }

  #defer(row: Buffer, line: number, embedded: number): void {
    this.#deferred.push({ row, line, embedded });
    this.#deferredBytes += row.length;
  }

  #give(place: number | 'none' | 'short' | 'unreadable', each: DeferredRow, added: Buffer | null): void {
    const { row, line, embedded } = each;
    if (place === 'none') throw atLine(noShard(this.#target.table) as PgError, this.#target.table.name, line);
    const site = typeof place === 'number' ? this.#nodeOfShard[place] : this.#sites[0];
    assert(site !== undefined, 'a shard that was routed to has a node');
    this.#shares.at(site).append(row, added, line, embedded);
    if (this.#keptBytes !== null) this.#keptBytes += row.length;
  }

  /** Triggers report when a COPY ends, and indexes share its connections. */
  async #settleKeys(): Promise<void> {
    this.#keptBytes = 0;
    await this.#shares.close();
    await this.#context.keys.settleEntries(this.#context);
  }

  async #settleDeferred(): Promise<void> {
    const rows = this.#deferred;
    this.#deferred = [];
    this.#deferredBytes = 0;
    const added = await this.#draw(rows.length);
    const placer = this.#placer;
    const asked: { row: Buffer; each: DeferredRow; added: Buffer | null }[] = [];
    for (const [index, each] of rows.entries()) {
      const fields = added[index] ?? null;
      if (placer === null) {
        for (const site of this.#sites) {
          this.#shares.at(site).append(each.row, fields, each.line, each.embedded);
        }
        continue;
      }
      const place = placer(each.row, fields);
      if (place === 'ask') asked.push({ row: each.row, each, added: fields });
      else this.#give(place, each, fields);
    }
    if (asked.length === 0) return;
    const places = await askPlaces(this.#options.asker, asked, this.#target, this.#added);
    for (const [index, { each, added: fields }] of asked.entries()) this.#give(places[index]!, each, fields);
  }

  async #draw(count: number): Promise<readonly Buffer[]> {
    if (this.#added.length === 0) return [];
    // The coordinator's copy of a reference table is filled over the very connection that draws.
    if (this.#sites.includes('coordinator')) await this.#shares.close('coordinator');
    const coordinator = await this.#options.coordinator();
    return drawAdded(coordinator, this.#added, this.#target.options, count);
  }

  #throwIfFailed(): void {
    const { error } = this.#shares;
    if (error !== null) throw error;
  }
}

/** Canceled, disconnected: no line of the data is to blame. */
function isAboutSession(error: PgError): boolean {
  return error.fields.severity === 'FATAL' || error.code.startsWith('08') || error.code.startsWith('57');
}

/** The reason is one of the servers' errors, which are among those found under their lines. */
function isServers(reason: PgError, found: readonly LineError[]): boolean {
  return found.some(({ error }) => error.code === reason.code && error.message === reason.message);
}
