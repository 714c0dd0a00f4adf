import type { ServerConnection } from '../backend/server-connection.ts';
import { drawSql } from '../catalog/column-default.ts';
import type { ColumnEntry, DistributedTable } from '../catalog/snapshot.ts';
import { assert } from '../core/assert.ts';
import { unsupported } from '../core/errors.ts';
import { quoteLiteral } from '../sql/quote.ts';
import { copyBinaryHeader, copyBinaryTrailer } from '../wire/copy-binary.ts';
import type { CopyOptions } from './copy-options.ts';
import { pumpCopy } from './copy-pump.ts';

/**
 * Columns that the rows lack and that no server may fill in by itself: those drawn from sequences or volatile, of which the
 * coordinator has the one truth, and those that the router must know.
 */
export function addedColumns(table: DistributedTable, given: readonly string[]): ColumnEntry[] {
  const { distribution } = table;
  const known = new Set(distribution.kind === 'distributed' ? distribution.keys.map((key) => key.name) : []);
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

/**
 * Draws the values of `count` rows, in order, from a connection to the coordinator that is in the session's transaction. PostgreSQL
 * writes them as they have to stand in front of the rows: the text formats with the delimiter that follows, binary as tuples.
 */
export async function drawAdded(
  coordinator: ServerConnection,
  columns: readonly ColumnEntry[],
  options: CopyOptions,
  count: number,
): Promise<Buffer[]> {
  const list = columns.map((column) => `${defaultSql(column)}::${column.typeName}`);
  const select = `SELECT ${list.join(', ')} FROM pg_catalog.generate_series(1, ${count})`;
  const drawn: Buffer[] = [];
  await pumpCopy(coordinator, `COPY (${select}) TO STDOUT${formatSql(options)}`, {
    push: options.format === 'binary' ? tuplesInto(drawn) : linesInto(drawn, options.bytes.delimiter),
    waits: false,
    settle: () => Promise.resolve(),
  });
  assert(drawn.length === count, 'a default for each row');
  return drawn;
}

function linesInto(drawn: Buffer[], delimiter: number): (line: Buffer) => void {
  return (line) => {
    // The newline gives way to the delimiter; nobody else reads these bytes.
    line[line.length - 1] = delimiter;
    drawn.push(line);
  };
}

/** The file header comes with the first tuple, the trailer by itself. */
function tuplesInto(drawn: Buffer[]): (message: Buffer) => void {
  let first = true;
  return (message) => {
    const tuple = first ? message.subarray(copyBinaryHeader.length) : message;
    first = false;
    if (!tuple.equals(copyBinaryTrailer)) drawn.push(tuple);
  };
}

function formatSql({ format, bytes }: CopyOptions): string {
  if (format === 'binary') return ' (FORMAT binary)';
  const character = (byte: number) => quoteLiteral(String.fromCharCode(byte));
  const shared = `FORMAT ${format}, DELIMITER ${character(bytes.delimiter)}, NULL ${quoteLiteral(bytes.null.toString('utf8'))}`;
  if (format === 'text') return ` (${shared})`;
  return ` (${shared}, QUOTE ${character(bytes.quote)}, ESCAPE ${character(bytes.escape)})`;
}

function defaultSql({ default: fallback, name }: ColumnEntry): string {
  switch (fallback.kind) {
    case 'sequence':
      return drawSql(fallback);
    case 'volatile':
    case 'constant':
      return `(${fallback.expression})`;
    default:
      assert(false, `column "${name}" has no default to draw`);
  }
}
