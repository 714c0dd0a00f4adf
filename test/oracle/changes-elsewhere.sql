CREATE TABLE t (id int PRIMARY KEY, grp int, code varchar(6), n numeric(8,2) DEFAULT 1.5, tags int[]);
-- distribute t by id
CREATE TABLE s (k int, t_id int, v text, w numeric(8,2), ch char(4), PRIMARY KEY (k, t_id));
-- distribute s by k
CREATE TABLE kids (t_id int, pos int, note text, PRIMARY KEY (t_id, pos));
-- distribute kids by t_id with t
CREATE TABLE ref (id int PRIMARY KEY, name text, n int DEFAULT 7);
-- reference ref
CREATE TABLE loc (id int PRIMARY KEY, name text, f numeric(4,2));
CREATE TEMPORARY TABLE tmp (id int, x int);
INSERT INTO t SELECT g, g % 3, 'c' || g, g, ARRAY[g] FROM generate_series(1, 20) g;
INSERT INTO s SELECT g % 5, g, 'v' || g, g / 2.0, 'x' || g FROM generate_series(1, 30) g;
INSERT INTO kids SELECT g, p, 'n' || g FROM generate_series(1, 20) g, generate_series(1, 2) p;
INSERT INTO ref SELECT g, 'r' || g FROM generate_series(0, 6) g;
INSERT INTO loc SELECT g, 'l' || g, g FROM generate_series(1, 8) g;
INSERT INTO tmp SELECT g, g * 100 FROM generate_series(3, 6) g;
UPDATE t SET n = s.w + 1, code = s.v FROM s WHERE s.t_id = t.id RETURNING t.id, t.n, s.v, s.ch, s.w;
UPDATE t SET n = s.w FROM s WHERE s.t_id = t.id AND t.id < 4 RETURNING *;
UPDATE t SET (n, code) = (loc.f, loc.name) FROM loc WHERE loc.id = t.id RETURNING t.*, loc.name || '!' AS loud;
UPDATE t SET n = tmp.x FROM tmp WHERE tmp.id = t.id RETURNING t.id, n, tmp.x;
UPDATE t SET n = (SELECT max(s.w) FROM s WHERE s.t_id = t.id) WHERE grp = 1 RETURNING id, n;
UPDATE t SET (n, code) = (SELECT s.w, s.v FROM s WHERE s.t_id = t.id) WHERE grp = 2 RETURNING *;
UPDATE t SET (n, code) = (SELECT tmp.x, tmp.x::text FROM tmp WHERE tmp.id = t.id) WHERE id < 8 RETURNING *;
UPDATE t SET n = (SELECT w FROM s WHERE s.k = t.grp) WHERE id = 3;
UPDATE t SET n = t.n + v.x FROM (VALUES (1, 10.25), (2, 20)) v (id, x) WHERE v.id = t.id RETURNING t.id, t.n, v.x;
UPDATE t SET n = q.c FROM (SELECT t_id % 4 AS m, count(*) AS c FROM s GROUP BY 1) q WHERE q.m = t.id RETURNING t.id, t.n, q.*;
UPDATE t SET n = q.w FROM (SELECT t_id, w FROM s ORDER BY w DESC, t_id LIMIT 3) q WHERE q.t_id = t.id + 10 RETURNING t.id, t.n, q.w;
WITH big AS (SELECT t_id, w FROM s WHERE w > 10) UPDATE t SET n = big.w FROM big WHERE big.t_id = t.id + 10 RETURNING t.id, n, big.w;
UPDATE t SET n = other.n FROM t AS other WHERE other.id = t.grp + 1 RETURNING t.id, t.n, other.id AS oid;
UPDATE t SET code = 'far too long' FROM s WHERE s.t_id = t.id AND t.id = 1;
UPDATE t SET code = tmp.x FROM tmp WHERE tmp.id = t.id;
UPDATE t SET n = tmp.x::text FROM tmp WHERE tmp.id = t.id;
UPDATE t SET nope = tmp.x FROM tmp WHERE tmp.id = t.id;
UPDATE t SET n = 1 / (tmp.x - tmp.x) FROM tmp WHERE tmp.id = t.id;
UPDATE t SET n = DEFAULT, code = tmp.x::text FROM tmp WHERE tmp.id = t.id RETURNING id, t.n, code;
UPDATE t SET n = tmp.x FROM tmp WHERE tmp.id = t.id AND false RETURNING t.*, tmp.x;
UPDATE kids SET note = s.v FROM s WHERE s.t_id = kids.t_id AND s.k = kids.pos RETURNING kids.*;
UPDATE t SET n = random() + 1 WHERE EXISTS (SELECT 1 FROM s WHERE s.t_id = t.id) AND id = 1;
UPDATE t SET n = 4 WHERE id = 1;
DELETE FROM kids USING s WHERE s.t_id = kids.t_id AND s.k = 3 RETURNING kids.t_id, s.v;
DELETE FROM kids USING tmp WHERE tmp.id = kids.t_id RETURNING kids.*, tmp.x;
DELETE FROM kids WHERE EXISTS (SELECT 1 FROM s WHERE s.t_id = kids.t_id AND s.w > 8) RETURNING *;
DELETE FROM kids WHERE (t_id, pos) IN (SELECT t_id, k FROM s) RETURNING *;
DELETE FROM kids k USING s, loc WHERE s.t_id = k.t_id AND loc.id = s.k RETURNING k.*, loc.name;
SELECT * FROM kids ORDER BY 1, 2;
SELECT * FROM t ORDER BY id;
UPDATE ref SET name = s.v FROM s WHERE s.t_id = ref.id RETURNING ref.*, s.w;
UPDATE ref SET n = tmp.x FROM tmp WHERE tmp.id = ref.id RETURNING ref.*, tmp.x;
UPDATE ref SET name = (SELECT v FROM s WHERE s.t_id = ref.id) WHERE ref.id < 3 RETURNING *;
DELETE FROM ref USING s WHERE s.t_id = ref.id AND ref.id = 2 RETURNING ref.id, s.v;
DELETE FROM ref WHERE EXISTS (SELECT 1 FROM t WHERE t.grp = ref.id AND t.id = 1) RETURNING *;
SELECT * FROM ref ORDER BY id;
UPDATE t SET id = id WHERE id = 3;
UPDATE t SET id = 3 WHERE id = 3 RETURNING *;
UPDATE t SET id = 103 WHERE id = 3 RETURNING *;
UPDATE t SET id = id + 200, code = 'm' || id WHERE id BETWEEN 4 AND 9 RETURNING *;
UPDATE t SET id = NULL WHERE id = 10;
UPDATE t SET id = 11 WHERE id = 10;
UPDATE t SET id = 12345, n = DEFAULT WHERE id = 10 RETURNING *;
UPDATE t SET id = s.k + 1000 FROM s WHERE s.t_id = t.id AND t.id = 11 RETURNING t.*;
UPDATE t SET id = 'x'::text WHERE id = 12;
UPDATE t SET id = 5, n = 6 WHERE id = 99999 RETURNING *;
UPDATE s SET k = 77 WHERE t_id = 4 RETURNING *;
SELECT * FROM t ORDER BY id;
SELECT * FROM s ORDER BY k, t_id;
MERGE INTO t USING (VALUES (1, 'm1'), (900, 'm900'), (901, 'm901')) v (id, name) ON t.id = v.id WHEN MATCHED THEN UPDATE SET code = v.name WHEN NOT MATCHED THEN INSERT (id, code) VALUES (v.id, v.name) RETURNING merge_action(), t.*;
MERGE INTO t USING s ON t.id = s.t_id WHEN MATCHED AND s.k = 1 THEN DELETE WHEN MATCHED THEN UPDATE SET n = s.w WHEN NOT MATCHED THEN INSERT (id, code, n) VALUES (s.t_id, s.v, s.w);
SELECT * FROM t ORDER BY id;
MERGE INTO t USING loc ON t.id = loc.id + 12 WHEN MATCHED THEN UPDATE SET code = loc.name WHEN NOT MATCHED BY SOURCE AND t.id > 900 THEN DELETE;
MERGE INTO t USING loc l ON t.id = l.id WHEN NOT MATCHED BY SOURCE AND t.id > 100 THEN DELETE WHEN NOT MATCHED THEN INSERT (id, code) VALUES (l.id, l.name) WHEN MATCHED THEN DO NOTHING RETURNING merge_action(), t.id, l.name;
WITH src AS (SELECT t_id AS id, v FROM s WHERE k = 2) MERGE INTO t USING src ON t.id = src.id WHEN MATCHED THEN UPDATE SET code = src.v RETURNING t.id, src.v;
MERGE INTO t USING (VALUES (1, 'a'), (1, 'b')) v (id, name) ON t.id = v.id WHEN MATCHED THEN UPDATE SET code = v.name;
MERGE INTO t USING (SELECT NULL::int AS id) v ON t.id = v.id WHEN NOT MATCHED THEN INSERT (id) VALUES (v.id);
MERGE INTO t USING (SELECT 1 AS id WHERE false) v ON t.id = v.id WHEN MATCHED THEN DELETE RETURNING t.*;
MERGE INTO kids USING t ON kids.t_id = t.id AND pos = 1 WHEN MATCHED THEN UPDATE SET note = t.code WHEN NOT MATCHED THEN INSERT VALUES (t.id, 1, 'new') RETURNING *;
MERGE INTO ref USING s ON ref.id = s.t_id WHEN MATCHED THEN UPDATE SET name = s.v WHEN NOT MATCHED AND s.k = 1 THEN INSERT VALUES (s.t_id, s.v, s.k);
MERGE INTO ref USING loc ON ref.id = loc.id WHEN MATCHED AND loc.f > 6 THEN DELETE WHEN MATCHED THEN DO NOTHING WHEN NOT MATCHED THEN INSERT VALUES (loc.id, loc.name, 1) RETURNING merge_action(), ref.*;
SELECT * FROM t ORDER BY id;
SELECT * FROM kids ORDER BY 1, 2;
SELECT * FROM ref ORDER BY id;
INSERT INTO t (id) SELECT g FROM generate_series(5001, 5006) g RETURNING id, now() = transaction_timestamp() AS same;
BEGIN;
UPDATE t SET n = s.w FROM s WHERE s.t_id = t.id;
UPDATE t SET id = id + 10000 WHERE id > 5000;
SELECT count(*), sum(id), sum(n) FROM t;
ROLLBACK;
SELECT count(*), sum(id) FROM t;
CREATE TABLE u (id int PRIMARY KEY, mail text UNIQUE, x int);
-- distribute u by id
INSERT INTO u SELECT g, 'm' || g, g FROM generate_series(1, 8) g;
UPDATE u SET mail = s.v FROM s WHERE s.t_id = u.id AND u.id < 4 RETURNING u.*, s.w;
UPDATE u SET mail = 'm8' WHERE id = 7;
UPDATE u SET mail = tmp.x::text FROM tmp WHERE tmp.id = u.id RETURNING u.*;
UPDATE u SET id = id + 50 WHERE id > 6 RETURNING *;
UPDATE u SET mail = 'm7' WHERE id = 1;
INSERT INTO u VALUES (99, 'm8', 1);
DELETE FROM u USING s WHERE s.t_id = u.id + 1 RETURNING u.id, s.v;
INSERT INTO u VALUES (98, '300', 1), (97, '600', 2);
SELECT * FROM u ORDER BY id;
CREATE TABLE parent (id int PRIMARY KEY, v int);
-- distribute parent by id
CREATE TABLE child (id int PRIMARY KEY, parent_id int);
INSERT INTO parent SELECT g, g FROM generate_series(1, 9) g;
UPDATE parent SET id = id + 20, v = v + 1 WHERE id IN (2, 5) RETURNING *;
UPDATE parent SET id = DEFAULT WHERE id = 1;
UPDATE parent SET (id, v) = (SELECT 300, max(v) FROM parent) WHERE id = 9 RETURNING *;
UPDATE parent SET id = id + 1 WHERE v > 1000 RETURNING *;
SELECT * FROM parent ORDER BY id;
CREATE TABLE l (k text, id int, v int);
-- distribute l by k as list: IN ('a'); IN ('b', NULL); DEFAULT
INSERT INTO l VALUES ('a', 1, 1), ('b', 2, 2), (NULL, 3, 3), ('c', 4, 4);
UPDATE l SET k = CASE k WHEN 'a' THEN 'b' WHEN 'b' THEN NULL WHEN 'c' THEN 'a' END RETURNING *;
MERGE INTO l USING (VALUES ('a', 10), (NULL, 11), ('zz', 12)) v (k, x) ON l.k = v.k WHEN MATCHED THEN UPDATE SET v = v.x WHEN NOT MATCHED THEN INSERT VALUES (v.k, v.x, 0);
SELECT * FROM l ORDER BY id, k;
CREATE TABLE rg (k numeric(6,2), v varchar(3));
-- distribute rg by k as range: FROM (MINVALUE) TO (10); FROM (10) TO (20)
INSERT INTO rg VALUES (1, 'a'), (11, 'b');
UPDATE rg SET k = k + 9.999 WHERE v = 'a' RETURNING *;
UPDATE rg SET k = 9.999 WHERE v = 'b' RETURNING *;
UPDATE rg SET v = 'long' || k, k = 3;
SELECT * FROM rg ORDER BY k, v;
CREATE TABLE owner (id int PRIMARY KEY, v int);
-- distribute owner by id
CREATE TABLE pet (owner_id int REFERENCES owner ON DELETE CASCADE, n int, PRIMARY KEY (owner_id, n));
-- distribute pet by owner_id with owner
INSERT INTO owner SELECT g, g FROM generate_series(1, 5) g;
INSERT INTO pet SELECT g, 1 FROM generate_series(1, 4) g;
-- may be refused
UPDATE owner SET id = id + 100 WHERE id = 5;
-- may be refused
UPDATE owner SET id = id + 100 WHERE id = 1;
UPDATE pet SET owner_id = 3, n = 2 WHERE owner_id = 2 RETURNING *;
UPDATE pet SET owner_id = 999 WHERE owner_id = 4;
DELETE FROM owner USING s WHERE s.t_id = owner.id AND owner.id IN (1, 3) RETURNING owner.id, s.v;
SELECT * FROM pet ORDER BY 1, 2;
SELECT * FROM owner ORDER BY id;
UPDATE t SET n = (SELECT s.k FROM s WHERE s.w = t.n ORDER BY 1 LIMIT 1) FROM loc o WHERE o.id = t.id AND date '2020-01-01' BETWEEN date '2019-01-01' AND '2021-01-01'::date RETURNING t.*;
-- A column that is called as the changed table is.
CREATE TABLE goal (id int PRIMARY KEY, v int);
CREATE TABLE shots (id int PRIMARY KEY, goal int, n int);
-- distribute goal by id
-- distribute shots by id
INSERT INTO goal SELECT g, g FROM generate_series(1, 9) g;
INSERT INTO shots SELECT g + 100, g, g * 2 FROM generate_series(1, 5) g;
UPDATE goal SET id = goal.id + 1000, v = s.n FROM shots s WHERE s.goal = goal.id AND s.n > 4;
UPDATE goal SET v = length(goal::text), id = goal.id + 2000 FROM shots s WHERE s.goal = goal.id;
SELECT * FROM goal ORDER BY id;
