import type { Site } from '../catalog/site.ts';
import type { PgError } from '../core/errors.ts';
import { limits } from '../core/limits.ts';
import { copyBinaryHeader, copyBinaryTrailer } from '../wire/copy-binary.ts';
import type { ExecutionContext } from './context.ts';
import { joinTuples } from './copy-fields.ts';
import { FramePool } from './copy-frames.ts';
import { type LineError, LineMap, mapLines } from './copy-line-map.ts';
import type { CopyFormat } from './copy-options.ts';
import { CopyStream } from './copy-stream.ts';

/** The bytes that all servers of one COPY may be behind, together. */
const maxBacklogBytes = 16_777_216;

export interface SharesOptions {
  readonly sql: string;
  readonly format: CopyFormat;
  /** How many servers there may be. */
  readonly siteCount: number;
  /** What a context shows of a line: the part that is the client's. */
  shown(data: string): string;
  onError(): void;
  onNotice(frame: Buffer, lines: LineMap): void;
}

/** One server's share of a COPY. */
export class Share {
  readonly stream: CopyStream;
  readonly lines = new LineMap();
  readonly #format: CopyFormat;
  rowCount = 0;

  constructor(stream: CopyStream, format: CopyFormat) {
    this.stream = stream;
    this.#format = format;
  }

  /** `embedded`: line ends inside the row, by the client's count. */
  append(row: Buffer, added: Buffer | null, line: number, embedded: number): void {
    if (embedded > 0 || this.rowCount === 0) this.#countEmbedded(row, line);
    this.rowCount += 1;
    this.lines.push(line);
    if (this.#format !== 'binary') this.stream.appendLine(added, row);
    else this.stream.append(added === null ? row : joinTuples(added, row));
  }

  /**
   * In CSV a server counts line ends inside quotes too; before it has seen what ends lines it takes a carriage return for it
   * (copyfromparse.c, CopyReadLineText).
   */
  #countEmbedded(row: Buffer, line: number): void {
    if (this.#format !== 'csv') return;
    const counted = this.rowCount === 0 ? 0x0d : 0x0a;
    for (let at = row.indexOf(counted); at >= 0; at = row.indexOf(counted, at + 1)) this.lines.push(line);
  }

  /** A row of one line will come with the next slice. */
  countRow(line: number): void {
    this.rowCount += 1;
    this.lines.push(line);
  }

  /** Rows that were counted, `chunk[start, end)`, with their newlines. */
  appendSlice(chunk: Buffer, start: number, end: number): void {
    this.stream.appendSlice(chunk, start, end);
  }

  /** A row with its line end, as a server sent it. */
  appendRaw(row: Buffer): void {
    this.rowCount += 1;
    this.stream.append(row);
  }
}

/** The COPYs that run on the servers for one COPY of a client. A server's begins with its first row. */
export class CopyShares {
  readonly #context: ExecutionContext;
  readonly #options: SharesOptions;
  readonly #pool = new FramePool();
  #open = new Map<Site, Share>();
  /** Rows that ended COPYs have put in, by server. */
  #rowCounts = new Map<Site, number>();

  constructor(context: ExecutionContext, options: SharesOptions) {
    this.#context = context;
    this.#options = options;
  }

  at(site: Site): Share {
    let share = this.#open.get(site);
    if (share === undefined) {
      share = this.#start(site);
      this.#open.set(site, share);
    }
    return share;
  }

  get full(): boolean {
    for (const share of this.#open.values()) if (share.stream.full) return true;
    return false;
  }

  async drained(): Promise<void> {
    const behind = [...this.#open.values()].filter((share) => share.stream.full);
    await Promise.all(behind.map((share) => share.stream.drained()));
  }

  flush(): void {
    for (const share of this.#open.values()) share.stream.flush();
  }

  rowsAt(site: Site): number {
    return this.#rowCounts.get(site) ?? 0;
  }

  get rowCount(): number {
    let sum = 0;
    for (const rows of this.#rowCounts.values()) sum += rows;
    return sum;
  }

  /** Ends the COPYs, of one server or of all, so that their connections are free; later rows open new ones. */
  async close(only?: Site): Promise<void> {
    const closing = [...this.#open].filter(([site]) => only === undefined || site === only);
    const outcomes = await Promise.allSettled(closing.map(([, share]) => share.stream.finish()));
    for (const [index, [site, share]] of closing.entries()) {
      const outcome = outcomes[index]!;
      if (outcome.status === 'rejected') throw outcome.reason;
      if (share.rowCount > 0) this.#context.transaction.markWritten(site);
      this.#rowCounts.set(site, this.rowsAt(site) + outcome.value);
    }
    for (const [site] of closing) this.#open.delete(site);
  }

  /** Ends all COPYs with an error, and gives those errors that were not made by this. */
  async abandon(): Promise<LineError[]> {
    const shares = [...this.#open.values()];
    this.#open.clear();
    await Promise.all(shares.map((share) => share.stream.abandon()));
    return shares.flatMap(({ stream, lines }) =>
      stream.error === null ? [] : [mapLines(stream.error, lines, this.#options.shown)],
    );
  }

  /** An error of one of the servers, as it came. */
  get error(): PgError | null {
    for (const share of this.#open.values()) if (share.stream.error !== null) return share.stream.error;
    return null;
  }

  #start(site: Site): Share {
    const { transaction, signal } = this.#context;
    const options = this.#options;
    const binary = options.format === 'binary';
    const share = new Share(
      new CopyStream({
        site,
        sql: options.sql,
        pool: this.#pool,
        highWaterBytes: Math.min(limits.copyHighWaterBytes, maxBacklogBytes / options.siteCount),
        prologue: binary ? copyBinaryHeader : nothing,
        epilogue: binary ? copyBinaryTrailer : nothing,
        join: () => transaction.join(site, signal),
        onError: () => options.onError(),
        onNotice: (frame) => options.onNotice(frame, share.lines),
      }),
      options.format,
    );
    return share;
  }
}

const nothing = Buffer.alloc(0);
