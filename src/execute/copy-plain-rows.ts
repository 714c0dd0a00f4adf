import { compileRouter, type KeyValue, type Router } from '../catalog/route.ts';
import type { ColumnEntry } from '../catalog/snapshot.ts';
import { carriageReturn, newline } from '../wire/copy-lines.ts';
import type { CopyTarget } from './copy-target.ts';
import { KeySlot } from './key-slot.ts';

/** Takes the row `chunk[start, end)`, its newline included, for a shard. */
export type PlainRowHandler = (shard: number, chunk: Buffer, start: number, end: number) => void;

const backslash = 0x5c;
const period = 0x2e;

/**
 * Rows of the common kind, routed where they stand in the client's bytes, without an object for each: of COPY's text formats, without quotes,
 * and without escapes in the key. Every other row, and every fault, is left to the general way.
 */
export class PlainRows {
  /** The key's place among the fields; -1: the table has no key. */
  readonly #place: number;
  readonly #delimiter: number;
  readonly #null: Buffer;
  readonly #hasEscapes: boolean;
  /** Bytes of which the first ends the rows of the common kind, wherever it stands. */
  readonly #stops: readonly number[];
  readonly #route: Router;
  readonly #slot = new KeySlot(0);
  readonly #values: KeyValue[];

  private constructor(target: CopyTarget, place: number, route: Router) {
    const { format, bytes } = target.options;
    this.#place = place;
    this.#delimiter = bytes.delimiter;
    this.#null = bytes.null;
    this.#hasEscapes = format === 'text';
    this.#stops = format === 'text' ? [carriageReturn] : [...new Set([carriageReturn, bytes.quote, bytes.escape])];
    this.#route = route;
    this.#values = place < 0 ? [] : [this.#slot.value];
  }

  /** null: rows of this COPY all need the general way. `shared`: the general way's own, so that rows spread at random take turns on both. */
  static of(target: CopyTarget, added: readonly ColumnEntry[], shared?: Router): PlainRows | null {
    const { table, columns, options } = target;
    const { distribution } = table;
    if (options.format === 'binary' || options.hasDefaultMarker || added.length > 0) return null;
    if (distribution.kind !== 'distributed' || distribution.keys.length > 1) return null;
    const route = shared ?? compileRouter(table);
    const [key] = distribution.keys;
    if (key === undefined) return new PlainRows(target, -1, route);
    const place = columns.indexOf(key.name);
    return place < 0 || options.forceNotNull.has(key.name) ? null : new PlainRows(target, place, route);
  }

  /** Hands out rows from `from` on. Gives where the first row begins that it left, for it is of another kind or not whole. */
  take(chunk: Buffer, from: number, give: PlainRowHandler): number {
    const stop = this.#firstStop(chunk, from);
    let firstEscape = this.#hasEscapes ? indexOrEnd(chunk, backslash, from) : chunk.length;
    let start = from;
    for (;;) {
      const end = chunk.indexOf(newline, start);
      // A line that is `\.` may be the end of the data, in CSV too.
      if (end < 0 || end > stop || chunk[start] === backslash) return start;
      if (firstEscape < end) {
        if (!escapesAreHarmless(chunk, firstEscape, end)) return start;
        firstEscape = indexOrEnd(chunk, backslash, end);
        const keyEscape = this.#place < 0 ? -1 : chunk.indexOf(backslash, start);
        if (keyEscape >= 0 && keyEscape < this.#keyEnd(chunk, start, end)) return start;
      }
      const shard = this.#shardOf(chunk, start, end);
      if (shard < 0) return start;
      give(shard, chunk, start, end + 1);
      start = end + 1;
    }
  }

  #firstStop(chunk: Buffer, from: number): number {
    let first = chunk.length;
    for (const byte of this.#stops) first = Math.min(first, indexOrEnd(chunk, byte, from));
    return first;
  }

  /** -1: it must be looked at otherwise. */
  #shardOf(chunk: Buffer, start: number, end: number): number {
    if (this.#place >= 0) {
      const keyStart = this.#keyStart(chunk, start, end);
      if (keyStart < 0) return -1;
      this.#values[0] = this.#valueOf(chunk, keyStart, this.#fieldEnd(chunk, keyStart, end));
    }
    const shard = this.#route(this.#values);
    return typeof shard === 'number' ? shard : -1;
  }

  /** -1: the row has too few fields. */
  #keyStart(chunk: Buffer, start: number, end: number): number {
    for (let left = this.#place; left > 0; left--) {
      start = this.#fieldEnd(chunk, start, end) + 1;
      if (start > end) return -1;
    }
    return start;
  }

  #fieldEnd(chunk: Buffer, start: number, end: number): number {
    const delimiter = this.#delimiter;
    while (start < end && chunk[start] !== delimiter) start += 1;
    return start;
  }

  /** Of a row with escapes, whose delimiters may be escaped: far enough. */
  #keyEnd(chunk: Buffer, start: number, end: number): number {
    const keyStart = this.#keyStart(chunk, start, end);
    return keyStart < 0 ? end : this.#fieldEnd(chunk, keyStart, end);
  }

  #valueOf(chunk: Buffer, start: number, end: number): KeyValue {
    const length = end - start;
    if (length === this.#null.length && this.#null.compare(chunk, start, end) === 0) return null;
    this.#slot.set(chunk, start, end);
    return this.#slot.value;
  }
}

function indexOrEnd(chunk: Buffer, byte: number, from: number): number {
  const index = chunk.indexOf(byte, from);
  return index < 0 ? chunk.length : index;
}

/** From the first backslash to the newline at `end`: none stands before what ends a line or the data. */
function escapesAreHarmless(chunk: Buffer, first: number, end: number): boolean {
  for (let at = first; at >= 0 && at < end; at = chunk.indexOf(backslash, at + 2)) {
    const next = chunk[at + 1];
    if (next === newline || next === carriageReturn || next === period) return false;
  }
  return true;
}
