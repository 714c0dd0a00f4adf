import type { ColocationGroup } from '../../catalog/snapshot.ts';

/** Values in forms that the router reads by itself, by the OID of their type. */
const samples: ReadonlyMap<number, string> = new Map([
  ...[20, 21, 23, 700, 701, 1700].map((oid) => [oid, '1'] as const),
  ...[25, 1042, 1043].map((oid) => [oid, 'a'] as const),
  [16, 't'],
  [17, '\\x00'],
  [2950, '00000000-0000-0000-0000-000000000000'],
  [1082, '2000-01-01'],
  [1114, '2000-01-01 00:00:00'],
  [1184, '2000-01-01 00:00:00+00'],
]);

/** Some value of the type that some shard takes, for plans that hold for any other as well; null: the router reads none of them. */
export function sampleKey(typeOid: number, { shards }: ColocationGroup): Buffer | null {
  const usual = samples.get(typeOid);
  if (usual === undefined) return null;
  for (const { bounds } of shards) {
    if (bounds.kind === 'hash') break;
    const found = bounds.kind === 'list' ? bounds.values.find((value) => value !== null) : null;
    const value = bounds.kind === 'range' ? bounds.from : found;
    if (value != null) return Buffer.from(value.replace(/^'(.*)'$/s, '$1').replaceAll("''", "'"));
  }
  return Buffer.from(usual);
}
