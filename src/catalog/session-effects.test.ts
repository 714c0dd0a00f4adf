import { expect, test } from 'vitest';
import { effectsOfSource, noEffects, sessionEffects } from './session-effects.ts';

const setting = (name: string, local: boolean) => ({ name, local });

test.each([
  ["PERFORM set_config('app.tenant', x, false);", [setting('app.tenant', false)]],
  ["SELECT pg_catalog.set_config ('app.user', coalesce(x, 'a, true)'), true)", [setting('app.user', true)]],
  ['SET LOCAL work_mem = 1', [setting('work_mem', true)]],
  ["SET SESSION app.tenant TO 'x'; RESET datestyle", [setting('app.tenant', false), setting('datestyle', false)]],
  ["SET TIME ZONE 'UTC'; set role postgres", [setting('timezone', false), setting('role', false)]],
  ['UPDATE t SET a = 1; INSERT INTO t VALUES (1) ON CONFLICT (a) DO UPDATE SET a = 2', []],
  ['MERGE INTO t USING s ON true WHEN MATCHED THEN UPDATE SET a = 1', []],
  ['ALTER TABLE t ALTER COLUMN a SET NOT NULL, ALTER a SET DEFAULT 1; SET CONSTRAINTS ALL DEFERRED', []],
  ['SELECT a FROM offset_table', []],
])('settings that %s sets', (source, expected) => {
  expect(effectsOfSource(source)).toEqual(
    expected.length === 0 ? noEffects : { temporary: false, ties: false, settings: expected },
  );
});

test.each([
  'PERFORM set_config(name, value, false)',
  "PERFORM set_config('app.tenant', x, is_local)",
  "EXECUTE 'SET ' || name || ' = 1'",
  "EXECUTE format('SET %I = 1', name)",
  'RESET ALL',
  'SET SESSION AUTHORIZATION x',
  "EXECUTE 'DISCARD ALL'",
])('nobody can say which settings %s sets', (source) => {
  expect(effectsOfSource(source).settings).toBeNull();
});

test.each([
  'CREATE TEMP TABLE x (a int)',
  'create or replace temporary view x as select 1',
  'SELECT 1 AS a INTO LOCAL TEMP x',
  'INSERT INTO pg_temp.x VALUES (1)',
])('%s is about temporary relations', (source) =>
  expect(effectsOfSource(source)).toEqual({ temporary: true, ties: false, settings: [] }),
);

test.each([
  'PERFORM pg_advisory_lock(1)',
  'LISTEN x',
  'DECLARE c CURSOR WITH HOLD FOR SELECT 1',
  'PERFORM setseed(0.5)',
])('%s ties its session to its connection', (source) =>
  expect(effectsOfSource(source)).toEqual({ temporary: false, ties: true, settings: [] }),
);

test('what ends with the transaction ties nobody', () => {
  expect(
    effectsOfSource(`DECLARE temp int; BEGIN -- prepare to listen
    PERFORM pg_advisory_xact_lock(1); RETURN template_of(attempt)`),
  ).toBe(noEffects);
});

test('a function has the effects of those that it calls, also in a circle', () => {
  const bodies = [
    { name: 'outermost', source: 'PERFORM outer_one()' },
    { name: 'outer_one', source: 'PERFORM inner_one(); PERFORM outermost()' },
    { name: 'inner_one', source: "PERFORM set_config('a.b', 'c', false)" },
    { name: 'inner_one', source: 'CREATE TEMP TABLE t ()' },
    { name: 'other', source: 'SELECT 1' },
  ];
  const effects = sessionEffects(bodies.map((body) => ({ ...body, parameters: [] })));
  const expected = { temporary: true, ties: false, settings: [setting('a.b', false)] };
  expect(effects).toEqual(new Map(['inner_one', 'outer_one', 'outermost'].map((name) => [name, expected])));
});

test.each(['EXECUTE command', 'execute $1 USING 2', 'EXECUTE "Command" || x'])('%s may do anything', (source) => {
  expect(effectsOfSource(source, ['command'])).toEqual({ temporary: true, ties: true, settings: null });
});

test.each(['EXECUTE other', "EXECUTE format('SELECT %L', command)"])('%s does what the text says', (source) => {
  expect(effectsOfSource(source, ['command'])).toBe(noEffects);
});
