CREATE TABLE t (id int PRIMARY KEY, grp int, code varchar(6), n numeric(8,2) DEFAULT 1.5, ch char(4));
-- distribute t by id
CREATE TABLE arch (id int, grp int, code text, n numeric(8,2), at timestamptz DEFAULT now());
-- distribute arch by grp
CREATE TABLE ref (id int PRIMARY KEY, name text);
-- reference ref
CREATE TABLE loc (id int, name text);
INSERT INTO t SELECT g, g % 3, 'c' || g, g, 'x' || g FROM generate_series(1, 20) g;
INSERT INTO ref SELECT g, 'r' || g FROM generate_series(0, 6) g;
WITH x AS (UPDATE t SET n = n + 1 WHERE grp = 1 RETURNING *) SELECT * FROM x ORDER BY id;
WITH x AS (UPDATE t SET n = n + 1 WHERE grp = 1 RETURNING id, n, ch, code || '!' AS loud) SELECT x.*, t.n AS before, ref.name FROM x JOIN t USING (id) LEFT JOIN ref ON ref.id = x.id ORDER BY x.id;
WITH x (a, b) AS (DELETE FROM t WHERE id IN (4, 5) RETURNING id, n) SELECT count(*), sum(b), (SELECT count(*) FROM t) AS all_before FROM x;
SELECT count(*) FROM t;
WITH gone AS (DELETE FROM t WHERE grp = 2 RETURNING *) INSERT INTO arch (id, grp, code, n) SELECT id, grp, code, n FROM gone;
SELECT id, grp, code, n FROM arch ORDER BY id;
SELECT * FROM t ORDER BY id;
WITH x AS (INSERT INTO t (id, grp) VALUES (101, 1), (102, 2) RETURNING id, n) INSERT INTO loc SELECT id, n::text FROM x;
SELECT * FROM loc ORDER BY id;
WITH x AS (INSERT INTO t (id, grp) SELECT id + 1000, grp FROM t RETURNING id) INSERT INTO ref SELECT id, 'new' FROM x WHERE id < 1005 RETURNING *;
WITH x AS (UPDATE t SET n = 0 WHERE id > 1000) SELECT count(*) FROM t WHERE n = 0;
WITH x AS (UPDATE t SET n = 1 / 0 WHERE id > 1000 RETURNING id) SELECT * FROM x;
WITH x AS (UPDATE t SET n = 77 WHERE id > 1000 RETURNING id) SELECT id / 0 FROM x;
SELECT count(*) FROM t WHERE n = 77;
WITH x AS (UPDATE t SET n = 78 WHERE id = -1 RETURNING id, code) SELECT * FROM x;
WITH x AS (UPDATE t SET n = 79 WHERE id > 1000 RETURNING id), y AS (SELECT id * 2 AS d FROM x) SELECT min(d), max(d) FROM y;
WITH x AS (UPDATE t SET nope = 79 WHERE id > 1000 RETURNING id) SELECT * FROM x;
WITH x AS (INSERT INTO ref VALUES (99, 'y') RETURNING id) SELECT * FROM x, ref;
WITH x AS (UPDATE ref SET name = name || '!' WHERE id < 3 RETURNING *) SELECT * FROM x ORDER BY id;
WITH x AS (DELETE FROM ref WHERE id > 90 RETURNING *) SELECT x.*, (SELECT count(*) FROM ref) FROM x ORDER BY id;
WITH x AS (DELETE FROM ref WHERE id = 4 RETURNING *) INSERT INTO ref SELECT id + 40, name FROM x RETURNING *, (SELECT 1);
SELECT * FROM ref ORDER BY id;
BEGIN;
WITH x AS (DELETE FROM t RETURNING id) SELECT count(*) FROM x;
SELECT count(*) FROM t;
ROLLBACK;
WITH x AS (UPDATE t SET id = id + 5000 WHERE id > 1010 RETURNING id, n) SELECT * FROM x ORDER BY id;
SELECT * FROM t ORDER BY id;
