-- Recursive CTEs beside tables of the nodes: they are computed first, and their rows go to where the others are.
CREATE TABLE tree (id int PRIMARY KEY, parent int, name text);
-- distribute tree by id
CREATE TABLE item (iid int PRIMARY KEY, tree_id int, price numeric(8,2), t text);
-- distribute item by iid
CREATE TABLE category (id int PRIMARY KEY, parent int);
-- reference category
CREATE TABLE note (cat int, n text);
INSERT INTO tree SELECT g, CASE WHEN g = 1 THEN NULL ELSE g / 2 END, 'k' || g FROM generate_series(1, 40) g;
INSERT INTO item SELECT g, g % 44, g / 4.0, 't' || g % 5 FROM generate_series(1, 90) g;
INSERT INTO category SELECT g, CASE WHEN g = 1 THEN NULL ELSE g / 3 END FROM generate_series(1, 20) g;
INSERT INTO note SELECT g % 9, 'n' || g FROM generate_series(1, 15) g;
WITH RECURSIVE d AS (SELECT id, 0 AS lvl FROM category WHERE id = 2 UNION ALL SELECT c.id, d.lvl + 1 FROM d JOIN category c ON c.parent = d.id) SELECT d.lvl, i.iid, i.price FROM d JOIN item i ON i.tree_id = d.id ORDER BY 1, 2;
WITH RECURSIVE d AS (SELECT id, 0 AS lvl FROM tree WHERE name = 'k3' UNION ALL SELECT c.id, d.lvl + 1 FROM d JOIN tree c ON c.parent = d.id) SELECT d.lvl, count(*), sum(i.price) FROM d JOIN item i ON i.tree_id = d.id GROUP BY 1 ORDER BY 1;
WITH RECURSIVE d(a, path) AS (SELECT id, name FROM tree WHERE id = 5 UNION ALL SELECT c.id, d.path || '/' || c.name FROM d JOIN tree c ON c.parent = d.a) SELECT d.path, i.iid FROM item i LEFT JOIN d ON d.a = i.tree_id WHERE i.iid < 60 ORDER BY 2;
WITH RECURSIVE d AS (SELECT id FROM tree WHERE id = 3 UNION SELECT c.id FROM d JOIN tree c ON c.parent = d.id WHERE c.id < 30) SELECT x.id, y.id, i.iid FROM d x JOIN d y ON y.id = x.id * 2 JOIN item i ON i.tree_id = x.id ORDER BY 1, 2, 3;
WITH RECURSIVE n(n) AS (VALUES (1) UNION ALL SELECT n + 1 FROM n WHERE n < 12) SELECT n.n, i.iid FROM n JOIN item i ON i.tree_id = n.n JOIN tree t ON t.parent = i.iid ORDER BY 1, 2, t.id;
WITH RECURSIVE n(n) AS (VALUES (1) UNION ALL SELECT n + 1 FROM n) SELECT i.iid FROM n JOIN item i ON i.iid = n.n LIMIT 0;
WITH RECURSIVE n(n) AS (VALUES (1) UNION ALL SELECT n + 1 FROM n WHERE n < 12) SELECT i.iid FROM item i WHERE i.tree_id IN (SELECT n FROM n WHERE n > 4) ORDER BY 1;
WITH RECURSIVE n(n) AS (VALUES (1) UNION ALL SELECT n + 1 FROM n WHERE n < 12) SELECT n.n, i.iid FROM n, item i WHERE i.tree_id = n.n ORDER BY i.price DESC, i.iid LIMIT 5;
WITH RECURSIVE s AS (SELECT tree_id, sum(price) AS p FROM item GROUP BY tree_id), d AS (SELECT id FROM tree WHERE id = 2 UNION ALL SELECT c.id FROM d JOIN tree c ON c.parent = d.id) SELECT d.id, s.p, t.name FROM d JOIN s ON s.tree_id = d.id JOIN tree t ON t.parent = d.id ORDER BY 1, 3;
WITH RECURSIVE d AS (SELECT id FROM tree WHERE id = 2 UNION ALL SELECT c.id FROM d JOIN tree c ON c.parent = d.id), s AS (SELECT d.id, count(*) AS n FROM d JOIN item i ON i.tree_id = d.id GROUP BY d.id) SELECT s.id, s.n, i.iid FROM s JOIN item i ON i.tree_id = s.n ORDER BY 1, 3;
WITH RECURSIVE a AS (SELECT id FROM b), b AS (SELECT 4 AS id) SELECT i.iid FROM a JOIN item i ON i.tree_id = a.id ORDER BY 1;
WITH RECURSIVE d AS (SELECT cat AS id FROM note WHERE n = 'n7' UNION SELECT c.parent FROM d JOIN category c ON c.id = d.id) SELECT d.id, i.iid, o.n FROM d JOIN item i ON i.tree_id = d.id LEFT JOIN note o ON o.cat = d.id ORDER BY 1, 2, 3;
WITH RECURSIVE d AS (SELECT id FROM tree WHERE id = 2 UNION ALL SELECT c.id FROM d JOIN tree c ON c.parent = d.id) SELECT count(*) FROM item i, LATERAL (SELECT d.id FROM d WHERE d.id > i.tree_id ORDER BY d.id LIMIT 1) x;
WITH RECURSIVE d AS (SELECT id, 1 / (id - 5) AS x FROM tree WHERE id = 2 UNION ALL SELECT c.id, 1 / (c.id - 5) FROM d JOIN tree c ON c.parent = d.id) SELECT d.id, i.iid FROM d JOIN item i ON i.tree_id = d.id ORDER BY 1, 2;
WITH w AS (SELECT tree_id, count(*) AS n FROM item GROUP BY tree_id) SELECT w.n, t.id, c.id FROM w JOIN tree t ON t.parent = w.tree_id JOIN category c ON c.parent = t.id JOIN tree u ON u.parent = t.id ORDER BY 1, 2, 3, u.id;
BEGIN;
UPDATE tree SET parent = 1 WHERE id = 20;
DELETE FROM item WHERE iid % 7 = 0;
WITH RECURSIVE d AS (SELECT id, 0 AS lvl FROM tree WHERE id = 1 UNION ALL SELECT c.id, d.lvl + 1 FROM d JOIN tree c ON c.parent = d.id) SELECT d.lvl, count(*), sum(i.price) FROM d JOIN item i ON i.tree_id = d.id GROUP BY 1 ORDER BY 1;
WITH RECURSIVE d AS (SELECT id, 0 AS lvl FROM category WHERE id = 2 UNION ALL SELECT c.id, d.lvl + 1 FROM d JOIN category c ON c.parent = d.id) SELECT d.lvl, i.iid, i.price FROM d JOIN item i ON i.tree_id = d.id ORDER BY 1, 2;
ROLLBACK;
