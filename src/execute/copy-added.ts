import { encodeExtendedQuery, type ServerConnection } from '../backend/server-connection.ts';
import type { ColumnEntry, DistributedTable } from '../catalog/snapshot.ts';
import { assert } from '../core/assert.ts';
import { unsupported } from '../core/errors.ts';
import { quoteLiteral } from '../sql/quote.ts';
import { encodeCsvRow } from '../wire/copy-csv.ts';
import { encodeTextRow } from '../wire/copy-text.ts';
import type { CopyOptions } from './copy-options.ts';
import { globalIndexesOf, indexedColumns } from './global-index.ts';
import { forEachBatch } from './row-batches.ts';
import { tupleValues } from './text-tuples.ts';

/** What the router puts in front of one row. */
export interface AddedFields {
  /** As they go to the servers: text and CSV with the delimiter that follows, binary with the lengths. */
  readonly bytes: Buffer;
  readonly values: readonly (Buffer | null)[];
}

/**
 * Columns that the rows lack and that no server may fill in by itself: those drawn from sequences or volatile, of which the
 * coordinator has the one truth, and those that the router must know.
 */
export function addedColumns(table: DistributedTable, given: readonly string[]): ColumnEntry[] {
  const { distribution } = table;
  const known = new Set(distribution.kind === 'distributed' ? distribution.keys.map((key) => key.name) : []);
  if (globalIndexesOf(table).length > 0) for (const name of indexedColumns(table)) known.add(name);
  return table.columns.filter((column) => {
    if (given.includes(column.name)) return false;
    switch (column.default.kind) {
      case 'none':
        return false;
      case 'constant':
        return known.has(column.name);
      case 'generated':
        if (!known.has(column.name)) return false;
        throw unsupported('PH002', `COPY into "${table.name}", which is routed by generated column "${column.name}"`, {
          hint: 'COPY into a temporary table, then INSERT … SELECT.',
        });
      default:
        return true;
    }
  });
}

/** Draws the values of `count` rows, in order, from a connection to the coordinator that is in the session's transaction. */
export async function drawAdded(
  coordinator: ServerConnection,
  columns: readonly ColumnEntry[],
  options: CopyOptions,
  count: number,
): Promise<AddedFields[]> {
  const list = columns.map((column) => `${defaultSql(column)}::${column.typeName}`);
  const sql = `SELECT ${list.join(', ')} FROM pg_catalog.generate_series(1, ${count})`;
  const format = options.format === 'binary' ? 1 : 0;
  const drawn: AddedFields[] = [];
  const query = encodeExtendedQuery(sql, [], [], format);
  await forEachBatch(coordinator, query, Number.POSITIVE_INFINITY, async (rows) => {
    for (const row of rows) drawn.push(addedFields(row, options));
  });
  assert(drawn.length === count, 'a default for each row');
  return drawn;
}

function defaultSql({ default: fallback, name }: ColumnEntry): string {
  switch (fallback.kind) {
    case 'sequence':
      return `pg_catalog.nextval(${quoteLiteral(fallback.sequence)}::pg_catalog.regclass)`;
    case 'volatile':
    case 'constant':
      return `(${fallback.expression})`;
    default:
      assert(false, `column "${name}" has no default to draw`);
  }
}

function addedFields(tuple: Buffer, options: CopyOptions): AddedFields {
  const values = tupleValues(tuple);
  switch (options.format) {
    case 'binary':
      return { bytes: tuple.subarray(2), values };
    case 'csv':
      return { bytes: withDelimiter(encodeCsvRow(values, options.bytes), options), values };
    case 'text':
      return { bytes: withDelimiter(encodeTextRow(values, options.bytes), options), values };
  }
}

/** The row's newline gives way to the delimiter. */
function withDelimiter(line: Buffer, options: CopyOptions): Buffer {
  line[line.length - 1] = options.bytes.delimiter;
  return line;
}
