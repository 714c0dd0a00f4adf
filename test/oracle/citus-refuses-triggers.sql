CREATE TABLE orders (customer int, id int, total numeric(12,2), note text, PRIMARY KEY (customer, id));
CREATE TABLE stock (id serial PRIMARY KEY, name text, left_over int DEFAULT 5, at timestamptz DEFAULT now(), code uuid DEFAULT gen_random_uuid());
CREATE TABLE nation (id int PRIMARY KEY, name text);
CREATE FUNCTION touch() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN NEW.note := coalesce(NEW.note, '') || TG_OP; RETURN NEW; END $$;
CREATE FUNCTION keep() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN IF OLD.total > 15 THEN RETURN NULL; END IF; RETURN OLD; END $$;
CREATE FUNCTION forbid() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN IF NEW.total < 0 THEN RAISE EXCEPTION 'no debts' USING ERRCODE = 'P0999'; END IF; RETURN NULL; END $$;
CREATE TRIGGER touched BEFORE INSERT OR UPDATE ON orders FOR EACH ROW EXECUTE FUNCTION touch();
CREATE TRIGGER kept BEFORE DELETE ON orders FOR EACH ROW EXECUTE FUNCTION keep();
CREATE TRIGGER forbidden AFTER INSERT OR UPDATE ON orders FOR EACH ROW WHEN (NEW.id > 3) EXECUTE FUNCTION forbid();
-- distribute orders by customer
-- distribute stock by id
-- reference nation
INSERT INTO nation VALUES (1, 'one'), (2, 'two');
INSERT INTO orders SELECT g % 7, g, g, NULL FROM generate_series(1, 20) g;
UPDATE orders SET total = total + 1 RETURNING id, note;
UPDATE orders SET total = -1 WHERE id = 2 RETURNING *;
UPDATE orders SET total = -1 WHERE id IN (5, 6);
INSERT INTO orders VALUES (1, 100, -1);
INSERT INTO orders VALUES (1, 1, 50) ON CONFLICT (customer, id) DO UPDATE SET total = excluded.total RETURNING *;
DELETE FROM orders WHERE id > 10 RETURNING id;
DELETE FROM orders WHERE customer = 3;
SELECT * FROM orders ORDER BY customer, id;
CREATE TRIGGER late AFTER UPDATE ON orders FOR EACH ROW EXECUTE FUNCTION forbid();
UPDATE orders SET total = -5 WHERE id = 1;
DROP TRIGGER late ON orders;
ALTER TABLE orders DISABLE TRIGGER touched;
UPDATE orders SET note = 'plain' WHERE id < 4 RETURNING id, note;
ALTER TABLE orders ENABLE TRIGGER touched;
UPDATE orders SET note = 'fancy' WHERE id < 4 RETURNING id, note;
MERGE INTO orders o USING (VALUES (1, 1), (9, 9)) v (c, i) ON o.customer = v.c AND o.id = v.i WHEN MATCHED THEN UPDATE SET note = 'm' WHEN NOT MATCHED THEN INSERT VALUES (v.c, v.i, 1, 'n');
SELECT * FROM orders ORDER BY customer, id;
-- Defaults that only the coordinator has, in MERGE.
INSERT INTO stock (name) SELECT 'first ' || g FROM generate_series(1, 4) g;
MERGE INTO stock s USING (VALUES ('first 1', 7), ('second', 8)) v (name, n) ON s.name = v.name WHEN MATCHED THEN UPDATE SET left_over = v.n WHEN NOT MATCHED THEN INSERT (name, left_over) VALUES (v.name, v.n);
MERGE INTO stock s USING (VALUES ('third'), ('fourth')) v (name) ON s.name = v.name WHEN NOT MATCHED THEN INSERT (name) VALUES (v.name);
MERGE INTO stock s USING (VALUES (1, 'a'), (1000, 'b')) v (id, name) ON s.id = v.id WHEN MATCHED THEN UPDATE SET name = v.name WHEN NOT MATCHED THEN INSERT (id, name) VALUES (v.id, v.name);
MERGE INTO stock s USING (VALUES ('fifth'), ('sixth')) v (name) ON s.name = v.name WHEN NOT MATCHED AND v.name = 'fifth' THEN INSERT (id, name, left_over) VALUES (DEFAULT, v.name, DEFAULT) WHEN NOT MATCHED THEN INSERT VALUES (2000, v.name, DEFAULT);
MERGE INTO stock s USING (VALUES (1)) v (one) ON s.left_over = -v.one WHEN NOT MATCHED THEN INSERT DEFAULT VALUES;
SELECT name, left_over, at IS NOT NULL, code IS NOT NULL, id = 1000 FROM stock ORDER BY name;
SELECT count(DISTINCT id), count(DISTINCT code) = count(*) FROM stock;
