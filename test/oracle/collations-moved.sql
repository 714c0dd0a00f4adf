-- COLLATE in what is computed on nodes and sorted, compared or aggregated elsewhere.
CREATE TABLE a (id int, k int, t text);
-- distribute a by id
CREATE TABLE b (id int, k int, t text);
-- distribute b by id
INSERT INTO a VALUES (1, 1, 'a'), (2, 1, 'B'), (3, 1, 'c'), (4, 1, 'D'), (5, 2, 'e'), (6, 2, 'F');
INSERT INTO b SELECT id, k, t FROM a;
CREATE VIEW v AS SELECT id, k, t COLLATE "en-x-icu" AS t FROM a;
SELECT t COLLATE "en-x-icu" AS t FROM a ORDER BY 1;
SELECT t COLLATE "en-x-icu" AS x FROM a ORDER BY x DESC LIMIT 2;
SELECT t COLLATE "en-x-icu" AS x FROM a ORDER BY x FETCH FIRST 2 ROWS WITH TIES;
SELECT min(t COLLATE "en-x-icu"), max(t COLLATE "C") FROM a;
SELECT t COLLATE "en-x-icu" AS x, count(*) FROM a GROUP BY 1 ORDER BY 1;
SELECT DISTINCT t COLLATE "en-x-icu" AS x FROM a ORDER BY 1;
SELECT k, max(t COLLATE "en-x-icu") FROM a GROUP BY k ORDER BY 1;
SELECT id, t COLLATE "en-x-icu" AS x FROM a UNION SELECT id + 9, t FROM b ORDER BY 2, 1;
WITH w AS (SELECT t COLLATE "en-x-icu" AS t, count(*) AS n FROM a GROUP BY 1) SELECT w.t FROM w JOIN b ON b.id = w.n JOIN w x ON x.n = b.id ORDER BY w.t;
SELECT q.t FROM (SELECT t COLLATE "en-x-icu" AS t, max(k) AS n FROM a GROUP BY 1) q JOIN b ON b.k = q.n ORDER BY q.t, b.id;
SELECT min(q.t) FROM (SELECT t COLLATE "en-x-icu" AS t, k FROM a) q JOIN b ON b.k = q.k;
SELECT x.t FROM b, LATERAL (SELECT t COLLATE "en-x-icu" AS t FROM a WHERE a.k = b.id ORDER BY 1 LIMIT 3) x ORDER BY x.t;
SELECT a.t FROM a JOIN b ON b.k = a.k WHERE b.id IN (1, 5) ORDER BY a.t COLLATE "en-x-icu" LIMIT 4;
SELECT a.id FROM a WHERE t = (SELECT min(t COLLATE "en-x-icu") FROM b WHERE b.k = a.k) ORDER BY 1;
SELECT t FROM v ORDER BY t;
SELECT min(t) FROM v;
SELECT v.t FROM v JOIN b ON b.k = v.k AND b.id > 5 ORDER BY v.t;
SELECT a.id FROM a JOIN b ON b.k = a.id WHERE a.t COLLATE "en-x-icu" > b.t ORDER BY 1, b.id;
