import type { ColumnEntry, DistributedTable } from '../catalog/snapshot.ts';
import { PgError, unsupported } from '../core/errors.ts';
import { encodeBinaryRow } from '../wire/copy-binary.ts';
import type { ExecutionContext } from './context.ts';
import { type ValueReader, valueReader } from './copy-place.ts';
import type { CopyTarget } from './copy-target.ts';
import { addEntries, globalIndexesOf, indexedColumns } from './global-index.ts';

/** Entries are written when they have come to this. */
const maxEntryBytes = 8_388_608;

const inIndex = Buffer.from('true');

/** Collects, while rows stream, what the global unique indexes of their table must know of them. */
export class CopyEntries {
  readonly #table: DistributedTable;
  readonly #readers: readonly ValueReader[];
  readonly #flags: readonly Buffer[];
  #entries: Buffer[] = [];
  #bytes = 0;

  constructor(target: CopyTarget, added: readonly ColumnEntry[]) {
    refuseUnknowable(target);
    this.#table = target.table;
    this.#readers = indexedColumns(target.table).map((name) => valueReader(name, target, added));
    this.#flags = globalIndexesOf(target.table).map(() => inIndex);
  }

  get full(): boolean {
    return this.#bytes > maxEntryBytes;
  }

  note(row: Buffer, added: Buffer | null): void {
    try {
      const entry = encodeBinaryRow([...this.#readers.map((read) => read(row, added)), ...this.#flags]);
      this.#entries.push(entry);
      this.#bytes += entry.length;
    } catch (error) {
      // Too few fields: the server that gets the row says so.
      if (!(error instanceof PgError)) throw error;
    }
  }

  /** The COPYs on the nodes must have ended: the indexes live there too, and share the connections. */
  async write(context: ExecutionContext): Promise<void> {
    const entries = this.#entries;
    this.#entries = [];
    this.#bytes = 0;
    if (entries.length > 0) await addEntries(this.#table, entries, context);
  }
}

/** What would put other rows, or other values, into the table than stand in the data. */
function refuseUnknowable({ table, options, whereSql }: CopyTarget): void {
  const refuse = (what: string) => {
    throw unsupported('PH002', `COPY ${what} into "${table.name}", which has a global unique index`, {
      hint: 'COPY into a temporary table, then INSERT … SELECT.',
    });
  };
  if (options.format === 'binary') refuse('in binary format');
  if (options.skipsErrors) refuse('that skips errors');
  if (whereSql !== '') refuse('with WHERE');
  if (table.hasRowTriggers) refuse('that runs row triggers');
  if (globalIndexesOf(table).some((index) => index.predicate !== null)) refuse('with a partial index');
}
