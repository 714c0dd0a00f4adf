import { createHash } from 'node:crypto';
import { expect, test } from 'vitest';
import { catalogSchemaVersion, catalogSql } from './schema-sql.ts';

/** A coordinator whose version is the router's is left alone, so a change without a new version would never arrive. */
test('the schema version changes with the SQL', () => {
  const digest = createHash('sha256').update(catalogSql('pg_catalog')).digest('hex').slice(0, 16);
  expect({ [catalogSchemaVersion]: digest }).toEqual({ 7: '9eeb45781431534f' });
});
