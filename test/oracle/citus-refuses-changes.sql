CREATE TABLE orders (customer int, id int, total numeric(12,2), placed date, note text, PRIMARY KEY (customer, id));
-- distribute orders by customer
CREATE TABLE items (customer bigint, order_id int, pos int, quantity int, price numeric(10,2));
-- distribute items by customer with orders
CREATE TABLE events (id int PRIMARY KEY, customer int, kind text, at timestamp);
-- distribute events by id
CREATE TABLE nation (id int PRIMARY KEY, name text);
-- reference nation
CREATE TABLE notes (id int PRIMARY KEY, customer int, body text);
INSERT INTO orders SELECT g % 9, g, g * 3 % 17, '2024-01-01'::date + g, CASE WHEN g % 4 > 0 THEN 'n' || g END FROM generate_series(1, 40) g;
INSERT INTO items SELECT g % 9, g, p, g % 5 + p, g + p / 10.0 FROM generate_series(1, 40) g, generate_series(1, 2) p WHERE g % 7 > 0;
INSERT INTO events SELECT g, g % 11, CASE g % 3 WHEN 0 THEN 'buy' WHEN 1 THEN 'look' ELSE 'leave' END, '2024-01-01'::timestamp + g * interval '7 hours' FROM generate_series(1, 50) g;
INSERT INTO nation SELECT g, 'nation ' || g FROM generate_series(0, 7) g;
INSERT INTO notes SELECT g, g % 10, 'note ' || g FROM generate_series(1, 15) g;
-- Rows elsewhere.
UPDATE orders SET total = 5 FROM events e WHERE e.customer = orders.id RETURNING orders.id, total, e.kind IS NOT NULL;
UPDATE orders o SET note = e.kind FROM events e WHERE e.id = o.id AND e.kind <> 'look' RETURNING o.*, e.at;
UPDATE orders o SET note = b.body FROM notes b WHERE b.id = o.id RETURNING o.id, note;
UPDATE orders o SET note = n.name FROM nation n WHERE n.id = o.total RETURNING o.id, note;
UPDATE orders SET total = (SELECT count(*) FROM events e WHERE e.customer = orders.id) WHERE id < 20;
UPDATE orders SET (total, note) = (SELECT max(quantity), min(price)::text FROM items i WHERE i.order_id = orders.id) WHERE id > 30 RETURNING *;
UPDATE orders SET total = total + 1 WHERE id IN (SELECT customer FROM events WHERE kind = 'buy');
UPDATE orders o SET total = 0 WHERE NOT EXISTS (SELECT 1 FROM items i WHERE i.order_id = o.id) RETURNING id;
UPDATE orders o SET total = x.s FROM (SELECT customer, sum(id) AS s FROM events GROUP BY 1) x WHERE x.customer = o.id;
UPDATE orders o SET total = p.total FROM orders p WHERE p.id = o.id + 1 AND o.id % 2 = 0;
UPDATE orders o SET note = e.kind FROM events e LEFT JOIN items i ON i.order_id = e.id WHERE e.id = o.id AND i.order_id IS NULL RETURNING o.id, e.id;
DELETE FROM items USING events e WHERE e.customer = items.order_id AND e.kind = 'leave' RETURNING items.order_id;
DELETE FROM items i WHERE i.quantity > (SELECT avg(quantity) + 2 FROM items j WHERE j.order_id <> i.order_id);
DELETE FROM items WHERE order_id IN (SELECT id FROM notes WHERE id < 3) RETURNING order_id, pos;
SELECT * FROM orders ORDER BY id;
SELECT * FROM items ORDER BY order_id, pos;
-- Volatile functions.
UPDATE orders SET total = random() * 100 RETURNING total BETWEEN 0 AND 100;
SELECT count(DISTINCT total) > 1 FROM orders;
UPDATE orders SET note = gen_random_uuid()::text WHERE id < 10;
SELECT count(DISTINCT note) FROM orders WHERE id < 10;
UPDATE orders SET note = clock_timestamp()::text WHERE random() < 2 AND id = 3;
UPDATE orders SET total = floor(random() * 10) WHERE customer = 3;
CREATE SEQUENCE seq;
UPDATE orders SET total = nextval('seq');
SELECT count(DISTINCT total), min(total), max(total) FROM orders;
UPDATE orders SET total = nextval('seq') WHERE customer = 3 RETURNING total > 40;
UPDATE nation SET name = name || random();
SELECT count(DISTINCT name) FROM nation;
DELETE FROM events WHERE random() < -1;
UPDATE orders SET total = id, note = 'n' || id;
-- Reference and local tables.
UPDATE nation SET name = e.kind FROM events e WHERE e.customer = nation.id AND e.id < 8 RETURNING nation.id, e.kind;
UPDATE nation SET name = (SELECT max(note) FROM orders o WHERE o.customer = nation.id) RETURNING *;
DELETE FROM nation WHERE id IN (SELECT quantity FROM items WHERE quantity > 6) RETURNING id;
INSERT INTO nation SELECT id + 100, kind FROM events WHERE customer = 4 RETURNING *;
INSERT INTO nation SELECT 200 + count(*), 'counted' FROM orders RETURNING *;
INSERT INTO nation SELECT id, 'again' FROM orders WHERE id < 4 ON CONFLICT (id) DO UPDATE SET name = excluded.name || nation.name RETURNING *;
UPDATE notes SET body = o.note FROM orders o WHERE o.id = notes.id RETURNING *;
UPDATE notes SET body = (SELECT e.kind FROM events e WHERE e.id = notes.id) WHERE id < 5;
UPDATE notes SET body = 'x' WHERE EXISTS (SELECT 1 FROM events e WHERE e.customer = notes.id AND e.kind = 'buy') RETURNING id;
DELETE FROM notes USING orders o WHERE o.id = notes.id AND o.total > 12 RETURNING notes.id, o.total;
INSERT INTO notes SELECT id + 50, customer, note FROM orders WHERE id < 5 RETURNING *;
INSERT INTO notes SELECT id, customer, kind FROM events WHERE id < 9 ON CONFLICT (id) DO UPDATE SET body = notes.body || excluded.body RETURNING *;
SELECT * FROM notes ORDER BY id;
SELECT * FROM nation ORDER BY id;
-- INSERT … SELECT.
INSERT INTO events SELECT id + 100, customer, note, placed FROM orders RETURNING id;
INSERT INTO orders (customer, id, total) SELECT customer, id + 1000, count(*) FROM events GROUP BY 1, 2 RETURNING *;
INSERT INTO orders (customer, id, total) SELECT e.customer, e.id, i.quantity FROM events e JOIN items i ON i.order_id = e.id WHERE i.pos = 1 ON CONFLICT (customer, id) DO UPDATE SET total = excluded.total + orders.total, note = 'twice' RETURNING customer, id, total, note;
INSERT INTO orders (customer, id) SELECT customer, order_id FROM items ON CONFLICT DO NOTHING RETURNING *;
INSERT INTO orders (customer, id, total) SELECT customer, id, 1 FROM events WHERE id < 5 ON CONFLICT (customer, id) DO UPDATE SET total = (SELECT count(*) FROM notes) WHERE orders.total > 3 RETURNING *;
INSERT INTO items (customer, order_id) VALUES ((SELECT max(customer) FROM orders), (SELECT count(*) FROM events)), (1, 2) RETURNING *;
INSERT INTO events (id, customer) VALUES ((SELECT max(id) + 1 FROM events), (SELECT min(id) FROM orders)) RETURNING *;
INSERT INTO events (id, customer, kind) SELECT max(id) + 1, 7, (SELECT note FROM orders ORDER BY id LIMIT 1) FROM events RETURNING *;
INSERT INTO events WITH x AS (SELECT id FROM orders WHERE id > 1010) SELECT id * 1000, 5 FROM x RETURNING id;
SELECT * FROM orders ORDER BY customer, id;
SELECT id, customer, kind FROM events ORDER BY id;
-- RETURNING with subqueries and other tables.
UPDATE orders SET total = 1 WHERE id < 5 RETURNING id, (SELECT count(*) FROM events e WHERE e.customer = orders.id);
DELETE FROM orders WHERE id > 1030 RETURNING id, (SELECT max(id) FROM notes), (SELECT name FROM nation n WHERE n.id = orders.customer);
INSERT INTO orders (customer, id) VALUES (1, 70001), (2, 70002) RETURNING id, (SELECT count(*) FROM notes), (SELECT max(id) FROM events);
UPDATE orders SET note = 'z' WHERE id IN (1, 2, 3) RETURNING orders;
-- may be refused
UPDATE orders SET note = 'z' WHERE id IN (1, 2, 3) RETURNING orders.tableoid::regclass;
UPDATE ONLY orders SET note = 'only' WHERE id < 4 RETURNING id;
DELETE FROM ONLY orders WHERE id = 70001 RETURNING id;
DELETE FROM orders WHERE total = (SELECT max(total) FROM orders) RETURNING id;
SELECT count(*), sum(total) FROM orders;
