-- Rows that move between tables of all distributions, and subqueries in all places.
CREATE TABLE w (c0 int, k0 int, value int, p int, m text);
-- distribute w by c0
CREATE TABLE z (c0 int, k0 int, value int, p int, m text);
-- distribute z by value
CREATE TABLE y (yk int, yv int, ak int);
-- distribute y by yv
CREATE TABLE e (id int, v int);
-- distribute e by id
CREATE TABLE "Up" ("Id" int, "Key" bigint, "from" text);
-- distribute "Up" by "Id"
CREATE TABLE ref (id int PRIMARY KEY, k int, name text);
-- reference ref
CREATE TABLE loc (id int PRIMARY KEY, k int);
CREATE TABLE pk (id int PRIMARY KEY, a int, b text);
-- distribute pk by id
CREATE TABLE l (key int, v int);
-- distribute l by key as list: IN (1); IN (2); IN (3)
CREATE TABLE rg (key int, v int);
-- distribute rg by key as range: FROM (0) TO (2); FROM (2) TO (4)
CREATE TABLE rnd (a int, b int);
-- distribute rnd at random
CREATE TEMP TABLE tmp (id int, k int);
INSERT INTO w SELECT i, i % 5, i % 7, i % 3, CASE WHEN i % 2 = 0 THEN 'ok' ELSE 'sad' END FROM generate_series(1, 24) i;
INSERT INTO w VALUES (25, NULL, NULL, NULL, NULL), (25, 1, 2, 3, 'ok'), (1, 2, 3, 4, 'ok');
INSERT INTO z SELECT i % 9, i % 5, i % 7, i, CASE WHEN i % 3 = 0 THEN 'sad' ELSE 'ok' END FROM generate_series(1, 24) i;
INSERT INTO z VALUES (NULL, NULL, NULL, NULL, NULL), (1, NULL, 3, 40, 'ok');
INSERT INTO y SELECT i, i % 4, i % 3 FROM generate_series(1, 10) i;
INSERT INTO "Up" SELECT i, i % 4, 'x' || i % 3 FROM generate_series(1, 12) i;
INSERT INTO ref VALUES (1, 2, 'a'), (2, 3, NULL), (3, NULL, 'a');
INSERT INTO loc VALUES (1, 2), (2, NULL), (4, 4);
INSERT INTO pk SELECT i, i % 3, 'b' || i % 2 FROM generate_series(1, 9) i;
INSERT INTO l SELECT 1 + i % 3, i FROM generate_series(1, 6) i;
INSERT INTO rg SELECT i % 4, i FROM generate_series(1, 9) i;
INSERT INTO rnd SELECT i % 4, i FROM generate_series(1, 9) i;
INSERT INTO tmp VALUES (1, 2), (2, 3), (7, NULL);
SELECT z.p, l.v FROM z LEFT JOIN l ON l.key = z.k0 AND l.v > 2 WHERE z.k0 = 4 OR z.k0 IS NULL ORDER BY 1, 2;
SELECT z.p, rg.v FROM z LEFT JOIN rg ON rg.key = z.k0 WHERE z.k0 = 4 ORDER BY 1, 2;
SELECT z.k0, count(rg.v), count(*) FROM z LEFT JOIN rg ON rg.key = z.k0 GROUP BY z.k0 ORDER BY 1;
SELECT z.k0, rg.key, count(*) FROM z FULL JOIN rg ON rg.key = z.k0 GROUP BY 1, 2 ORDER BY 1, 2;
SELECT k0, count(*) FROM z FULL JOIN (SELECT key AS k0, v FROM rg) r USING (k0) GROUP BY k0 ORDER BY 1;
SELECT rnd.b, z.p FROM rnd LEFT JOIN z ON z.value = rnd.a AND z.m = 'sad' ORDER BY 1, 2;
SELECT rnd.b FROM rnd WHERE NOT EXISTS (SELECT 1 FROM z WHERE z.value = rnd.a AND z.m = 'sad') ORDER BY 1;
SELECT rnd.a, (SELECT count(*) FROM rnd r WHERE r.a < rnd.a) FROM rnd ORDER BY 1, 2;
SELECT "Up"."Key", count(*) FROM "Up" JOIN z ON z.p = "Key" GROUP BY "Up"."Key" ORDER BY 1;
SELECT "Id", (SELECT count(*) FROM "Up" u WHERE u."Key" = "Up"."Key" AND u."from" <> "Up"."from") AS "N" FROM "Up" ORDER BY "N", "Id";
SELECT "Id" AS "Key" FROM "Up" WHERE "Key" > (SELECT avg("Key") FROM "Up" "K" WHERE "K"."from" = "Up"."from") ORDER BY "Key";
SELECT r.name, count(w.c0), sum(z.p) FROM ref r JOIN w ON w.k0 = r.id JOIN z ON z.k0 = w.value GROUP BY 1 ORDER BY 1;
SELECT w.c0, l.k FROM w JOIN loc l ON l.id = w.k0 LEFT JOIN z ON z.p = l.k AND z.k0 = w.k0 ORDER BY 1, 2;
SELECT w.c0, t.k FROM w LEFT JOIN tmp t ON t.id = w.value LEFT JOIN z ON z.p = t.k WHERE z.p IS NOT DISTINCT FROM t.k ORDER BY 1, 2;
SELECT w.c0 FROM w WHERE k0 NOT IN (SELECT k FROM tmp) ORDER BY 1;
SELECT w.c0 FROM w WHERE k0 NOT IN (SELECT k FROM tmp WHERE k IS NOT NULL) AND value IN (SELECT z.c0 FROM z) ORDER BY 1;
SELECT w.c0 FROM w WHERE (k0 NOT IN (SELECT z.k0 FROM z WHERE z.p > 30)) IS NULL ORDER BY 1;
SELECT w.c0, k0 IN (SELECT z.k0 FROM z WHERE z.p > 22) FROM w ORDER BY 1, 2;
SELECT w.c0, (SELECT count(z.k0) FROM z WHERE z.k0 = w.k0 AND z.p > 20), coalesce((SELECT sum(z.p) FROM z WHERE z.k0 = w.k0 AND z.p > 20), -1) FROM w ORDER BY 1, 2, 3;
SELECT w.c0 FROM w WHERE coalesce((SELECT sum(z.p) FROM z WHERE z.k0 = w.k0 AND z.p > 22), 0) = 0 ORDER BY 1;
SELECT w.c0 FROM w WHERE (SELECT count(*) FROM z WHERE z.k0 = w.k0 AND z.p > 22) = 0 ORDER BY 1;
SELECT w.c0 FROM w WHERE CASE WHEN (SELECT max(z.p) FROM z WHERE z.k0 = w.k0 AND z.p > 22) IS NULL THEN w.c0 < 10 ELSE true END ORDER BY 1;
SELECT w.c0 FROM w WHERE NOT (w.value > (SELECT avg(z.value) FROM z WHERE z.k0 = w.k0)) ORDER BY 1;
SELECT a.c0, b.k0, (SELECT count(*) FROM z WHERE z.k0 = b.k0) FROM w a LEFT JOIN w b ON a.c0 = b.c0 AND b.m = 'ok' ORDER BY 1, 2, 3;
SELECT a.c0 FROM w a LEFT JOIN w b ON a.c0 = b.c0 AND b.m = 'ok' WHERE (SELECT count(*) FROM z WHERE z.k0 = b.k0) = 0 ORDER BY 1;
SELECT (SELECT 10 / sum(z.value - 3) FROM z WHERE z.k0 = w.k0) FROM w WHERE w.k0 = 2 ORDER BY 1;
SELECT w.c0, (SELECT 12 / (sum(u.ak) - 1) FROM y u WHERE u.yk = w.c0) FROM w WHERE w.c0 IN (3, 6) ORDER BY 1;
-- What no row asks for isn't computed, or its errors are nobody's.
CREATE TABLE thr (id int, k int);
-- distribute thr by id
INSERT INTO thr VALUES (1, 3), (2, 6);
SELECT thr.id, (SELECT 12 / (sum(u.ak) - 1) FROM y u WHERE u.yk = thr.k) FROM thr ORDER BY 1;
SELECT thr.id, (SELECT max(12 / (u.yk - 5)) FROM y u WHERE u.yk = thr.k) FROM thr ORDER BY 1;
SELECT thr.id, (SELECT sum(u.ak) / 2 FROM y u WHERE u.yk = thr.k) FROM thr ORDER BY 1;
SELECT CASE WHEN thr.k < 0 THEN (SELECT max(12 / u.ak) FROM y u WHERE u.yk = thr.k) END, coalesce(thr.k, (SELECT max(1 / u.ak) FROM y u)) FROM thr ORDER BY 2;
SELECT CASE WHEN w.c0 > 0 THEN 0 ELSE (SELECT max(1 / z.value) FROM z) END FROM w WHERE w.c0 < 4;
SELECT w.c0 FROM w WHERE w.value = (SELECT max(z.value) FROM z) AND EXISTS (SELECT 1 FROM z WHERE z.value = w.k0 AND z.p > (SELECT avg(p) FROM z)) ORDER BY 1;
SELECT pk.*, count(*) FROM pk JOIN z ON z.k0 = pk.a GROUP BY pk.id ORDER BY 1;
SELECT pk.b, count(*) FROM pk, z WHERE z.k0 = pk.a GROUP BY pk.id ORDER BY 1, 2;
SELECT pk.a, (SELECT max(z.p) FROM z WHERE z.k0 = pk.a) FROM pk GROUP BY pk.id ORDER BY 1;
SELECT q.n, count(*) FROM (SELECT w.c0, count(z.p) AS n FROM w LEFT JOIN z ON z.k0 = w.value AND z.p > 12 GROUP BY w.c0) q GROUP BY q.n ORDER BY 1;
SELECT array_agg(q.p) FROM (SELECT z.p FROM z JOIN w ON w.c0 = z.p AND w.k0 = z.k0 ORDER BY z.p DESC LIMIT 5) q;
SELECT w.c0, q.p FROM w JOIN (SELECT * FROM z ORDER BY p DESC NULLS LAST LIMIT 4 OFFSET 1) q ON q.k0 = w.k0 ORDER BY 1, 2;
SELECT w.c0, q.p FROM w LEFT JOIN LATERAL (SELECT z.p FROM z WHERE z.k0 = w.k0 ORDER BY z.p DESC LIMIT 1) q ON true ORDER BY 1, 2;
SELECT w.c0, q.n FROM w, LATERAL (SELECT count(*) AS n FROM z WHERE z.k0 = w.k0) q, y WHERE y.yk = q.n ORDER BY 1, 2;
SELECT 'a' AS t, c0 FROM w WHERE c0 < 3 UNION ALL SELECT NULL, z.p FROM z JOIN w ON w.value = z.c0 AND w.c0 = z.p ORDER BY 2, 1;
SELECT c0, NULL AS q FROM w WHERE c0 < 3 UNION SELECT z.p, z.k0 FROM z JOIN w ON w.value = z.c0 AND w.c0 = z.p ORDER BY 1, 2;
SELECT c0 FROM w EXCEPT ALL SELECT z.p::bigint FROM z JOIN w ON w.k0 = z.k0 WHERE z.p < 9 INTERSECT SELECT 3.0 ORDER BY 1;
SELECT p AS x, count(*) FROM (SELECT p FROM w UNION ALL SELECT z.p FROM z JOIN e ON e.id = z.p UNION ALL SELECT 1.5) u GROUP BY x ORDER BY x;
(SELECT c0 FROM w ORDER BY c0 DESC LIMIT 2) UNION ALL (SELECT z.p FROM z JOIN w ON w.c0 = z.p ORDER BY 1 LIMIT 2) ORDER BY 1;
CREATE VIEW vw (a, b) AS SELECT w.c0, z.p FROM w JOIN z ON z.k0 = w.value WHERE w.m = 'ok';
SELECT vw.a, count(vw.b), e.v FROM vw LEFT JOIN e ON e.id = vw.b GROUP BY 1, 3 ORDER BY 1, 2;
SELECT w.c0 FROM w WHERE w.k0 IN (SELECT b FROM vw WHERE vw.a <> w.c0) ORDER BY 1;
SELECT v1.a, v2.b FROM vw v1 (a, c) JOIN vw v2 ON v1.c = v2.a AND v2.b < 9 ORDER BY 1, 2;
PREPARE one (int, text) AS SELECT w.c0, z.p FROM w JOIN z ON z.k0 = w.value AND z.p > $1 WHERE w.m = $2 AND w.p = (SELECT max(yv) FROM y WHERE yk < $1) ORDER BY 1, 2;
EXECUTE one (5, 'ok');
EXECUTE one (2, 'sad');
EXECUTE one (NULL, 'ok');
PREPARE four (int) AS SELECT w.c0, (SELECT count(*) + $1 FROM z WHERE z.k0 = w.k0 AND z.p <> $1) FROM w ORDER BY 1, 2 LIMIT 3;
EXECUTE four (2);
PREPARE five (int) AS SELECT w.c0, (SELECT count(*) FROM z WHERE z.k0 = w.k0) FROM w ORDER BY 1, 2 LIMIT $1;
EXECUTE five (2);
PREPARE two (int) AS SELECT w.c0, (SELECT count(*) + $1 FROM z WHERE z.k0 = w.k0 AND z.p <> $1) FROM w ORDER BY 1, 2 LIMIT 5;
EXECUTE two (3);
EXECUTE two (1);
SELECT count(*) FROM w JOIN z ON z.k0 = w.value WHERE now() > '2000-01-01' AND current_user = current_user AND w.c0 < extract(year FROM now());
SELECT DISTINCT now() = (SELECT max(now()) FROM z) FROM w JOIN y ON y.yk = w.k0;
BEGIN ISOLATION LEVEL REPEATABLE READ;
INSERT INTO w VALUES (77, 4, 5, 6, 'ok');
SELECT count(*), count(DISTINCT w.c0), count(DISTINCT z.p) FROM w JOIN z ON z.k0 = w.k0;
SELECT c0 FROM w WHERE EXISTS (SELECT 1 FROM z WHERE z.k0 = w.k0 AND z.p = 4) AND c0 > 20 ORDER BY 1;
ROLLBACK;
SELECT w.k0, sum(DISTINCT z.value), count(DISTINCT w.c0), avg(DISTINCT z.p) FROM w JOIN z ON z.k0 = w.value GROUP BY w.k0 HAVING count(DISTINCT z.p) > 2 ORDER BY count(DISTINCT z.m), 1;
SELECT k0, count(DISTINCT c0) OVER () FROM w;
SELECT m, rank() OVER (ORDER BY count(DISTINCT value)), count(DISTINCT value) FROM w GROUP BY m ORDER BY 1;
SELECT m, k0, count(*), sum(count(*)) OVER (PARTITION BY m) FROM w GROUP BY CUBE (m, k0) ORDER BY 1, 2, 3, 4;
SELECT DISTINCT count(DISTINCT value) FROM w GROUP BY GROUPING SETS ((m), (k0), ()) ORDER BY 1;
SELECT count(*), max(v) FROM e WHERE id IN (SELECT p FROM z WHERE z.value IN (SELECT id FROM e));
SELECT count(*) FROM w WHERE NOT EXISTS (SELECT 1 FROM e WHERE e.v = w.k0);
SELECT count(*) FROM w LEFT JOIN e ON e.v = w.k0 WHERE e.id IS NULL;
SELECT x.c0 FROM w x WHERE x.c0 IN (SELECT a.value FROM z a LEFT JOIN z b ON a.p = b.k0 WHERE b.p IS NULL OR b.k0 = x.k0) ORDER BY 1;
SELECT w.c0 FROM w NATURAL JOIN (SELECT k0, p AS zp FROM z) q JOIN y USING (yk) ORDER BY 1;
SELECT w.c0, zp FROM w NATURAL JOIN (SELECT k0, p AS zp FROM z) q JOIN y ON y.yk = zp ORDER BY 1, 2;
SELECT k0, w.c0, z.p FROM w LEFT JOIN z USING (k0, value) WHERE k0 IS DISTINCT FROM 3 ORDER BY 1, 2, 3;
SELECT k0, w.c0, z.p FROM w RIGHT JOIN z USING (k0, value) WHERE k0 = 3 ORDER BY 1, 2, 3;
