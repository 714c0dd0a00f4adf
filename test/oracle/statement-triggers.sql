CREATE TABLE orders (customer int, id int, total numeric(12,2), note text, PRIMARY KEY (customer, id));
CREATE TABLE lines (customer int, line int, amount int, PRIMARY KEY (customer, line));
CREATE TABLE log (n serial PRIMARY KEY, what text);
CREATE TABLE counts (n int, rows bigint);
-- distribute orders by customer
-- distribute lines by customer
CREATE FUNCTION tell() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
  INSERT INTO log (what) VALUES (concat_ws(' ', TG_NAME, TG_WHEN, TG_LEVEL, TG_OP, TG_TABLE_SCHEMA, TG_TABLE_NAME, TG_RELID::regclass, TG_NARGS, TG_ARGV[0], pg_trigger_depth(), current_setting('session_replication_role')));
  RETURN NULL; END $$;
CREATE FUNCTION total() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
  INSERT INTO log (what) SELECT concat_ws(' ', TG_NAME, TG_WHEN, count(*), sum(total)) FROM orders;
  RETURN NULL; END $$;
CREATE FUNCTION forbid() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
  IF (SELECT sum(total) FROM orders) > 1000 THEN RAISE EXCEPTION 'too much' USING ERRCODE = 'P0999'; END IF;
  RETURN NULL; END $$;
CREATE TRIGGER b1 BEFORE INSERT OR UPDATE OR DELETE ON orders FOR EACH STATEMENT EXECUTE FUNCTION tell('x');
CREATE TRIGGER a1 AFTER INSERT OR UPDATE OR DELETE ON orders EXECUTE FUNCTION total();
CREATE TRIGGER zz AFTER UPDATE OF note ON orders FOR EACH STATEMENT EXECUTE FUNCTION tell('note');
CREATE TRIGGER a0 BEFORE UPDATE OF total, note ON orders FOR EACH STATEMENT EXECUTE FUNCTION tell('total or note');
CREATE TRIGGER never BEFORE INSERT ON orders FOR EACH STATEMENT WHEN (current_setting('is_superuser') = 'no') EXECUTE FUNCTION tell();
CREATE TRIGGER z9 AFTER INSERT OR UPDATE ON orders FOR EACH STATEMENT EXECUTE FUNCTION forbid();
INSERT INTO orders SELECT g % 7, g, g, NULL FROM generate_series(1, 20) g;
INSERT INTO orders VALUES (1, 100, 5, 'one') RETURNING *;
INSERT INTO orders SELECT 1, 1, 1 WHERE false;
INSERT INTO orders VALUES (1, 101, 5, 'one'), (2, 102, 6, 'two');
INSERT INTO orders VALUES (1, 1, 5000, 'much');
SELECT what FROM log ORDER BY n;
UPDATE orders SET total = total + 1;
UPDATE orders SET note = 'n' WHERE customer = 3 RETURNING id, note;
UPDATE orders SET id = id WHERE id < 3;
UPDATE orders SET total = 0 WHERE false;
UPDATE orders SET total = total * 100;
UPDATE orders SET customer = customer + 1 WHERE customer = 6;
UPDATE orders o SET note = l.amount::text FROM (VALUES (1, 5), (2, 6)) l (customer, amount) WHERE l.customer = o.customer;
DELETE FROM orders WHERE id > 100;
DELETE FROM orders WHERE customer = 1 AND id = 100;
DELETE FROM orders USING (VALUES (3)) v (c) WHERE v.c = customer;
SELECT what FROM log ORDER BY n;
INSERT INTO orders VALUES (1, 1, 50, 'c') ON CONFLICT (customer, id) DO UPDATE SET total = excluded.total;
INSERT INTO orders VALUES (1, 1, 50, 'c'), (2, 2, 60, 'd') ON CONFLICT (customer, id) DO UPDATE SET note = excluded.note;
INSERT INTO orders VALUES (1, 1, 50, 'c') ON CONFLICT DO NOTHING;
MERGE INTO orders o USING (VALUES (1, 1), (9, 9)) v (c, i) ON o.customer = v.c AND o.id = v.i WHEN MATCHED THEN UPDATE SET note = 'm' WHEN NOT MATCHED THEN INSERT VALUES (v.c, v.i, 1, 'n');
MERGE INTO orders o USING (VALUES (1, 1), (9, 9)) v (c, i) ON o.customer = v.c AND o.id = v.i WHEN MATCHED AND o.note = 'x' THEN UPDATE SET total = 0 WHEN MATCHED THEN DELETE;
WITH gone AS (DELETE FROM orders WHERE customer = 2 RETURNING *) INSERT INTO lines SELECT customer, id, total FROM gone;
WITH more AS (INSERT INTO orders VALUES (8, 8, 8), (9, 9, 9) RETURNING *) SELECT count(*) FROM more;
WITH a AS (UPDATE orders SET note = 'a' WHERE customer = 8), b AS (UPDATE orders SET note = 'b' WHERE customer = 9) SELECT 1;
SELECT what FROM log ORDER BY n;
-- Errors, savepoints and rollbacks.
BEGIN;
UPDATE orders SET note = 'gone' WHERE customer = 4;
SAVEPOINT s;
UPDATE orders SET total = 100000 WHERE customer = 4;
ROLLBACK TO s;
UPDATE orders SET note = 'kept' WHERE customer = 5;
COMMIT;
BEGIN;
DELETE FROM orders;
ROLLBACK;
SELECT what FROM log ORDER BY n;
SELECT count(*), sum(total) FROM orders;
SHOW session_replication_role;
-- A function's statements fire them too, once.
CREATE FUNCTION change() RETURNS void LANGUAGE plpgsql AS $$ BEGIN
  INSERT INTO orders VALUES (4, 401, 1, 'f'), (5, 501, 1, 'f');
  UPDATE orders SET note = 'g' WHERE id IN (401, 501);
  DELETE FROM orders WHERE id = 401; END $$;
SELECT change();
SELECT what FROM log ORDER BY n;
-- Triggers that write to the table, and to others, and what is off.
TRUNCATE log;
CREATE FUNCTION copy_down() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
  INSERT INTO lines SELECT o.customer, o.id, 1 FROM orders o WHERE NOT EXISTS (SELECT FROM lines l WHERE l.customer = o.customer AND l.line = o.id);
  RETURN NULL; END $$;
CREATE TRIGGER down AFTER INSERT ON orders FOR EACH STATEMENT EXECUTE FUNCTION copy_down();
CREATE TRIGGER off AFTER INSERT ON orders FOR EACH STATEMENT EXECUTE FUNCTION tell('off');
ALTER TABLE orders DISABLE TRIGGER off;
INSERT INTO orders VALUES (4, 402, 1, 'f'), (6, 601, 1, 'f');
SELECT * FROM lines ORDER BY customer, line;
ALTER TRIGGER down ON orders RENAME TO down2;
DROP TRIGGER b1 ON orders;
ALTER TABLE orders ENABLE TRIGGER off;
INSERT INTO orders VALUES (4, 403, 1, 'f'), (6, 602, 1, 'f');
SELECT what FROM log ORDER BY n;
SELECT count(*) FROM lines;
SELECT tgname, tgenabled FROM pg_trigger WHERE tgrelid = 'orders'::regclass AND NOT tgisinternal AND tgname !~ '^!?pgherd_' ORDER BY tgname;
-- A BEFORE trigger whose own changes the statement would see.
CREATE FUNCTION first() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN UPDATE orders SET total = total + 1000 WHERE id = 403; RETURN NULL; END $$;
CREATE TRIGGER first BEFORE DELETE ON orders FOR EACH STATEMENT EXECUTE FUNCTION first();
-- may be refused
DELETE FROM orders WHERE total > 1000;
DROP TRIGGER first ON orders;
DROP TRIGGER z9 ON orders;
-- TRUNCATE.
TRUNCATE log;
CREATE FUNCTION count_lines() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
  INSERT INTO log (what) SELECT concat_ws(' ', TG_NAME, TG_WHEN, TG_OP, TG_TABLE_NAME, count(*)) FROM lines;
  RETURN NULL; END $$;
CREATE TRIGGER emptied AFTER TRUNCATE ON orders FOR EACH STATEMENT EXECUTE FUNCTION count_lines();
TRUNCATE orders;
SELECT what FROM log ORDER BY what;
SELECT count(*) FROM orders;
INSERT INTO orders VALUES (1, 1, 1), (2, 2, 2);
DROP TRIGGER emptied ON orders;
CREATE TRIGGER filled BEFORE TRUNCATE ON orders FOR EACH STATEMENT EXECUTE FUNCTION count_lines();
TRUNCATE orders;
SELECT what FROM log ORDER BY what;
SELECT count(*) FROM orders;
DROP TRIGGER filled ON orders;
CREATE TRIGGER filled BEFORE TRUNCATE ON orders FOR EACH STATEMENT EXECUTE FUNCTION total();
-- may be refused
TRUNCATE orders, lines;
