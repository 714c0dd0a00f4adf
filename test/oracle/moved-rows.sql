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
