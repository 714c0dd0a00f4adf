import { describe, expect, test } from 'vitest';
import { parseStatements } from '../sql/parse.ts';
import { cloakCatalogs, isCloaked } from './catalog-cloak.ts';

const cloaked = (sql: string) => parseStatements(sql).map(cloakCatalogs);
const rows = (catalog: string) => `(SELECT tableoid, * FROM pg_catalog.${catalog} WHERE …)`;

/** The conditions stand for themselves. */
function shown(sql: string): string {
  const [text = ''] = cloaked(sql);
  return text.replaceAll(
    /(FROM pg_catalog\.(?!pg_proc WHERE pronamespace IN)\w+ WHERE ).*?\)(?= AS | c\b| n\b|$)/gs,
    '$1…)',
  );
}

describe('a dump sees the catalogs without what is pgherd’s', () => {
  test('a catalog keeps its alias, or gets its own name as one', () => {
    expect(shown('SELECT c.oid FROM pg_class c')).toBe(`SELECT c.oid FROM ${rows('pg_class')} c`);
    expect(shown('SELECT pg_class.oid FROM pg_class')).toBe(`SELECT pg_class.oid FROM ${rows('pg_class')} AS pg_class`);
    expect(shown('SELECT 1 FROM pg_catalog.pg_namespace AS n')).toBe(`SELECT 1 FROM ${rows('pg_namespace')} AS n`);
  });

  test('quoted names and what stands before them in other alphabets are met at the right place', () => {
    expect(shown(`SELECT 'ä日' FROM "pg_catalog" . "pg_class" c`)).toBe(`SELECT 'ä日' FROM ${rows('pg_class')} c`);
  });

  test('the second statement of a text is spliced at its own offsets', () => {
    expect(cloaked("SELECT 'ü'; SELECT 1 FROM pg_namespace")).toEqual([
      "SELECT 'ü'",
      "SELECT 1 FROM (SELECT tableoid, * FROM pg_catalog.pg_namespace WHERE nspname !~ '^pgherd(_|$)') AS pg_namespace",
    ]);
  });

  test('catalogs in subqueries and in what is prepared are replaced too', () => {
    const [text] = cloaked('PREPARE p AS SELECT (SELECT nspname FROM pg_namespace n LIMIT 1) FROM pg_trigger t');
    expect(text).toMatch(
      /FROM \(SELECT tableoid, \* FROM pg_catalog\.pg_namespace .*\) n LIMIT 1\) FROM \(SELECT .*\) t$/,
    );
  });

  test('names that are no catalogs stay', () => {
    for (const sql of [
      "SELECT 'pg_class'::regclass, pg_class_x.a FROM pg_class_x",
      'SELECT * FROM public.pg_class',
      'WITH pg_class AS (SELECT 1) SELECT * FROM pg_class',
      'COPY t TO STDOUT',
      'SELECT last_value FROM s',
    ])
      expect(cloaked(sql)).toEqual([sql]);
  });

  test('what is spliced is SQL', () => {
    for (const name of [
      'pg_namespace',
      'pg_class',
      'pg_proc',
      'pg_type',
      'pg_statistic_ext',
      'pg_rewrite',
      'pg_trigger',
    ]) {
      const [text] = cloaked(`SELECT tableoid FROM ${name}`);
      expect(text).toContain('WHERE');
      expect(parseStatements(text!)).toHaveLength(1);
    }
  });

  test('only programs that dump are shown less', () => {
    expect(['pg_dump', 'pg_dumpall', 'psql', 'pg_restore', undefined].map(isCloaked)).toEqual([
      true,
      true,
      false,
      false,
      false,
    ]);
  });
});
