import type { ServerConnection } from '../backend/server-connection.ts';
import { PgError, pgError } from '../core/errors.ts';
import { limits } from '../core/limits.ts';
import type { MotionColumn } from '../plan/plan.ts';
import { quoteIdentifier } from '../sql/quote.ts';
import { decodeErrorFields } from '../wire/backend.ts';
import { copyDoneMessage, encodeCopyData, encodeQuery } from '../wire/frontend.ts';
import { backend as message } from '../wire/message-types.ts';
import type { AnswerSource } from './exchange.ts';

/** The rows a motion brought: inline in memory, or in a temporary table on the coordinator. */
export type MotionRows =
  | { readonly kind: 'inline'; readonly rows: readonly Buffer[] }
  /** `table` is quoted and qualified. */
  | { readonly kind: 'table'; readonly table: string };

/** The table that takes rows once they are too many to carry inline. */
export interface SpillTable {
  readonly name: string;
  readonly columns: readonly MotionColumn[];
  readonly primaryKey: readonly string[];
  /** Columns that are looked up row by row: each gets an index, and far fewer rows are carried inline. */
  readonly lookupColumns: readonly string[];
  /** Never inline: the final step needs a table (functional dependency on a key, a utility statement). */
  readonly always: boolean;
  /** Never a table: the rows go on to nodes. */
  readonly inlineOnly?: boolean;
  coordinator(): Promise<ServerConnection>;
}

/**
 * Runs a fragment on its sites in parallel and gathers the rows, undecoded: the body of a binary DataRow is a tuple of binary COPY
 * as it stands. Up to `maxInlineMotionBytes` they stay in memory; from there on they stream into a temporary table (but in a read-only
 * transaction), and the sources are paused whenever the coordinator falls behind.
 */
export async function gatherRows(sources: readonly AnswerSource[], spill: SpillTable): Promise<MotionRows> {
  const gathering = new Gathering(sources, spill);
  return gathering.run();
}

class Gathering {
  readonly #sources: readonly AnswerSource[];
  readonly #spill: SpillTable;
  #rows: Buffer[] = [];
  #bytes = 0;
  readonly #maxInlineBytes: number;
  #error: PgError | null = null;
  #spilling: Promise<void> | null = null;
  #copy: TableCopy | null = null;

  constructor(sources: readonly AnswerSource[], spill: SpillTable) {
    this.#sources = sources;
    this.#spill = spill;
    const looksUp = spill.lookupColumns.length > 0;
    const inline = looksUp ? limits.maxInlineLookupBytes : limits.maxInlineMotionBytes;
    this.#maxInlineBytes = spill.inlineOnly ? limits.maxShippedBytes : inline;
  }

  async run(): Promise<MotionRows> {
    if (this.#spill.always) this.#startSpilling();
    await Promise.all(this.#sources.map((source) => this.#receive(source)));
    if (this.#spilling !== null) {
      await this.#spilling.catch((error) => {
        this.#error ??= error;
      });
    }
    if (this.#copy !== null) {
      await this.#copy.finish().catch((error) => {
        this.#error ??= error;
      });
    }
    if (this.#error !== null) throw this.#error;
    return this.#copy === null ? { kind: 'inline', rows: this.#rows } : { kind: 'table', table: this.#spill.name };
  }

  async #receive(source: AnswerSource): Promise<void> {
    try {
      await source.run((type, frame) => {
        if (type === message.dataRow) this.#take(frame);
      });
    } catch (error) {
      this.#error ??= error as PgError;
    }
  }

  #take(frame: Buffer): void {
    if (this.#error !== null) return;
    const tuple = frame.subarray(5);
    if (this.#copy !== null) {
      if (!this.#copy.write(tuple)) this.#pauseUntilDrained(this.#copy.connection);
      return;
    }
    // A copy, so that a few retained rows don't hold on to the whole chunk they came in.
    this.#rows.push(Buffer.from(tuple));
    this.#bytes += tuple.length + 4;
    if (this.#bytes > this.#maxInlineBytes && this.#spilling === null) this.#startSpilling();
  }

  #startSpilling(): void {
    for (const connection of this.#pausable()) connection.pause();
    this.#spilling = this.#openTable().finally(() => {
      for (const connection of this.#pausable()) connection.resume();
    });
  }

  /**
   * The table is made, and filled, over the coordinator's connection. Where that one is a source too, its rows have all come before the
   * server hears of the table.
   */
  #pausable(): readonly ServerConnection[] {
    return this.#sources.map(({ connection }) => connection).filter(({ target }) => target.label !== coordinatorLabel);
  }

  async #openTable(): Promise<void> {
    try {
      if (this.#spill.inlineOnly) throw new TooManyToShip(tooManyToShip().fields);
      const connection = await this.#spill.coordinator();
      // A read-only transaction can't make even a temporary table: its rows stay in memory.
      if (!this.#spill.always && (await isReadOnly(connection))) return;
      await connection.query(createTableSql(this.#spill));
      const copy = await TableCopy.open(connection, this.#spill);
      for (const row of this.#rows) {
        if (!copy.write(row)) await connection.drained();
      }
      this.#rows = [];
      this.#copy = copy;
    } catch (error) {
      this.#error ??= error as PgError;
    }
  }

  #pauseUntilDrained(connection: ServerConnection): void {
    for (const source of this.#pausable()) source.pause();
    void connection.drained().then(() => {
      for (const source of this.#pausable()) source.resume();
    });
  }
}

/** Rows that every node would need in its statement. */
/** Rows that were to travel inside a change's statements are too many for that; nothing has been changed yet. */
export class TooManyToShip extends PgError {}

export function tooManyToShip(): PgError {
  return pgError('programLimitExceeded', 'the change needs too many rows of other tables on the nodes', {
    hint: 'Restrict them, or change the rows in several statements.',
  });
}

export async function isReadOnly(connection: ServerConnection): Promise<boolean> {
  const { rows } = await connection.query('SHOW transaction_read_only');
  return rows[0]?.[0] === 'on';
}

export function createTableSql(spill: Pick<SpillTable, 'name' | 'columns' | 'primaryKey'>): string {
  const columns = spill.columns.map((column) => {
    const type = column.viaText ? 'text' : column.typeName;
    return `${quoteIdentifier(column.name)} ${type}`;
  });
  const key =
    spill.primaryKey.length === 0 ? [] : [`PRIMARY KEY (${spill.primaryKey.map(quoteIdentifier).join(', ')})`];
  return `CREATE TEMPORARY TABLE ${spill.name} (${[...columns, ...key].join(', ')}) ON COMMIT DROP`;
}

type CopiedTable = Pick<SpillTable, 'name' | 'lookupColumns'>;

/** A binary COPY into a table, in an exchange of its own. */
export class TableCopy {
  readonly connection: ServerConnection;
  #error: PgError | null = null;
  #done: Promise<void>;
  readonly #spill: CopiedTable;
  #pending: Buffer[] = [];
  #pendingBytes = 0;

  private constructor(connection: ServerConnection, spill: CopiedTable, done: Promise<void>) {
    this.connection = connection;
    this.#spill = spill;
    this.#done = done;
  }

  static open(connection: ServerConnection, spill: CopiedTable): Promise<TableCopy> {
    return new Promise((resolve, reject) => {
      let finish: () => void = () => {};
      const copy = new TableCopy(
        connection,
        spill,
        new Promise((done) => {
          finish = done;
        }),
      );
      connection.submit(encodeQuery(`COPY ${spill.name} FROM STDIN (FORMAT binary)`), {
        onFrame(type, frame) {
          if (type === message.copyInResponse) {
            connection.write(encodeCopyData(binaryCopyHeader));
            resolve(copy);
          } else if (type === message.errorResponse) copy.#error ??= new PgError(decodeErrorFields(frame));
        },
        onReady() {
          finish();
          if (copy.#error) reject(copy.#error);
        },
        onLost(error) {
          copy.#error ??= error;
          finish();
          reject(error);
        },
      });
    });
  }

  /** Tuples are joined into CopyData messages of some size; false: wait until the connection has drained. */
  write(tuple: Buffer): boolean {
    this.#pending.push(tuple);
    this.#pendingBytes += tuple.length;
    return this.#pendingBytes < copyChunkBytes || this.#flush();
  }

  /** All rows have been written. */
  async end(): Promise<void> {
    this.#pending.push(binaryCopyTrailer);
    this.#flush();
    this.connection.write(copyDoneMessage);
    await this.#done;
    if (this.#error) throw this.#error;
  }

  /** The same, into a table of the router's own. */
  async finish(): Promise<void> {
    await this.end();
    // Without statistics PostgreSQL takes any table for a small one, and joins it row by row.
    const indexes = this.#spill.lookupColumns.map(
      (column) => `CREATE INDEX ON ${this.#spill.name} (${quoteIdentifier(column)})`,
    );
    await this.connection.query([...indexes, `ANALYZE ${this.#spill.name}`].join('; '));
  }

  #flush(): boolean {
    const chunk = Buffer.concat(this.#pending);
    this.#pending = [];
    this.#pendingBytes = 0;
    return this.connection.write(encodeCopyData(chunk));
  }
}

const copyChunkBytes = 65_536;
const coordinatorLabel = 'coordinator';

/** Signature, flags, length of the header extension: the manual's page on COPY, "Binary Format". */
const binaryCopyHeader = Buffer.concat([Buffer.from('PGCOPY\n\xff\r\n\0', 'latin1'), Buffer.alloc(8)]);
const binaryCopyTrailer = Buffer.from([0xff, 0xff]);
