import { compileGroupRouter } from '../../catalog/route.ts';
import type { KeyColumn } from '../../catalog/snapshot.ts';
import type { KeySource, RelationKeys } from '../../plan/key-sources.ts';
import { boundKey, type KeyValue, writtenKey } from '../../plan/key-value.ts';

/** The values of one run of a statement. */
export interface RunValues {
  /** Of parameter `number` (from 1); null: NULL. */
  parameter(number: number): NonNullable<KeyValue> | null;
  /** Text of literal `place`, one character for each byte; quotes taken off a string. Null: it takes the parser to read it. */
  literal(place: number): string | null;
  isString(place: number): boolean;
}

/** The shard that a statement with these values goes to; -1: its plan is to be made as if there were no route. */
export type ShardOf = (values: RunValues) => number;

/** A key source, and for a constant the literal of the text that it is; null: the text is always the same there. */
export interface PlacedSource {
  readonly source: KeySource;
  readonly literal: { readonly place: number; readonly isNegative: boolean } | null;
}

type ReadKey = (values: RunValues) => KeyValue;

/** All relations have to agree. */
export function compileShardOf(
  relations: readonly { readonly keys: RelationKeys; readonly sources: readonly PlacedSource[] }[],
): ShardOf {
  const each = relations.map(({ keys, sources }) => compileRelation(keys, sources));
  const [first] = each;
  if (each.length === 1 && first) return first;
  return (values) => {
    let shard = -1;
    for (const [i, shardOf] of each.entries()) {
      const found = shardOf(values);
      if (found < 0 || (i > 0 && found !== shard)) return -1;
      shard = found;
    }
    return shard;
  };
}

function compileRelation({ group, columns }: RelationKeys, sources: readonly PlacedSource[]): ShardOf {
  const router = compileGroupRouter(group, columns);
  const readers = sources.map((source, i) => compileKey(source, columns[i]!));
  const row: KeyValue[] = readers.map(() => null);
  return (values) => {
    for (let i = 0; i < readers.length; i++) {
      const value = readers[i]!(values);
      // NULL compares with nothing: that is the planner's to say.
      if (value === null) return -1;
      row[i] = value;
    }
    const shard = router(row);
    return typeof shard === 'number' ? shard : -1;
  };
}

function compileKey({ source, literal }: PlacedSource, { typeOid }: KeyColumn): ReadKey {
  if (source.kind === 'parameter') {
    const { number } = source;
    return (values) => {
      const value = values.parameter(number);
      if (value === null) return null;
      // The hash reads these texts itself, and leaves the odd ones alone.
      if (value.format === 0 && isRead(typeOid)) return value;
      return boundKey(value, typeOid);
    };
  }
  if (literal === null) return () => source.value;
  const { place, isNegative } = literal;
  return (values) => {
    const text = values.literal(place);
    if (text === null) return null;
    const bytes = Buffer.from(isNegative ? `-${text}` : text, 'latin1');
    return isRead(typeOid) ? { format: 0, bytes } : writtenKey(bytes.toString('utf8'), values.isString(place), typeOid);
  };
}

/** Integers, text and varchar. */
function isRead(typeOid: number): boolean {
  return typeOid === 23 || typeOid === 20 || typeOid === 21 || typeOid === 25 || typeOid === 1043;
}
