-- Forms whose rows look as if they could be moved, or computed by themselves, and can't just so.
CREATE TABLE w (c0 int, k0 int, value int, p int, m text);
-- distribute w by c0
CREATE TABLE z (c0 int, k0 int, value int, p int, m text);
-- distribute z by value
CREATE TABLE y (yk int, yv int, ak int);
-- distribute y by yv
CREATE TABLE x (xk int, xv int, n numeric);
-- distribute x by xk
CREATE TABLE x2 (x2k int, x2v int, n2 numeric);
-- distribute x2 by x2k with x
CREATE TABLE e (id int, v int);
-- distribute e by id
CREATE TABLE l (key int, v int);
-- distribute l by key as list: IN (1); IN (2); IN (3)
CREATE TABLE big (id bigint, s char(6), t text, i interval, f float8);
-- distribute big by id
CREATE TABLE big2 (id bigint, s char(6), t text, i interval, f float8);
-- distribute big2 by id with big
INSERT INTO w SELECT i, i % 5, i % 7, i % 3, CASE WHEN i % 2 = 0 THEN 'ok' ELSE 'sad' END FROM generate_series(1, 24) i;
INSERT INTO w VALUES (25, NULL, NULL, NULL, NULL), (25, 1, 2, 3, 'ok'), (1, 2, 3, 4, 'ok');
INSERT INTO z SELECT i % 9, i % 5, i % 7, i, CASE WHEN i % 3 = 0 THEN 'sad' ELSE 'ok' END FROM generate_series(1, 24) i;
INSERT INTO z VALUES (NULL, NULL, NULL, NULL, NULL), (1, NULL, 3, 40, 'ok');
INSERT INTO y SELECT i, i % 4, i % 3 FROM generate_series(1, 10) i;
INSERT INTO x SELECT i, i % 4, CASE WHEN i % 2 = 0 THEN 1.0 ELSE 1.00 END FROM generate_series(1, 10) i;
INSERT INTO x2 SELECT i, i % 4, CASE WHEN i % 3 = 0 THEN 1.0 ELSE 1.00 END FROM generate_series(1, 10) i;
INSERT INTO l SELECT 1 + i % 3, i FROM generate_series(1, 6) i;
INSERT INTO big SELECT i, 'a', 'a', CASE WHEN i % 2 = 0 THEN interval '1 day' ELSE interval '24 hours' END, CASE WHEN i % 2 = 0 THEN '-0'::float8 ELSE 0 END FROM generate_series(1, 8) i;
INSERT INTO big2 SELECT i, 'a', 'a', CASE WHEN i % 3 = 0 THEN interval '1 day' ELSE interval '24 hours' END, CASE WHEN i % 3 = 0 THEN '-0'::float8 ELSE 0 END FROM generate_series(1, 8) i;
-- Counts of distinct keys add up over nodes, but not over finer groups.
SELECT count(DISTINCT c0), count(DISTINCT value) FROM w;
SELECT k0, count(DISTINCT c0), sum(DISTINCT value), count(DISTINCT p) FILTER (WHERE value > 2) FROM w GROUP BY k0 ORDER BY k0;
SELECT p, count(DISTINCT c0) FROM w GROUP BY ROLLUP (p) ORDER BY p, 2;
SELECT p, k0, count(DISTINCT c0), GROUPING(p, k0) FROM w GROUP BY CUBE (p, k0) ORDER BY p, k0, 4;
SELECT count(DISTINCT c0), count(DISTINCT id) FROM w LEFT JOIN e ON e.id = w.c0;
SELECT p, count(DISTINCT c0), count(*), sum(c0) FROM w GROUP BY GROUPING SETS ((p), (), ()) ORDER BY 1, 2;
SELECT GROUPING(id), id, count(*), count(DISTINCT v), sum(v) FROM e GROUP BY ROLLUP (id);
SELECT v, count(DISTINCT id) FROM e GROUP BY ROLLUP (v);
-- A subquery in a subquery's FROM is not to be restricted by the names that it shows outside.
SELECT w.c0 FROM w WHERE w.m = 'ok' AND EXISTS (SELECT 1 FROM (SELECT k0 + 1 AS k0, value FROM z) z WHERE z.k0 = w.k0 AND z.value < w.value) ORDER BY 1;
SELECT w.c0 FROM w WHERE w.m = 'ok' AND EXISTS (SELECT 1 FROM (SELECT k0, value FROM z ORDER BY p LIMIT 6) z WHERE z.k0 = w.k0 AND z.value < w.value) ORDER BY 1;
SELECT w.c0 FROM w WHERE w.m = 'ok' AND EXISTS (SELECT 1 FROM (SELECT k0 AS a, value FROM z) q WHERE q.a = w.k0 AND q.value < w.value) ORDER BY 1;
SELECT w.c0 FROM w WHERE w.m = 'ok' AND EXISTS (SELECT 1 FROM (SELECT k0, count(*) AS n FROM z GROUP BY k0) z WHERE z.k0 = w.k0 AND z.n > w.value) ORDER BY 1;
SELECT w.c0 FROM w WHERE w.m = 'ok' AND EXISTS (SELECT 1 FROM (SELECT p AS k0, value FROM z UNION ALL SELECT c0, k0 FROM z) z WHERE z.k0 = w.k0 AND z.value < w.value) ORDER BY 1;
SELECT w.c0 FROM w WHERE w.m = 'ok' AND w.value > (SELECT avg(z.value) FROM (SELECT k0 + 1 AS k0, value FROM z) z WHERE z.k0 = w.k0) ORDER BY 1;
SELECT w.c0 FROM w WHERE w.m = 'ok' AND w.value > (SELECT avg(z.value) FROM (SELECT k0, value FROM z ORDER BY p LIMIT 9) z WHERE z.k0 = w.k0) ORDER BY 1;
SELECT w.c0 FROM w WHERE w.k0 = 3 AND EXISTS (SELECT 1 FROM (SELECT k0 + 1 AS k0, value FROM z) z WHERE z.k0 = w.k0 AND z.value < w.value) ORDER BY 1;
SELECT w.c0 FROM w WHERE w.k0 < 3 AND EXISTS (SELECT 1 FROM (SELECT k0 + 1 AS k0, value FROM z ORDER BY p LIMIT 5) z WHERE z.k0 = w.k0 AND z.value < w.value) ORDER BY 1;
-- A condition of a join that becomes one of WHERE keeps the meaning of its names.
SELECT count(*) FROM x JOIN y ON xk = yk JOIN z ON z.p = yk, (SELECT 1 AS xk, 2 AS yk) c;
SELECT count(*) FROM x JOIN y ON xk = yk, w AS v (yk, b, c, d, e) WHERE v.b = xv;
SELECT w.c0 FROM w WHERE EXISTS (SELECT 1 FROM x JOIN y ON xk = yk AND yv < k0, z WHERE z.p = xv) ORDER BY 1;
SELECT w.c0, (SELECT count(*) FROM x JOIN y ON xv = ak AND yv < k0, z WHERE z.p = xk) FROM w ORDER BY 1, 2;
-- Names that what comes in has too.
SELECT k0, value FROM w WHERE value > (SELECT avg(p) FROM z WHERE z.k0 = w.k0) / 3 ORDER BY 1, 2;
SELECT c0, k0, value FROM w WHERE value > (SELECT avg(z.value) FROM z WHERE z.k0 = w.k0) ORDER BY 1, 2;
SELECT *, (SELECT sum(z.value) FROM z WHERE z.k0 = w.k0) AS value FROM w ORDER BY 1, 2;
SELECT * FROM w WHERE value > (SELECT avg(z.value) FROM z WHERE z.k0 = w.k0) ORDER BY c0;
SELECT * FROM w FULL JOIN e ON e.id = w.c0 WHERE w.value > (SELECT avg(z.value) FROM z WHERE z.k0 = w.k0) ORDER BY c0;
SELECT * FROM w a FULL JOIN w b USING (c0) WHERE a.value > (SELECT avg(z.value) FROM z WHERE z.k0 = b.k0) ORDER BY c0, 2, 3, 4, 5, 6, 7, 8, 9;
SELECT * FROM w a JOIN w b USING (c0) WHERE a.value > (SELECT avg(z.value) FROM z WHERE z.k0 = b.k0) ORDER BY c0, 2, 3, 4, 5, 6, 7, 8, 9;
SELECT * FROM w a JOIN w b USING (c0) AS j WHERE a.value > (SELECT avg(z.value) FROM z WHERE z.k0 = b.k0) ORDER BY c0, 2, 3, 4, 5, 6, 7, 8, 9;
SELECT * FROM w, generate_series(1, 2) WHERE w.value > (SELECT avg(z.value) FROM z WHERE z.k0 = w.k0) ORDER BY c0, 2, 3, 4, 5, 6;
SELECT * FROM (w JOIN e ON e.id = w.p) WHERE value > (SELECT avg(z.value) FROM z WHERE z.k0 = w.k0) ORDER BY c0;
SELECT to_jsonb(w) FROM w WHERE value > (SELECT avg(z.value) FROM z WHERE z.k0 = w.k0) ORDER BY c0;
-- Subqueries that are no single value.
SELECT (SELECT unnest(array_agg(v)) FROM e), count(*) FROM w;
SELECT c0 FROM w WHERE value = (SELECT unnest(array_agg(p)) FROM z WHERE p < 4) ORDER BY 1;
SELECT c0 FROM w WHERE value = (SELECT count(*) OVER () FROM z WHERE p < 4) ORDER BY 1;
SELECT c0 FROM w WHERE value > (SELECT count(*) OVER () FROM z WHERE p < 2) ORDER BY 1;
SELECT c0, (SELECT sum(sum(p)) OVER () FROM z) FROM w WHERE c0 < 3 ORDER BY 1;
SELECT c0, (SELECT count(*) OVER () FROM z WHERE z.k0 = w.k0 LIMIT 1) FROM w ORDER BY 1, 2;
SELECT c0, (SELECT max(p) OVER () FROM z WHERE z.k0 = w.k0 AND z.p < 3) FROM w ORDER BY 1, 2;
-- What a subquery's FROM takes from around it.
SELECT w.c0, (SELECT count(y.p) FROM z LEFT JOIN z y ON y.k0 = w.k0 AND y.p = z.p) FROM w ORDER BY 1, 2;
SELECT w.c0 FROM w WHERE EXISTS (SELECT 1 FROM z, generate_series(1, w.k0) g WHERE g = z.c0 AND z.p > 20) ORDER BY 1;
SELECT w.c0 FROM w WHERE EXISTS (SELECT 1 FROM generate_series(1, w.k0) g JOIN z ON z.c0 = g AND z.p > 20) ORDER BY 1;
SELECT w.c0, z.p, g FROM w, generate_series(1, w.k0) g, z WHERE z.p = g AND z.value = w.value ORDER BY 1, 2, 3;
-- DISTINCT ON and ORDER BY take an output's name before a column's, GROUP BY the other way round.
SELECT DISTINCT ON (c0) k0 AS c0, p FROM w ORDER BY c0, p;
SELECT DISTINCT ON (c0) k0 AS c0, w.p FROM w JOIN e ON e.id = w.p ORDER BY c0, w.p;
SELECT DISTINCT ON (c0) w.k0 AS c0, z.p FROM w JOIN z ON z.k0 = w.value ORDER BY c0, z.p;
SELECT DISTINCT ON (k0) value AS k0, array_agg(p ORDER BY p) FROM z GROUP BY value, z.k0 ORDER BY k0, 2;
SELECT value AS k0, count(*) FROM z GROUP BY k0, value ORDER BY k0, 2;
SELECT -p AS c0, array_agg(k0 ORDER BY k0) FROM w GROUP BY p, c0 ORDER BY c0, 2;
-- Rows that no shard takes, kept by an outer join.
SELECT z.p, l.v FROM z LEFT JOIN l ON l.key = z.k0 WHERE z.k0 = 4 ORDER BY 1, 2;
SELECT z.p, l.v FROM z LEFT JOIN l ON l.key = z.k0 WHERE z.k0 IS NULL ORDER BY 1, 2;
SELECT z.p, w.p FROM z LEFT JOIN w ON w.c0 = z.k0 WHERE z.k0 IS NULL ORDER BY 1, 2;
SELECT z.p, l.v FROM l FULL JOIN z ON l.key = z.k0 ORDER BY 1, 2;
SELECT z.p, (SELECT sum(v) FROM l WHERE l.key = z.k0) FROM z WHERE z.k0 = 4 ORDER BY 1, 2;
SELECT z.p FROM z WHERE NOT EXISTS (SELECT 1 FROM l WHERE l.key = z.k0) ORDER BY 1;
SELECT z.p FROM z WHERE z.k0 NOT IN (SELECT l.key FROM l) ORDER BY 1;
SELECT l.key FROM l WHERE l.key NOT IN (SELECT z.k0 FROM z WHERE z.m = 'sad') ORDER BY 1;
SELECT l.key FROM l WHERE l.key NOT IN (SELECT z.k0 FROM z) ORDER BY 1;
-- Equal values that are not alike.
SELECT a.n, b.n2, y.yv FROM x a, x2 b, y WHERE a.xk = b.x2k AND a.n = b.n2 AND y.ak = a.xv ORDER BY a.xk, y.yk;
SELECT a.i, b.i, a.f, b.f, y.yv FROM big a, big2 b, y WHERE a.id = b.id AND a.i = b.i AND a.f = b.f AND y.yk = a.f + 1 AND y.yv < 4 ORDER BY a.id, y.yk;
SELECT a.id FROM big a, y WHERE a.id = y.yk AND a.s = 'a' ORDER BY 1;
SELECT count(*) FROM big a JOIN big2 b ON a.s = b.t;
SELECT count(*) FROM big a WHERE a.s || 'x' IN (SELECT b.s || 'x' FROM big2 b);
SELECT length(v), v FROM (SELECT s AS v FROM big WHERE id = 1 UNION ALL SELECT b.t || ' ' FROM big2 b JOIN y ON y.yk = b.id WHERE b.id = 2) q ORDER BY 2;
-- CTEs named as tables.
WITH a AS (SELECT count(*) AS n FROM z), z AS (SELECT 1 AS q) SELECT a.n, z.q, count(w.c0) FROM a, z, w GROUP BY 1, 2;
WITH z AS (SELECT k0, value FROM z WHERE p < 9), w AS (SELECT z.k0, w.c0 FROM w JOIN z ON z.k0 = w.value) SELECT count(*) FROM w JOIN z USING (k0);
-- Rows that are inserted where they are selected.
CREATE TABLE into_w (c0 int, n int);
-- distribute into_w by c0 with w
INSERT INTO into_w SELECT c0, count(*) FROM w GROUP BY ROLLUP (c0);
INSERT INTO into_w SELECT DISTINCT ON (k0) c0, value FROM w ORDER BY k0, c0, value;
INSERT INTO into_w SELECT DISTINCT ON (c0) k0 AS c0, value FROM w ORDER BY c0, value;
INSERT INTO into_w SELECT b.c0, a.p FROM w a LEFT JOIN w b ON a.c0 = b.c0 AND b.m = 'ok';
INSERT INTO into_w SELECT c0, rank() OVER (ORDER BY c0, value) FROM w;
INSERT INTO into_w SELECT c0, (SELECT count(*) FROM z WHERE z.k0 = w.k0) FROM w WHERE c0 IN (SELECT p FROM z);
INSERT INTO into_w SELECT c0 + 1, max(value) FROM w GROUP BY c0;
SELECT * FROM into_w ORDER BY 1, 2;
-- Semi joins with groups.
SELECT c0 FROM w WHERE k0 IN (SELECT value FROM z GROUP BY value HAVING count(*) > 3) ORDER BY 1;
SELECT c0 FROM w WHERE c0 IN (SELECT value FROM z GROUP BY GROUPING SETS ((value), (k0)) HAVING count(*) > 3) ORDER BY 1;
SELECT c0 FROM w WHERE c0 IN (SELECT value FROM z GROUP BY value, k0 HAVING count(*) > 0 ORDER BY count(*) OFFSET 3) ORDER BY 1;
SELECT count(*) FROM w LEFT JOIN z ON (w.k0 = 1 AND z.k0 = 2) OR (w.k0 = 3 AND z.k0 IS NULL) WHERE (w.p = 1 AND z.p IS NULL) OR (w.p = 2 AND z.p = 3) OR (w.p = 0);
SELECT count(*) FROM w LEFT JOIN z ON z.value = w.c0 WHERE (w.p = 1 AND z.p IS NULL) OR (w.p = 2 AND z.m = 'ok');
