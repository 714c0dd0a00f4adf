import { describe, expect, test } from 'vitest';
import { PgError } from '../core/errors.ts';
import { parseStatements } from './parse.ts';

const only = (sql: string) => parseStatements(sql)[0]!;
const kindOf = (statement: { node: object }) => Object.keys(statement.node)[0];
const all = { kind: 'all' };
const hash = (...columns: string[]) => ({ kind: 'hash', columns, modulo: false, operatorClasses: false });

describe('clauses of CREATE TABLE', () => {
  test.each([
    ['DISTRIBUTED BY (a)', hash('a'), all],
    ['distributed by (A, "B ""c", größe)', hash('a', 'B "c', 'größe'), all],
    ['DISTRIBUTED BY (a cdbhash_int4_ops, b)', { ...hash('a', 'b'), operatorClasses: true }, all],
    ['DISTRIBUTED /* x */ RANDOMLY -- y', { kind: 'random' }, all],
    ['DISTRIBUTED REPLICATED', { kind: 'replicated' }, all],
    ['DISTRIBUTE BY HASH(a)', hash('a'), all],
    [
      'DISTRIBUTE BY MODULO (a) TO NODE (n1, n2)',
      { ...hash('a'), modulo: true },
      { kind: 'nodes', names: ['n1', 'n2'] },
    ],
    ['DISTRIBUTE BY ROUNDROBIN TO GROUP g', { kind: 'random' }, { kind: 'group', name: 'g' }],
    ['DISTRIBUTE BY REPLICATION TO NODE n1, n2', { kind: 'replicated' }, { kind: 'nodes', names: ['n1', 'n2'] }],
  ])('%s', (text, mode, nodes) => {
    const statement = only(`CREATE TABLE t (a int, b text DEFAULT 'DISTRIBUTED BY (x)') ${text}`);
    expect(statement.dialect).toEqual({ kind: 'distribution', clause: { mode, nodes } });
    expect(kindOf(statement)).toBe('CreateStmt');
    expect(statement.text).not.toMatch(/\b(distributed?\s+by\s+\(a|randomly|replicated|roundrobin)/i);
  });

  test('of CREATE TABLE AS, before AS and behind the query', () => {
    for (const sql of [
      'CREATE TABLE t AS SELECT 1 AS a DISTRIBUTED BY (a)',
      'CREATE TABLE t AS SELECT a FROM s WITH NO DATA DISTRIBUTED BY (a)',
      'CREATE UNLOGGED TABLE IF NOT EXISTS t DISTRIBUTE BY HASH(a) AS TABLE s',
    ]) {
      expect(kindOf(only(sql))).toBe('CreateTableAsStmt');
      expect(only(sql).dialect).toMatchObject({ clause: { mode: hash('a') } });
    }
  });

  test('all else of the statement keeps its place', () => {
    const sql = 'CREATE TABLE "é" (a int CHECK (a > 0)) DISTRIBUTED BY (a) WITH (fillfactor = 50)';
    const statement = only(sql);
    expect(Buffer.byteLength(statement.text)).toBe(Buffer.byteLength(sql));
    expect(statement.text.replace(/ +/g, ' ')).toBe('CREATE TABLE "é" (a int CHECK (a > 0)) WITH (fillfactor = 50)');
  });
});

describe('statements of their own', () => {
  test.each([
    [
      'ALTER TABLE s."T" SET DISTRIBUTED BY (a, b)',
      { table: { schema: 's', name: 'T' }, ifExists: false, clause: { mode: hash('a', 'b') }, reorganize: false },
    ],
    [
      'ALTER TABLE IF EXISTS ONLY t SET WITH (REORGANIZE=true) DISTRIBUTED RANDOMLY',
      { ifExists: true, clause: { mode: { kind: 'random' } }, reorganize: true },
    ],
    ["ALTER TABLE t SET WITH (appendonly = 'x', reorganize = 'TRUE')", { clause: null, reorganize: true }],
    ['ALTER TABLE t DISTRIBUTE BY REPLICATION', { clause: { mode: { kind: 'replicated' }, nodes: all } }],
  ])('%s', (sql, found) => {
    expect(only(sql)).toMatchObject({ text: sql, dialect: { kind: 'alter distribution', ...found } });
    expect(kindOf(only(sql))).toBe('DialectStmt');
  });

  test('EXECUTE DIRECT takes any kind of string', () => {
    for (const literal of ["'SELECT ''x''; '", "$q$SELECT 'x'; $q$", "E'SELECT \\'x\\'; '"]) {
      expect(only(`EXECUTE DIRECT ON (n1, "N2") ${literal}`).dialect).toEqual({
        ...{ kind: 'execute direct', nodes: ['n1', 'N2'], sql: "SELECT 'x'; " },
      });
    }
  });

  test('nodes', () => {
    expect(only("CREATE NODE dn1 WITH (TYPE = 'datanode', HOST='localhost', PORT=15432, PREFERRED)").dialect).toEqual({
      ...{ kind: 'create node', name: 'dn1' },
      options: new Map([
        ['TYPE', 'datanode'],
        ['HOST', 'localhost'],
        ['PORT', '15432'],
        ['PREFERRED', 'true'],
      ]),
    });
    expect(only('DROP NODE dn1').dialect).toEqual({ kind: 'drop node', name: 'dn1' });
  });

  test('several statements in one text keep their order and their own clauses', () => {
    const found = parseStatements(
      "SELECT ';'; CREATE TABLE a (x int) DISTRIBUTED BY (x); -- ; DISTRIBUTED BY (y)\nEXECUTE DIRECT ON (n) 'SELECT 1'; SELECT 2; DROP NODE n;",
    );
    expect(found.map((statement) => [kindOf(statement), statement.dialect?.kind])).toEqual([
      ['SelectStmt', undefined],
      ['CreateStmt', 'distribution'],
      ['DialectStmt', 'execute direct'],
      ['SelectStmt', undefined],
      ['DialectStmt', 'drop node'],
    ]);
  });
});

describe('what is none of it', () => {
  test.each([
    ["SELECT 'DISTRIBUTED BY (a)' AS distributed FROM distribute"],
    ['CREATE TABLE t (distributed int, "distribute by" text)'],
    ['CREATE FUNCTION f() RETURNS void LANGUAGE sql AS $$ CREATE TABLE t (a int) DISTRIBUTED BY (a) $$'],
    ['/* CREATE TABLE t (a int) DISTRIBUTED BY (a) */ SELECT 1'],
    ['EXECUTE direct'],
  ])('%s', (sql) => {
    expect(only(sql).dialect).toBeUndefined();
  });

  test.each([
    ['CREATE TABLE t (a int) DISTRIBUTED BY a', 24],
    ['CREATE TABLE t (a int) DISTRIBUTED', 24],
    ['CREATE TABLE é (a in t nonsense) DISTRIBUTED BY (a); SELECT 1', 19],
    ['SELECT 1; CREATE TABLE t (a int) DISTRIBUTED BY (a); SELECT FROM WHERE', 66],
    ['CREATE NODE n', 8],
    ["EXECUTE DIRECT ON (n) 'SELECT 1' now", 16],
  ])('%s is a syntax error where PostgreSQL would see it', (sql, position) => {
    try {
      parseStatements(sql);
    } catch (error) {
      expect(error).toBeInstanceOf(PgError);
      expect((error as PgError).fields).toMatchObject({ code: '42601', position: String(position) });
      return;
    }
    throw new Error('it was taken');
  });
});
