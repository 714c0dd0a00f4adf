-- Rows that are brought to each other between nodes.
CREATE TABLE p (p int, k text, id int, n numeric(12,2));
-- distribute p by p
CREATE TABLE q (id int, k text, p int, n numeric(12,2));
-- distribute q by id
CREATE TABLE r (id int, k bigint);
-- reference r
INSERT INTO p SELECT i % 7, chr(97 + i % 5), i, i % 4 FROM generate_series(1, 30) i;
INSERT INTO q SELECT i, chr(97 + i % 6), i % 9, i % 3 FROM generate_series(1, 25) i;
INSERT INTO r VALUES (1, 1), (2, 2), (3, NULL);
-- The left side of USING is several relations that moved together.
SELECT count(*), sum(a.id), sum(d.id) FROM p a JOIN (SELECT 'a'::text AS x FROM r) b ON a.k = b.x FULL JOIN (SELECT n AS y FROM q) c ON a.n = c.y JOIN p d USING (p);
SELECT p, count(*) FROM p a JOIN (SELECT k AS x FROM q) b ON a.k = b.x LEFT JOIN (SELECT n AS y FROM q) c ON a.n = c.y LEFT JOIN q d USING (p) GROUP BY p ORDER BY p;
-- Correlated subqueries, computed in groups: what an aggregate is over no rows, and where its value may stand.
CREATE TABLE docs (id int, k int, v int, n numeric, doc json);
-- distribute docs by id
INSERT INTO docs SELECT i, i % 12, i % 4, CASE WHEN i % 2 = 0 THEN 1.0 ELSE 1.00 END, json_build_object('x', chr(97 + i % 4)) FROM generate_series(1, 50) i;
SELECT id, (SELECT regr_count(d.v, d.n) FROM docs d WHERE d.k = p.id) FROM p ORDER BY id;
SELECT id, (SELECT rank(3) WITHIN GROUP (ORDER BY d.v) FROM docs d WHERE d.k = p.id) FROM p ORDER BY id;
SELECT id, (SELECT count(*) + 1 FROM docs d WHERE d.k = p.id), (SELECT count(d.v) FROM docs d WHERE d.k = p.id) FROM p ORDER BY id;
SELECT p.p, (SELECT sum(v) FROM docs d WHERE d.k = p.p) FROM p GROUP BY p.p ORDER BY 1;
SELECT p.p, count(*) FROM p GROUP BY p.p HAVING count(*) >= (SELECT sum(v) / 3 FROM docs d WHERE d.k = p.p) ORDER BY 1;
SELECT (SELECT max(v) FROM docs d WHERE d.k = p.p), count(*) FROM p GROUP BY (SELECT max(v) FROM docs d WHERE d.k = p.p) ORDER BY 1;
SELECT (SELECT max(v) FROM docs d WHERE d.k = p.p), count(*) FROM p GROUP BY 1 ORDER BY 1;
SELECT DISTINCT (SELECT max(v) FROM docs d WHERE d.k = p.p) FROM p ORDER BY (SELECT max(v) FROM docs d WHERE d.k = p.p);
SELECT max((SELECT sum(v) FROM docs d WHERE d.k = p.p)), min(p.p + (SELECT count(*) FROM docs d WHERE d.k = p.p)) FROM p;
-- Rows that are equal are not all alike, and json has no equality.
SELECT p.id FROM p WHERE EXISTS (SELECT 1 FROM docs d WHERE d.k = p.p AND d.doc ->> 'x' = p.k) ORDER BY 1;
SELECT p.id FROM p WHERE p IN (SELECT v FROM docs d WHERE d.doc ->> 'x' = p.k) ORDER BY 1;
SELECT p.id FROM p WHERE EXISTS (SELECT 1 FROM docs d WHERE d.k = p.p AND length(d.n::text) = 3 + p.p % 2) ORDER BY 1;
-- Types whose bare names mean one character, one bit.
CREATE TABLE chars (id int, k char(12), v varchar(20), b bit(4), vb bit varying(6));
-- distribute chars by id
INSERT INTO chars SELECT i, repeat(chr(97 + i % 3), 1 + i % 4), repeat(chr(97 + i % 2), 1 + i % 4), (i % 16)::bit(4), (i % 8)::bit(4) FROM generate_series(1, 20) i;
SELECT id, (SELECT min(x.q) FROM chars AS t LEFT JOIN (VALUES (1, 2), (3, 4)) AS x (p, q) ON t.id = x.p WHERE t.k = chars.v) FROM chars ORDER BY id;
SELECT a.id, q.k, q.b FROM chars a JOIN (SELECT k, b, count(*) AS n, max((VALUES (1))) FROM chars GROUP BY k, b) q ON q.n = a.id ORDER BY 1, 2, 3;
SELECT a.id, (SELECT max(k) FROM chars), (SELECT max(d.k) FROM chars d WHERE d.id = a.id + 1) FROM chars a ORDER BY 1;
UPDATE chars SET k = d.k, b = d.b FROM (SELECT id, max(k) AS k, max(b::text)::bit(4) AS b FROM chars GROUP BY id) d WHERE d.id = chars.id + 3;
SELECT * FROM chars ORDER BY id;
WITH gone AS (DELETE FROM chars WHERE id < 5 RETURNING id, k, b) SELECT * FROM gone ORDER BY id;
INSERT INTO chars (id, k, b) SELECT id + 100, (SELECT max(k) FROM chars c WHERE c.id = chars.id + 1), b FROM chars;
SELECT * FROM chars ORDER BY id;
-- A subquery in the condition of an outer join sees what that joins, not what stands beside it.
SELECT a.id, b.id FROM p a LEFT JOIN q b ON b.id = (SELECT max(y.id) FROM docs y WHERE y.k = a.p) ORDER BY 1, 2;
PREPARE of_char (char(5)) AS SELECT id FROM chars WHERE k = $1 ORDER BY id;
EXECUTE of_char ('bb');
-- What has been brought to all nodes restricts what comes after it, in inner joins only.
CREATE TABLE many (id int, p int, q bigint);
-- distribute many by id
CREATE TABLE few (id int, m int, t text);
-- distribute few by t
INSERT INTO many SELECT i, i % 40, i % 30 FROM generate_series(1, 3000) i;
INSERT INTO few VALUES (1, 3, 'a'), (2, 5, 'b'), (3, NULL, 'c'), (4, 5, 'b');
ANALYZE many;
ANALYZE few;
ANALYZE p;
SELECT count(*), sum(many.id), min(t) FROM p, many, few WHERE p.id = many.q AND many.p = few.m AND few.id > 0;
SELECT p.id, many.id, t FROM few, p, many WHERE many.q = p.id AND few.m = many.p AND p.n = 2 ORDER BY 1, 2, 3 LIMIT 20;
SELECT count(*), count(few.id) FROM p JOIN many ON p.id = many.q LEFT JOIN few ON many.p = few.m;
SELECT count(*), count(many.id) FROM few JOIN p ON p.p = few.m LEFT JOIN many ON many.q = p.id AND many.p = few.id;
SELECT count(*) FROM many, few WHERE many.p = few.m AND NOT EXISTS (SELECT 1 FROM p WHERE p.id = many.q AND p.p = few.id);
