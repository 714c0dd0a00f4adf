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
