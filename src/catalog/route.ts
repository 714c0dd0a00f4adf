import { AssertionError, assert, unreachable } from '../core/assert.ts';
import { emptyDatum, type KeyDatum, type KeyType, type KeyValue } from './hash/datum.ts';
import { combineInto, remainderOf, zeroHash } from './hash/hash64.ts';
import { keyTypeOf, typeOids } from './hash/key-types.ts';
import { defaultShard, shardsByRemainder } from './shards.ts';
import { type ColocationGroup, type DistributedTable, type GroupShard, isKeyed, type KeyColumn } from './snapshot.ts';

export { askShard, askShards } from './ask.ts';
export type { KeyValue } from './hash/datum.ts';

/** The index of a shard; 'ask': only PostgreSQL can tell (askShard); 'none': no shard takes the values. */
export type ShardRouting = number | 'ask' | 'none';

/** Values of the distribution columns, in key order, each of its column's own type and type modifier. */
export type Router = (values: readonly KeyValue[]) => ShardRouting;

/** For many rows: what can be known beforehand is. A router has state of its own between calls, none of it visible. */
export function compileRouter(table: DistributedTable, chance: () => number = Math.random): Router {
  const { distribution } = table;
  assert(distribution.kind === 'distributed', 'a reference table has no distribution columns');
  return isKeyed(distribution)
    ? compileGroupRouter(distribution.group, distribution.keys)
    : spreadingRouter(distribution.group, chance);
}

/** Of a keyed table. */
export function shardIndex(
  group: ColocationGroup,
  keys: readonly KeyColumn[],
  values: readonly KeyValue[],
): ShardRouting {
  return compileGroupRouter(group, keys)(values);
}

/** Whether values of the type, in either wire form, can be routed without asking PostgreSQL (strange texts apart). */
export function isKnownKeyType(typeOid: number): boolean {
  return keyTypeOf(typeOid) !== undefined;
}

export function compileGroupRouter(group: ColocationGroup, keys: readonly KeyColumn[]): Router {
  switch (group.method) {
    case 'hash':
      return hashRouter(group, keys);
    case 'range':
      return rangeRouter(group, onlyKey(keys));
    case 'list':
      return listRouter(group, onlyKey(keys));
    case 'random':
      throw new AssertionError('values say nothing about where rows are that are spread at random');
    default:
      return unreachable(group.method);
  }
}

/** From one row to the next the shards take turns, whichever comes first. */
function spreadingRouter({ shards }: ColocationGroup, chance: () => number): Router {
  assert(shards.length > 0, 'rows need a shard to go to');
  let turn = Math.floor(chance() * shards.length);
  return () => {
    turn = (turn + 1) % shards.length;
    return shards[turn]!.index;
  };
}

function onlyKey(keys: readonly KeyColumn[]): KeyColumn {
  const [key] = keys;
  assert(key && keys.length === 1, 'RANGE and LIST have one distribution column');
  return key;
}

/** compute_partition_hash_value (partbounds.c): NULL contributes nothing. */
function hashRouter(group: ColocationGroup, keys: readonly KeyColumn[]): Router {
  const shards = shardsByRemainder(group);
  const types = knownTypes(keys);
  if (!types) return (values) => (values.every((value) => value === null) ? shards[0]! : 'ask');
  const datum = emptyDatum();
  const hash = zeroHash();
  const row = zeroHash();
  return (values) => {
    row.high = 0;
    row.low = 0;
    for (let i = 0; i < types.length; i++) {
      const value = values[i]!;
      if (value === null) continue;
      const type = types[i]!;
      if (!type.decode(value.format, value.bytes, datum)) return 'ask';
      type.hash(datum, hash);
      combineInto(row, hash);
    }
    return shards[remainderOf(row, shards.length)]!;
  };
}

function knownTypes(keys: readonly KeyColumn[]): KeyType[] | null {
  const types = keys.flatMap((key) => keyTypeOf(key.typeOid) ?? []);
  return types.length === keys.length ? types : null;
}

interface Range {
  readonly index: number;
  /** null: MINVALUE */
  readonly from: KeyDatum | null;
  /** Exclusive; null: MAXVALUE */
  readonly to: KeyDatum | null;
}

function rangeRouter(group: ColocationGroup, key: KeyColumn): Router {
  const fallback = defaultShard(group);
  const type = keyTypeOf(key.typeOid);
  const compare = type?.compare;
  const ranges = type && readRanges(group.shards, type);
  if (!compare || !ranges || !isBytewise(key)) return ([value]) => (value === null ? fallback : 'ask');
  ranges.sort((a, b) => (a.from === null ? -1 : b.from === null ? 1 : compare(a.from, b.from)));
  const datum = emptyDatum();
  return ([value]) => {
    assert(value !== undefined, 'a router is called with a value for its key');
    if (value === null) return fallback;
    if (!type.decode(value.format, value.bytes, datum)) return 'ask';
    const range = lastStartingAtOrBefore(ranges, datum, compare);
    return range && (range.to === null || compare(datum, range.to) < 0) ? range.index : fallback;
  };
}

function readRanges(shards: readonly GroupShard[], type: KeyType): Range[] | null {
  const ranges: Range[] = [];
  for (const { index, bounds } of shards) {
    if (bounds.kind === 'default') continue;
    assert(bounds.kind === 'range', 'a range shard has a range');
    const from = bounds.from === null ? null : readLiteral(bounds.from, type);
    const to = bounds.to === null ? null : readLiteral(bounds.to, type);
    if (from === undefined || to === undefined) return null;
    ranges.push({ index, from, to });
  }
  return ranges;
}

function readLiteral(literal: string, type: KeyType): KeyDatum | undefined {
  const datum = emptyDatum();
  return type.decode(0, Buffer.from(literal), datum) ? datum : undefined;
}

function lastStartingAtOrBefore(
  ranges: readonly Range[],
  datum: KeyDatum,
  compare: (a: KeyDatum, b: KeyDatum) => number,
): Range | undefined {
  let low = 0;
  let high = ranges.length;
  while (low < high) {
    const middle = (low + high) >>> 1;
    const { from } = ranges[middle]!;
    if (from === null || compare(from, datum) <= 0) low = middle + 1;
    else high = middle;
  }
  return ranges[low - 1];
}

function listRouter(group: ColocationGroup, key: KeyColumn): Router {
  const fallback = defaultShard(group);
  const nullShard = group.shards.find(({ bounds }) => bounds.kind === 'list' && bounds.values.includes(null));
  const forNull = nullShard?.index ?? fallback;
  const type = keyTypeOf(key.typeOid);
  const shards = type && readLists(group.shards, type);
  // A collation of another name may be nondeterministic, and then its equality is not that of bytes.
  if (!type || !shards || !(key.collation === null || isBytewise(key)))
    return ([value]) => (value === null ? forNull : 'ask');
  const datum = emptyDatum();
  return ([value]) => {
    assert(value !== undefined, 'a router is called with a value for its key');
    if (value === null) return forNull;
    if (!type.decode(value.format, value.bytes, datum)) return 'ask';
    return shards.get(type.identity(datum)) ?? fallback;
  };
}

function readLists(shards: readonly GroupShard[], type: KeyType): Map<string | number, number> | null {
  const byIdentity = new Map<string | number, number>();
  for (const { index, bounds } of shards) {
    if (bounds.kind === 'default') continue;
    assert(bounds.kind === 'list', 'a list shard has a list');
    for (const literal of bounds.values) {
      if (literal === null) continue;
      const datum = readLiteral(literal, type);
      if (!datum) return null;
      byIdentity.set(type.identity(datum), index);
    }
  }
  return byIdentity;
}

const collatableTypes: ReadonlySet<number> = new Set([typeOids.text, typeOids.varchar, typeOids.bpchar]);

/** Whether the key's type and collation order values as `compare` of its KeyType does. */
function isBytewise({ bytewise, collation, typeOid }: KeyColumn): boolean {
  return bytewise ?? (collation === null && !collatableTypes.has(typeOid));
}
