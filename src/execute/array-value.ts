/** Columns of rows as binary array values, built from the rows' bytes without looking into them. */

/**
 * Cuts rows (bodies of binary DataRow messages: int16 field count, then int32 length and bytes for each field) into one binary
 * array per column, as array_recv reads it: int32 dimensions, int32 has-nulls, int32 element type, int32 length, int32 lower
 * bound, then each element as int32 length and bytes.
 */
export function columnArrays(rows: readonly Buffer[], elementOids: readonly number[]): Buffer[] {
  const columnCount = elementOids.length;
  const sizes = new Array<number>(columnCount).fill(0);
  const hasNull = new Array<boolean>(columnCount).fill(false);
  for (const row of rows) {
    let at = 2;
    for (let column = 0; column < columnCount; column++) {
      const length = row.readInt32BE(at);
      at += 4;
      sizes[column]! += 4;
      if (length < 0) hasNull[column] = true;
      else {
        sizes[column]! += length;
        at += length;
      }
    }
  }
  const arrays = elementOids.map((oid, column) => startArray(oid, rows.length, hasNull[column]!, sizes[column]!));
  const ends = new Array<number>(columnCount).fill(arrayHeaderBytes);
  for (const row of rows) {
    let at = 2;
    for (let column = 0; column < columnCount; column++) {
      const length = row.readInt32BE(at);
      const end = at + 4 + Math.max(length, 0);
      row.copy(arrays[column]!, ends[column]!, at, end);
      ends[column]! += end - at;
      at = end;
    }
  }
  return arrays;
}

const arrayHeaderBytes = 20;

function startArray(elementOid: number, length: number, hasNull: boolean, bytes: number): Buffer {
  if (length === 0) {
    // An empty array has no dimensions at all.
    const empty = Buffer.alloc(12);
    empty.writeUInt32BE(elementOid, 8);
    return empty;
  }
  const array = Buffer.allocUnsafe(arrayHeaderBytes + bytes);
  array.writeInt32BE(1, 0);
  array.writeInt32BE(hasNull ? 1 : 0, 4);
  array.writeUInt32BE(elementOid, 8);
  array.writeInt32BE(length, 12);
  array.writeInt32BE(1, 16);
  return array;
}
