/** Rows of text values as bodies of DataRow messages: int16 count, then int32 length and bytes of each value. */
export function textTuples(rows: readonly (readonly (string | null)[])[]): Buffer[] {
  return rows.map((row) => {
    const parts: Buffer[] = [int16(row.length)];
    for (const value of row) {
      if (value === null) parts.push(int32(-1));
      else {
        const bytes = Buffer.from(value);
        parts.push(int32(bytes.length), bytes);
      }
    }
    return Buffer.concat(parts);
  });
}

/** The values of a tuple, as views. */
export function tupleValues(tuple: Buffer): (Buffer | null)[] {
  const count = tuple.readInt16BE(0);
  const values: (Buffer | null)[] = [];
  let at = 2;
  for (let index = 0; index < count; index++) {
    const length = tuple.readInt32BE(at);
    at += 4;
    if (length < 0) values.push(null);
    else {
      values.push(tuple.subarray(at, at + length));
      at += length;
    }
  }
  return values;
}

/** A tuple of values as they are. */
export function tupleOf(values: readonly (Buffer | null)[]): Buffer {
  const parts = values.flatMap((value) => (value === null ? [int32(-1)] : [int32(value.length), value]));
  return Buffer.concat([int16(values.length), ...parts]);
}

/** Splits a tuple after its first `count` values: [those, the rest], each a tuple of its own. */
export function splitTuple(tuple: Buffer, count: number): [Buffer, Buffer] {
  let at = 2;
  for (let index = 0; index < count; index++) at += 4 + Math.max(tuple.readInt32BE(at), 0);
  const rest = tuple.readInt16BE(0) - count;
  return [Buffer.concat([int16(count), tuple.subarray(2, at)]), Buffer.concat([int16(rest), tuple.subarray(at)])];
}

function int16(value: number): Buffer {
  const bytes = Buffer.allocUnsafe(2);
  bytes.writeInt16BE(value);
  return bytes;
}

function int32(value: number): Buffer {
  const bytes = Buffer.allocUnsafe(4);
  bytes.writeInt32BE(value);
  return bytes;
}
