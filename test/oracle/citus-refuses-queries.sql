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
-- Correlated subqueries off the distribution column.
SELECT id FROM orders o WHERE EXISTS (SELECT 1 FROM events e WHERE e.customer = o.id) ORDER BY id;
SELECT id FROM orders o WHERE NOT EXISTS (SELECT 1 FROM events e WHERE e.customer = o.id AND e.kind = 'buy') ORDER BY id;
SELECT id, (SELECT count(*) FROM events e WHERE e.customer = o.id) AS n FROM orders o ORDER BY id;
SELECT id, (SELECT max(e.at) FROM events e WHERE e.customer < o.id AND e.kind = o.note) FROM orders o ORDER BY id;
SELECT id FROM orders o WHERE total > (SELECT avg(i.quantity) FROM items i WHERE i.order_id = o.id) ORDER BY id;
SELECT id FROM orders o WHERE total = (SELECT max(total) FROM orders p WHERE p.placed > o.placed - 5 AND p.placed <= o.placed) ORDER BY id;
SELECT id FROM orders o WHERE (o.id, o.customer) IN (SELECT e.id, e.customer FROM events e WHERE e.at > o.placed) ORDER BY id;
SELECT id FROM orders o WHERE id NOT IN (SELECT e.customer FROM events e WHERE e.id > o.total) ORDER BY id;
SELECT id FROM orders o WHERE o.total > ALL (SELECT quantity FROM items i WHERE i.order_id = o.id + 1) ORDER BY id;
SELECT o.id, x.* FROM orders o, LATERAL (SELECT e.id AS e, e.kind FROM events e WHERE e.customer = o.id ORDER BY e.id DESC LIMIT 2) x ORDER BY 1, 2;
SELECT o.id, x.n FROM orders o LEFT JOIN LATERAL (SELECT count(*) AS n FROM events e WHERE e.customer > o.id AND e.kind = 'buy') x ON x.n > 2 ORDER BY 1;
SELECT o.id, ARRAY(SELECT e.id FROM events e WHERE e.customer = o.id ORDER BY e.id) FROM orders o ORDER BY 1;
SELECT n.name, (SELECT string_agg(e.kind, ',' ORDER BY e.id) FROM events e WHERE e.customer = n.id) FROM nation n ORDER BY 1;
SELECT b.id, EXISTS (SELECT 1 FROM orders o WHERE o.id = b.id AND EXISTS (SELECT 1 FROM items i WHERE i.quantity = o.id)) FROM notes b ORDER BY 1;
SELECT customer, sum(total) FROM orders o GROUP BY customer HAVING sum(total) > (SELECT count(*) FROM events e WHERE e.id > o.customer) ORDER BY 1;
SELECT id FROM orders o ORDER BY (SELECT count(*) FROM events e WHERE e.customer = o.total), id LIMIT 7;
-- Joins that are not on the distribution columns.
SELECT o.id, e.id FROM orders o JOIN events e ON e.customer = o.id ORDER BY 1, 2;
SELECT o.id, e.id FROM orders o LEFT JOIN events e ON e.customer = o.id AND e.kind = 'buy' ORDER BY 1, 2;
SELECT o.id, e.id FROM orders o RIGHT JOIN events e ON e.id = o.id ORDER BY 1, 2;
SELECT o.id, e.id, e.kind FROM orders o FULL JOIN events e ON e.id = o.id ORDER BY 1, 2;
SELECT o.id, e.id FROM orders o FULL JOIN events e USING (customer) WHERE o.id < 4 OR e.id < 4 ORDER BY 1, 2;
SELECT count(*) FROM orders o JOIN events e ON e.at BETWEEN o.placed AND o.placed + 2;
SELECT count(*), sum(o.total * e.id) FROM orders o CROSS JOIN events e;
SELECT count(*) FROM orders, events, items;
SELECT count(*) FROM orders o JOIN orders p ON p.id = o.id + 1 JOIN events e ON e.id = p.total LEFT JOIN items i ON i.order_id = e.customer;
SELECT o.note, i.price, e.kind, n.name, b.body FROM orders o JOIN items i ON i.order_id = o.id JOIN events e ON e.id = i.quantity JOIN nation n ON n.id = e.customer JOIN notes b ON b.id = o.id ORDER BY 1, 2, 3, 4, 5;
SELECT * FROM orders NATURAL JOIN events ORDER BY 1, 2, 3;
SELECT count(*) FROM orders o WHERE o.customer IN (SELECT quantity FROM items);
-- bigint = int on distribution columns.
SELECT o.id, i.quantity FROM orders o JOIN items i ON i.customer = o.customer AND i.order_id = o.id WHERE i.pos = 1 ORDER BY 1;
SELECT o.customer, count(*) FROM orders o JOIN items i USING (customer) GROUP BY 1 ORDER BY 1;
SELECT count(*) FROM items WHERE customer = 3::smallint;
SELECT count(*) FROM orders WHERE customer = 3::bigint;
SELECT count(*) FROM orders o WHERE customer IN (SELECT customer FROM items WHERE quantity > 5);
-- Recursive queries.
WITH RECURSIVE r (n, customer) AS (SELECT 1, customer FROM orders WHERE id = 1 UNION ALL SELECT n + 1, r.customer + 1 FROM r JOIN events e ON e.id = r.customer + 1 WHERE n < 6) SELECT * FROM r ORDER BY 1;
WITH RECURSIVE r AS (SELECT id FROM orders WHERE id < 3 UNION SELECT o.id FROM r JOIN orders o ON o.id = r.id * 2) SELECT count(*), max(id) FROM r;
WITH RECURSIVE r AS (SELECT id, customer, ARRAY[id] AS path FROM orders WHERE id = 2 UNION ALL SELECT o.id, o.customer, path || o.id FROM r JOIN orders o ON o.customer = r.id % 9 AND NOT o.id = ANY (path) WHERE cardinality(path) < 3) SELECT path FROM r ORDER BY 1;
WITH RECURSIVE r AS (SELECT id, 1 AS d FROM orders WHERE id = 2 UNION ALL SELECT o.id, d + 1 FROM r JOIN orders o ON o.id = r.id + 9 WHERE d < 4) SEARCH BREADTH FIRST BY id SET s CYCLE id SET c USING p SELECT id, d, c FROM r ORDER BY s;
-- Grouping sets.
SELECT customer, placed > '2024-01-20', count(*), sum(total) FROM orders GROUP BY ROLLUP (1, 2) ORDER BY 1, 2, 3;
SELECT kind, customer, count(*), grouping(kind, customer) FROM events GROUP BY CUBE (kind, customer) ORDER BY 1, 2, 4;
SELECT kind, customer % 2 AS odd, avg(id), max(at) FROM events GROUP BY GROUPING SETS ((kind), (customer % 2), ()) ORDER BY 1, 2;
SELECT customer, kind, count(DISTINCT id) FILTER (WHERE id > 4), array_agg(id ORDER BY id) FROM events GROUP BY DISTINCT GROUPING SETS (ROLLUP (customer, kind), (kind)) HAVING count(*) > 1 ORDER BY 1, 2;
SELECT e.kind, n.name, sum(o.total) FROM orders o JOIN events e ON e.id = o.id JOIN nation n ON n.id = e.customer GROUP BY ROLLUP (e.kind, n.name) ORDER BY 1, 2;
-- Row locks over many shards.
SELECT id FROM orders WHERE total > 3 ORDER BY id FOR UPDATE;
SELECT id FROM orders ORDER BY id LIMIT 3 FOR UPDATE SKIP LOCKED;
SELECT id FROM orders WHERE id < 9 ORDER BY total, id LIMIT 2 OFFSET 1 FOR NO KEY UPDATE NOWAIT;
SELECT o.id, e.id FROM orders o JOIN events e ON e.customer = o.id ORDER BY 1, 2 FOR UPDATE OF o;
SELECT o.id, n.name FROM orders o JOIN nation n ON n.id = o.customer ORDER BY 1 FOR SHARE OF o, n;
SELECT count(*) FROM (SELECT id FROM orders FOR KEY SHARE) x;
WITH l AS (SELECT id FROM orders WHERE id < 6 FOR UPDATE) SELECT * FROM l ORDER BY 1;
SELECT o.id FROM orders o, notes b WHERE b.id = o.id ORDER BY 1 FOR UPDATE;
-- Subqueries in VALUES and LIMIT.
VALUES ((SELECT count(*) FROM orders)), ((SELECT max(id)::bigint FROM events)) ORDER BY 1;
SELECT id FROM orders ORDER BY id LIMIT (SELECT count(*) FROM events WHERE kind = 'buy') OFFSET (SELECT min(id) FROM items i JOIN orders o ON o.id = i.order_id);
SELECT id FROM orders ORDER BY total, id LIMIT (SELECT max(quantity) FROM items);
SELECT id FROM orders WHERE customer = 4 ORDER BY id LIMIT (SELECT 2);
SELECT count(*) FROM (SELECT 1 FROM orders LIMIT (SELECT count(*) / 2 FROM orders)) x;
SELECT id FROM (SELECT id FROM orders ORDER BY total DESC FETCH FIRST (SELECT 3) ROWS WITH TIES) x ORDER BY id;
-- nextval() in a SELECT over many shards.
CREATE SEQUENCE seq;
SELECT count(DISTINCT n), min(n), max(n) FROM (SELECT nextval('seq') AS n FROM orders) x;
SELECT id, nextval('seq') > 40 FROM orders WHERE total > 8 ORDER BY id;
SELECT nextval('seq') IS NOT NULL FROM orders WHERE customer = 3;
SELECT nextval('seq');
-- tableoid, whole rows, ONLY, TABLESAMPLE.
SELECT DISTINCT tableoid::regclass FROM orders;
SELECT o.tableoid = 'orders'::regclass, count(*) FROM orders o GROUP BY 1;
SELECT tableoid::regclass, id FROM orders WHERE customer = 2 ORDER BY id;
SELECT o.tableoid::regclass, e.tableoid::regclass, count(*) FROM orders o JOIN events e ON e.id = o.id GROUP BY 1, 2;
SELECT o FROM orders o WHERE customer = 2 ORDER BY o.id;
SELECT o, e FROM orders o JOIN events e ON e.customer = o.id ORDER BY o.id, e.id;
SELECT (o).id, (o.*)::text, row_to_json(o) FROM orders o ORDER BY 1;
SELECT count(o), count(DISTINCT e), max(o.*::text) FROM orders o LEFT JOIN events e ON e.id = o.id + 20;
SELECT o IS NULL, o.* IS NOT NULL, count(*) FROM orders o GROUP BY 1, 2 ORDER BY 1, 2;
SELECT count(*) FROM ONLY orders;
SELECT count(*) FROM ONLY orders o JOIN ONLY events e ON e.id = o.id;
SELECT id FROM ONLY orders WHERE customer = 3 ORDER BY id;
SELECT count(*) FROM orders TABLESAMPLE BERNOULLI (100);
SELECT count(*) FROM orders TABLESAMPLE SYSTEM (100) REPEATABLE (1) o JOIN events e ON e.id = o.id;
SELECT count(*) FROM orders TABLESAMPLE BERNOULLI (0);
SELECT count(*) FROM orders TABLESAMPLE BERNOULLI (0) WHERE customer = 2;
SELECT id FROM orders TABLESAMPLE BERNOULLI (0);
SELECT o.id FROM orders AS o TABLESAMPLE BERNOULLI (100) REPEATABLE (1) WHERE o.customer = 2 ORDER BY 1;
-- A parallel read, then a write to a referenced table.
CREATE TABLE parent (id int PRIMARY KEY, v int);
-- reference parent
CREATE TABLE child (k int PRIMARY KEY, parent int REFERENCES parent ON DELETE CASCADE);
-- distribute child by k
INSERT INTO parent SELECT g, g FROM generate_series(1, 5) g;
INSERT INTO child SELECT g, g % 5 + 1 FROM generate_series(1, 30) g;
BEGIN;
SELECT count(*) FROM child;
UPDATE parent SET v = v + 1 WHERE id = 2;
SELECT count(*) FROM child JOIN parent ON parent.id = child.parent WHERE v = 3;
DELETE FROM parent WHERE id = 3;
SELECT count(*) FROM child;
INSERT INTO parent VALUES (9, 9);
INSERT INTO child VALUES (100, 9), (101, 9);
SELECT count(*) FROM child;
COMMIT;
SELECT * FROM parent ORDER BY id;
SELECT parent, count(*) FROM child GROUP BY 1 ORDER BY 1;
-- Keys that differ in their integer width only.
CREATE TABLE small (k smallint, v int);
-- distribute small by k with orders
SELECT count(*) FROM orders o JOIN small s ON s.k = o.customer;
INSERT INTO small SELECT customer, id FROM orders;
INSERT INTO items SELECT k, v, 9, 9, 9 FROM small;
SELECT count(*), sum(i.quantity) FROM orders o JOIN small s ON s.k = o.customer JOIN items i ON i.customer = s.k AND i.order_id = s.v;
