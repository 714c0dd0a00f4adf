import { expect, test } from 'vitest';
import { parseStatements } from './parse.ts';
import { castRelationLiterals } from './relation-literals.ts';

const cast = (sql: string) => castRelationLiterals(parseStatements(sql)[0]!);

test('a literal that is compared with a table name of a catalog view is read as a table name', () => {
  expect(cast("SELECT * FROM citus_shards s WHERE s.table_name = 'ünï' AND nodename = 'a'")).toBe(
    "SELECT * FROM citus_shards s WHERE s.table_name = 'ünï'::pg_catalog.regclass AND nodename = 'a'",
  );
  expect(cast("SELECT 1 FROM pg_dist_shard WHERE logicalrelid IN ('a', 'b')")).toBe(
    "SELECT 1 FROM pg_dist_shard WHERE logicalrelid IN ('a'::pg_catalog.regclass, 'b'::pg_catalog.regclass)",
  );
});

test('other statements are left alone', () => {
  expect(cast("SELECT * FROM information_schema.tables WHERE table_name = 'a'")).toBeNull();
  expect(cast("SELECT * FROM citus_shards WHERE table_name = 'a'::regclass")).toBeNull();
});
