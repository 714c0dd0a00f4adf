import { expect, test } from 'vitest';
import type { Delegation } from '../../src/catalog/delegation.ts';
import { proveDelegation } from '../../src/plan/delegate/prove.ts';
import { planStatement } from '../../src/plan/planner.ts';
import { planContext } from './herd.ts';

/** Which functions are proven to need the node of their argument `p` alone. The tables are those of the golden herd. */

const integer = { typeOid: 23, typeName: 'integer' };

function delegation(language: string, body: string, changes: Partial<Delegation> = {}): Delegation {
  return {
    ...{ oid: 70_000, version: '1', schema: 'public', name: 'f', language, kind: 'function', volatility: 'volatile' },
    parameters: [
      { name: 'p', goesIn: true, ...integer },
      { name: 'other', goesIn: true, ...integer },
    ],
    ...{ defaults: 0, variadic: false, distributionParameter: 0, colocatedWith: null, force: false, body },
    definition: `CREATE OR REPLACE FUNCTION public.f(p integer, other integer) RETURNS integer LANGUAGE ${language} AS $function$${body}$function$`,
    ...{ settings: [], copy: 'pgherd_delegate_70000_00000000' },
    ...changes,
  };
}

function proof(each: Delegation): string {
  const found = proveDelegation(each, planContext({ snapshot: { ...planContext().snapshot } }), planStatement);
  if ('obstacle' in found) return found.obstacle;
  const { home, writes, usesClock } = found;
  return `${home.table.name} ${writes ? 'writes' : 'reads'}${usesClock ? ' clock' : ''}`;
}

const sql = (body: string, changes?: Partial<Delegation>) => proof(delegation('sql', body, changes));
const plpgsql = (body: string, changes?: Partial<Delegation>) => proof(delegation('plpgsql', body, changes));

test.each([
  ['SELECT count(*) FROM orders WHERE customer = p', 'orders reads'],
  ['SELECT count(*) FROM public.orders WHERE $1 = orders.customer', 'orders reads'],
  [
    'SELECT count(*) FROM orders o JOIN items USING (customer) JOIN nation n ON n.id = o.id WHERE customer = p',
    'orders reads',
  ],
  ['SELECT n.name, count(o.id) FROM nation n LEFT JOIN orders o ON o.customer = p GROUP BY 1', 'orders reads'],
  [
    'SELECT sum(total) FROM orders WHERE customer = p AND id IN (SELECT order_id FROM items i WHERE i.customer = p)',
    'orders reads',
  ],
  ['WITH x AS (SELECT id AS k FROM orders WHERE customer = p) SELECT max(k) + other FROM x', 'orders reads'],
  ['SELECT id FROM orders WHERE customer = p FOR UPDATE', 'orders writes'],
  ['UPDATE orders SET total = other WHERE customer = p RETURNING id', 'orders writes'],
  ['DELETE FROM orders WHERE customer = p AND id = other', 'orders writes'],
  ['INSERT INTO orders (customer, id, total) VALUES (p, other, 1)', 'orders writes'],
  [
    'INSERT INTO orders (customer, id) VALUES (p, $2) ON CONFLICT (customer, id) DO UPDATE SET total = excluded.total',
    'orders writes',
  ],
  ['SELECT count(*) FROM orders WHERE customer = p AND placed < current_date', 'orders reads clock'],
  ['SELECT my_pure(id) FROM orders WHERE customer = p; SELECT other + 1', 'orders reads'],
])('SQL: %s', (body, found) => {
  expect(sql(body)).toBe(found);
});

test.each([
  ['SELECT count(*) FROM orders', /not restricted/],
  ['SELECT count(*) FROM orders WHERE customer = other', /not restricted/],
  ['SELECT count(*) FROM orders WHERE customer = $2', /not restricted/],
  ['SELECT count(*) FROM orders WHERE customer = 3', /not restricted/],
  ['SELECT count(*) FROM orders WHERE customer = p OR id = 1', /not restricted/],
  ['SELECT count(*) FROM orders WHERE customer IN (p, other)', /not restricted/],
  ['SELECT count(*) FROM orders WHERE customer = p + 0', /not restricted/],
  ['SELECT count(*) FROM orders WHERE customer = p::bigint', /not restricted/],
  ['SELECT count(*) FROM orders o LEFT JOIN items i ON i.customer = p WHERE o.id = 1', /not restricted/],
  [
    'SELECT count(*) FROM orders WHERE customer = p AND EXISTS (SELECT FROM items WHERE order_id = 1)',
    /not restricted/,
  ],
  ['SELECT count(*) FROM orders WHERE customer = p UNION ALL SELECT count(*) FROM orders', /not restricted/],
  ['INSERT INTO orders (customer, id) VALUES (p, 1), (other, 1)', /not restricted/],
  ['INSERT INTO orders (customer, id) SELECT $1, 1', /not restricted/],
  ['UPDATE orders SET customer = other WHERE customer = p', /distribution column/],
  ['SELECT 1; UPDATE orders SET total = 1', /not restricted/],
  ['SELECT count(*) FROM orders, events WHERE customer = p', /events is not co-located/],
  ['SELECT count(*) FROM orders, notes WHERE customer = p', /notes, which is on the coordinator only/],
  ['SELECT count(*) FROM orders, pg_class WHERE customer = p', /pg_class, which is on the coordinator only/],
  ['SELECT count(*) FROM big_orders WHERE customer = p', /the view big_orders/],
  ['SELECT count(*) FROM ONLY orders WHERE customer = p', /ONLY orders/],
  ['SELECT count(*) FROM orders TABLESAMPLE system (100) WHERE customer = p', /sample/],
  ['SELECT tableoid FROM orders WHERE customer = p', /tableoid/],
  ['SELECT count(*) FROM orders WHERE customer = p AND note = current_user', /not restricted/],
  ["SELECT count(*) FROM orders WHERE customer = p AND note = current_setting('x')", /not restricted/],
  ['SELECT my_lookup(id) FROM orders WHERE customer = p', /my_lookup\(\) runs on the coordinator/],
  ["SELECT nextval('s') FROM orders WHERE customer = p", /nextval\(\) runs on the coordinator/],
  ['SELECT current_user; SELECT 1 FROM orders WHERE customer = p', /current_user is the coordinator's/],
  ['INSERT INTO items (customer, order_id) VALUES (p, 1)', /default of added/],
  ["UPDATE users SET email = 'x' WHERE id = p", /router keeps keys/],
  ['UPDATE nation SET name = name; SELECT 1 FROM orders WHERE customer = p', /reference table nation/],
  ['SELECT 1 FROM orders, nation WHERE customer = p FOR SHARE', /reference table nation/],
  ['TRUNCATE orders', /TruncateStmt/],
  ['CREATE TEMP TABLE orders (customer int)', /CreateStmt/],
  ['SELECT 1 FROM orders WHERE customer = f.p', /function's own name/],
  ['SELECT 1 FROM orders AS other WHERE customer = p AND other IS NULL', /other may be a variable/],
  ['WITH x (p) AS (SELECT 3) SELECT 1 FROM orders, x WHERE customer = p', /p may be a variable/],
  ['SELECT 1 FROM orders, (SELECT 3 AS p) x WHERE customer = p', /p may be a variable/],
  ['SELECT 1 FROM orders, generate_series(1, 3) p WHERE customer = p', /p may be a variable/],
  ['SELECT 1 FROM orders, generate_series(1, 3) g WHERE customer = p', /write \$1/],
  ['SELECT total AS p FROM orders WHERE customer = $1 ORDER BY p', /p may be a variable/],
  ['SELECT 1', /uses no distributed table/],
  ['SELECT FROM WHERE', /syntax error/],
])('SQL that is not proven: %s', (body, reason) => {
  expect(sql(body)).toMatch(reason);
});

const count = 'RETURN (SELECT count(*) FROM orders WHERE customer = p)';

test.each([
  [`BEGIN ${count}; END`, 'orders reads'],
  ['DECLARE n int; BEGIN n := (SELECT count(*) FROM orders WHERE customer = $1); RETURN n; END', 'orders reads'],
  [
    'DECLARE r record; BEGIN FOR r IN SELECT id FROM orders WHERE customer = p LOOP UPDATE items SET quantity = r.id WHERE customer = p; END LOOP; END',
    'items writes',
  ],
  [
    `BEGIN BEGIN DELETE FROM items WHERE customer = p; EXCEPTION WHEN OTHERS THEN RAISE NOTICE '%', sqlerrm; END; ${count}; END`,
    'items writes',
  ],
  ['DECLARE o orders%ROWTYPE; BEGIN SELECT * INTO o FROM orders WHERE customer = p; RETURN o.id; END', 'orders reads'],
])('PL/pgSQL: %s', (body, found) => {
  expect(plpgsql(body)).toBe(found);
});

test.each([
  ['BEGIN RETURN (SELECT count(*) FROM orders); END', /not restricted/],
  ['BEGIN IF EXISTS (SELECT FROM orders WHERE id = 1) THEN NULL; END IF; END', /not restricted/],
  ['DECLARE v int := (SELECT count(*) FROM orders); BEGIN RETURN 1; END', /not restricted/],
  ["BEGIN RAISE EXCEPTION 'x' USING detail = (SELECT max(note) FROM orders); END", /not restricted/],
  ['DECLARE v int := p; BEGIN RETURN (SELECT count(*) FROM orders WHERE customer = v); END', /not restricted/],
  [
    'DECLARE r record; BEGIN FOR r IN SELECT 4 AS p LOOP RETURN (SELECT count(*) FROM orders WHERE customer = r.p); END LOOP; END',
    /not restricted/,
  ],
  [`BEGIN p := 4; ${count}; END`, /assigns p/],
  [`BEGIN $1 := 4; ${count}; END`, /assigns p/],
  [`BEGIN SELECT 4 INTO p; ${count}; END`, /assigns p/],
  [`BEGIN UPDATE items SET quantity = 1 WHERE customer = p RETURNING 4, 5 INTO other, p; ${count}; END`, /assigns p/],
  [`BEGIN GET DIAGNOSTICS p = ROW_COUNT; ${count}; END`, /assigns p/],
  [`BEGIN FOR p IN SELECT 4 LOOP ${count}; END LOOP; END`, /assigns p/],
  [`BEGIN FOREACH p IN ARRAY ARRAY[4] LOOP ${count}; END LOOP; END`, /assigns p/],
  [`BEGIN FOREACH other, p IN ARRAY ARRAY[ROW(1, 4)] LOOP ${count}; END LOOP; END`, /assigns p/],
  [`BEGIN FOR p IN 1..3 LOOP ${count}; END LOOP; END`, /another p/],
  [`BEGIN DECLARE p int := 4; BEGIN ${count}; END; END`, /another p/],
  [`DECLARE v int := 4; BEGIN DECLARE p ALIAS FOR v; BEGIN ${count}; END; END`, /ALIAS/],
  [`#variable_conflict use_column\nBEGIN ${count}; END`, /ambiguous/],
  [`DECLARE customer int := 4; BEGIN ${count}; END`, /customer may be a variable/],
  ["BEGIN EXECUTE 'SELECT 1'; END", /EXECUTE/],
  ["DECLARE r record; BEGIN FOR r IN EXECUTE 'SELECT 1' LOOP END LOOP; END", /EXECUTE/],
  ["DECLARE n int; BEGIN EXECUTE 'SELECT 1' INTO n; END", /EXECUTE/],
  ['DECLARE c CURSOR FOR SELECT * FROM orders; BEGIN OPEN c; END', /cursor/],
  ['DECLARE c refcursor; BEGIN OPEN c FOR SELECT * FROM orders; END', /stmt_open|kind/],
  ['BEGIN CALL g(p); END', /calls another/],
  ['BEGIN PERFORM my_lookup(p); END', /my_lookup/],
  ['BEGIN COMMIT; END', /ends transactions/],
  [`BEGIN INSERT INTO notes VALUES (1, 'x'); ${count}; END`, /notes/],
  [`DECLARE n notes; BEGIN ${count}; END`, /notes/],
  [`DECLARE n notes.body%TYPE; BEGIN ${count}; END`, /notes/],
  [`DECLARE a int[]; BEGIN a[(SELECT count(*) FROM orders)] := 1; ${count}; END`, /part of an array/],
  [`BEGIN GET DIAGNOSTICS other = PG_ROUTINE_OID; ${count}; END`, /PG_ROUTINE_OID/],
  ['BEGIN', /syntax error/],
])('PL/pgSQL that is not proven: %s', (body, reason) => {
  expect(plpgsql(body)).toMatch(reason);
});

test('what a function is declared to be', () => {
  const body = 'SELECT count(*) FROM orders WHERE customer = p';
  expect(sql(body, { volatility: 'immutable' })).toMatch(/IMMUTABLE/);
  expect(sql(body, { variadic: true })).toMatch(/VARIADIC/);
  expect(sql(body, { body: null })).toMatch(/BEGIN ATOMIC/);
  expect(proof(delegation('c', 'f'))).toMatch(/written in c/);
  expect(sql(body, { settings: ['search_path=app, pg_temp'] })).toMatch(/coordinator only/);
  expect(sql(body, { settings: ['search_path="$user", public'] })).toMatch(/user/);
  expect(sql(body, { settings: ['search_path=public', 'work_mem=1MB'] })).toBe('orders reads');
  expect(sql(body, { settings: ['plpgsql.variable_conflict=use_column'] })).toMatch(/plpgsql/);
  const events = planContext().snapshot.relations.get('public')!.get('events')!.oid;
  expect(sql(body, { colocatedWith: events })).toMatch(/orders is not co-located with events/);
  expect(sql('SELECT 1', { colocatedWith: 1 })).toMatch(/not distributed/);
  expect(sql('SELECT 1', { colocatedWith: events })).toMatch(/another type/);
});
