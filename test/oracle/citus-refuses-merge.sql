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
MERGE INTO orders o USING events e ON o.id = e.id WHEN MATCHED AND e.kind = 'buy' THEN UPDATE SET note = e.kind WHEN MATCHED AND e.kind = 'look' THEN DELETE WHEN NOT MATCHED THEN INSERT (customer, id, note) VALUES (e.customer, e.id, e.kind);
SELECT * FROM orders ORDER BY customer, id;
MERGE INTO orders o USING events e ON o.id = e.customer AND e.id < 8 WHEN MATCHED THEN UPDATE SET total = e.id;
MERGE INTO orders o USING (SELECT customer, max(id) AS id FROM events GROUP BY 1) e ON o.customer = e.customer AND o.id = e.id WHEN MATCHED THEN UPDATE SET total = o.total + 1 WHEN NOT MATCHED THEN INSERT VALUES (e.customer, e.id, 5);
MERGE INTO orders o USING (VALUES (1, 1000), (2, 2000), (3, 3)) v (c, i) ON o.customer = v.c AND o.id = v.i WHEN MATCHED THEN UPDATE SET note = 'value' WHEN NOT MATCHED THEN INSERT (customer, id) VALUES (v.c, v.i) RETURNING merge_action(), o.*, v.*;
MERGE INTO orders o USING (VALUES (5, 50), (6, 60)) v (t, i) ON o.total = v.t WHEN MATCHED THEN UPDATE SET note = v.i::text WHEN NOT MATCHED THEN INSERT (customer, id, total) VALUES (v.i, v.i, v.t) RETURNING merge_action(), o.id, v.i;
MERGE INTO orders o USING notes b ON o.id = b.id WHEN MATCHED AND b.id > 10 THEN DELETE WHEN MATCHED THEN UPDATE SET note = b.body WHEN NOT MATCHED THEN INSERT (customer, id, note) VALUES (b.customer, b.id, b.body) RETURNING merge_action(), o.id, o.note, b.body;
MERGE INTO orders o USING nation n ON o.customer = n.id WHEN MATCHED AND o.id % 2 = 0 THEN UPDATE SET note = n.name WHEN NOT MATCHED THEN INSERT (customer, id, note) VALUES (n.id, 500 + n.id, n.name);
MERGE INTO orders o USING items i ON o.customer = i.customer AND o.id = i.order_id AND i.pos = 1 WHEN MATCHED THEN UPDATE SET total = i.quantity WHEN NOT MATCHED BY SOURCE AND o.id > 400 THEN DELETE;
MERGE INTO orders o USING events e ON o.id = e.id WHEN NOT MATCHED BY SOURCE AND o.total > 3 THEN UPDATE SET note = 'alone' WHEN MATCHED THEN DO NOTHING WHEN NOT MATCHED BY TARGET THEN INSERT (customer, id) VALUES (e.customer, e.id + 5000) RETURNING merge_action(), o.id, e.id;
SELECT * FROM orders ORDER BY customer, id;
MERGE INTO nation n USING events e ON n.id = e.id WHEN MATCHED THEN UPDATE SET name = e.kind WHEN NOT MATCHED AND e.id < 20 THEN INSERT VALUES (e.id, e.kind) RETURNING merge_action(), n.*;
MERGE INTO nation n USING (VALUES (1, 'one'), (99, 'much')) v (id, name) ON n.id = v.id WHEN MATCHED THEN UPDATE SET name = v.name WHEN NOT MATCHED THEN INSERT VALUES (v.id, v.name);
MERGE INTO nation n USING notes b ON n.id = b.id WHEN MATCHED AND b.id = 3 THEN DELETE WHEN MATCHED THEN UPDATE SET name = b.body WHEN NOT MATCHED BY SOURCE THEN DELETE;
MERGE INTO nation n USING (SELECT customer, count(*) AS c FROM orders GROUP BY 1) x ON n.id = x.customer WHEN MATCHED THEN UPDATE SET name = x.c::text WHEN NOT MATCHED THEN INSERT VALUES (x.customer, 'new ' || x.c);
SELECT * FROM nation ORDER BY id;
MERGE INTO notes b USING orders o ON b.id = o.id WHEN MATCHED THEN UPDATE SET body = o.note WHEN NOT MATCHED AND o.id < 60 THEN INSERT VALUES (o.id, o.customer, 'from orders') RETURNING merge_action(), b.id;
MERGE INTO notes b USING (SELECT e.id, e.kind FROM events e JOIN orders o ON o.id = e.id) x ON b.id = x.id WHEN MATCHED THEN UPDATE SET body = x.kind WHEN NOT MATCHED BY SOURCE AND b.id > 50 THEN DELETE;
SELECT * FROM notes ORDER BY id;
WITH x AS (SELECT id, kind FROM events WHERE kind = 'buy') MERGE INTO orders o USING x ON o.id = x.id WHEN MATCHED THEN UPDATE SET note = 'with ' || x.kind RETURNING o.id, o.note;
MERGE INTO events t USING (SELECT e.id, o.note FROM events e LEFT JOIN orders o ON o.id = e.id) s ON t.id = s.id WHEN MATCHED AND s.note IS NULL THEN DELETE WHEN MATCHED THEN UPDATE SET kind = s.note;
MERGE INTO events t USING orders s ON t.id = s.id AND s.id < 6 WHEN MATCHED AND t.customer > (SELECT min(customer) FROM events) THEN UPDATE SET kind = (SELECT max(body) FROM notes) WHEN NOT MATCHED AND s.id > 1000 THEN INSERT VALUES (s.id, s.customer);
MERGE INTO ONLY events t USING (VALUES (1), (2)) s (id) ON t.id = s.id WHEN MATCHED THEN DELETE;
MERGE INTO events t USING (VALUES (7), (7)) s (id) ON t.id = s.id WHEN MATCHED THEN UPDATE SET kind = 'twice';
MERGE INTO events t USING (VALUES (700), (700)) s (id) ON t.id = s.id WHEN NOT MATCHED THEN INSERT VALUES (s.id);
MERGE INTO events t USING (VALUES (8, 'a')) s (id, k) ON t.id = s.id AND t.kind = s.k WHEN NOT MATCHED THEN INSERT (id, kind) VALUES (s.id + 8000, s.k) WHEN MATCHED THEN DELETE;
MERGE INTO items i USING events e ON i.order_id = e.id AND i.pos = 2 WHEN MATCHED THEN DELETE WHEN NOT MATCHED THEN INSERT VALUES (e.customer, e.id, 2, 1, random());
SELECT customer, order_id, pos, quantity FROM items ORDER BY order_id, pos;
SELECT id, customer, kind FROM events ORDER BY id;
