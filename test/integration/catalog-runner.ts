import type pg from 'pg';
import type { SqlRunner } from '../../src/core/runner.ts';

/** A runner over `pg`: every value as text, the result of the last statement. */
export function runnerOf(client: pg.Client): SqlRunner {
  return {
    async query(sql, parameters = []) {
      const types = { getTypeParser: () => (value: unknown) => value };
      const given: unknown = await client.query({
        text: sql,
        values: [...parameters],
        rowMode: 'array',
        types,
      } as never);
      const results = (Array.isArray(given) ? given : [given]) as pg.QueryArrayResult[];
      const last = results[results.length - 1]!;
      return {
        columns: last.fields.map((field) => field.name),
        typeOids: last.fields.map((field) => field.dataTypeID),
        rows: last.rows as (string | null)[][],
        tag: last.command,
      };
    },
  };
}
