CREATE TABLE tree (id int PRIMARY KEY, parent int, name text);
-- distribute tree by id
CREATE TABLE edge (a int, b int, cost int);
-- distribute edge by a
INSERT INTO tree SELECT g, CASE WHEN g = 1 THEN NULL ELSE g / 2 END, 'k' || g FROM generate_series(1, 20) g;
INSERT INTO edge VALUES (1, 2, 5), (2, 3, 1), (3, 1, 2), (3, 4, 7), (4, 5, 1), (1, 5, 30), (NULL, 1, 1), (6, 7, 1);
WITH RECURSIVE t(n) AS (VALUES (1) UNION ALL SELECT n + 1 FROM t WHERE n < 10) SELECT sum(n) FROM t;
WITH RECURSIVE t(n) AS (VALUES (1) UNION ALL SELECT n + 1 FROM t) SELECT n FROM t LIMIT 5;
WITH RECURSIVE d AS (SELECT id, name, 0 AS lvl FROM tree WHERE parent IS NULL UNION ALL SELECT t.id, t.name, lvl + 1 FROM d JOIN tree t ON t.parent = d.id) SELECT * FROM d ORDER BY lvl, id;
WITH RECURSIVE d AS (SELECT id, parent FROM tree WHERE id = 19 UNION ALL SELECT t.id, t.parent FROM d JOIN tree t ON t.id = d.parent) SELECT id FROM d ORDER BY id;
WITH RECURSIVE d(id, path) AS (SELECT id, name::text FROM tree WHERE id = 1 UNION ALL SELECT t.id, path || '/' || t.name FROM d JOIN tree t ON t.parent = d.id) SELECT * FROM d ORDER BY path LIMIT 7;
WITH RECURSIVE r(b) AS (SELECT 1 UNION SELECT e.b FROM r JOIN edge e ON e.a = r.b) SELECT b FROM r ORDER BY b;
WITH RECURSIVE r(b, cost) AS (SELECT 1, 0 UNION ALL SELECT e.b, r.cost + e.cost FROM r JOIN edge e ON e.a = r.b WHERE r.cost < 20) SELECT b, min(cost), count(*) FROM r GROUP BY b ORDER BY b;
WITH RECURSIVE r(a, b) AS (SELECT a, b FROM edge WHERE a = 1 UNION ALL SELECT e.a, e.b FROM r JOIN edge e ON e.a = r.b) CYCLE b SET looped USING trail SELECT a, b, looped FROM r ORDER BY a, b, looped;
WITH RECURSIVE d AS (SELECT id, parent FROM tree WHERE id = 1 UNION ALL SELECT t.id, t.parent FROM d JOIN tree t ON t.parent = d.id) SEARCH DEPTH FIRST BY id SET ordering SELECT id FROM d ORDER BY ordering;
WITH RECURSIVE d AS (SELECT id, parent FROM tree WHERE id = 1 UNION ALL SELECT t.id, t.parent FROM d JOIN tree t ON t.parent = d.id) SEARCH BREADTH FIRST BY id SET ordering SELECT id FROM d ORDER BY ordering;
WITH RECURSIVE x AS (SELECT id FROM tree WHERE id = 2 UNION ALL SELECT t.id FROM x JOIN tree t ON t.parent = x.id), y AS (SELECT count(*) AS n FROM x) SELECT x.id, y.n FROM x, y ORDER BY 1;
SELECT id, (WITH RECURSIVE u AS (SELECT t.parent AS p UNION ALL SELECT x.parent FROM u JOIN tree x ON x.id = u.p) SELECT count(p) FROM u) FROM tree t WHERE id > 15 ORDER BY id;
SELECT * FROM (WITH RECURSIVE t(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM t WHERE n < 3) SELECT n FROM t) s JOIN tree ON tree.id = s.n ORDER BY n;
WITH RECURSIVE t(n) AS (SELECT 1 UNION ALL SELECT n || 'x' FROM t) SELECT * FROM t;
WITH RECURSIVE t(n) AS (SELECT n FROM t) SELECT * FROM t;
WITH RECURSIVE t(n) AS (SELECT 1 UNION ALL SELECT count(*)::int FROM t) SELECT * FROM t;
WITH RECURSIVE moved AS (DELETE FROM tree WHERE id = 20 RETURNING id) SELECT * FROM moved;
INSERT INTO tree WITH RECURSIVE t(n) AS (SELECT 101 UNION ALL SELECT n + 1 FROM t WHERE n < 105) SELECT n, 1, 'neu' FROM t;
DELETE FROM tree WHERE id IN (WITH RECURSIVE d AS (SELECT 4 AS id UNION ALL SELECT t.id FROM d JOIN tree t ON t.parent = d.id) SELECT id FROM d) RETURNING id;
SELECT count(*), sum(id) FROM tree;
