-- INSERT … SELECT: rows that stay where they are, rows that are grouped on the nodes first, rows that have to move.
CREATE TABLE isrc (id int PRIMARY KEY, grp int, word text, v numeric(8,2));
-- distribute isrc by id
CREATE TABLE idst (id int PRIMARY KEY, grp int, word varchar(5) DEFAULT 'none', v numeric(6,1), twice numeric GENERATED ALWAYS AS (v * 2) STORED);
-- distribute idst by id with isrc
CREATE TABLE igrp (grp bigint, n bigint, total numeric);
-- distribute igrp by grp
CREATE TABLE iser (nr serial, id int, at timestamptz DEFAULT now());
-- distribute iser by id with isrc
CREATE TABLE iuni (id int, word text UNIQUE);
-- distribute iuni by id with isrc
INSERT INTO isrc SELECT g, g % 7, 'w' || g, g * 1.25 FROM generate_series(1, 60) g;
INSERT INTO idst (id, grp, word, v) SELECT id, grp, word, v FROM isrc WHERE v > 20;
SELECT * FROM idst ORDER BY id;
INSERT INTO idst (id, grp, word, v) SELECT id, grp, 'again', v + 1 FROM isrc ON CONFLICT (id) DO UPDATE SET word = excluded.word || idst.grp RETURNING id, word, v, twice;
INSERT INTO idst (id, v) SELECT id + 100, v FROM isrc WHERE grp = 3 RETURNING id, word, v;
INSERT INTO idst (id, word) SELECT id + 200, 'much too long' FROM isrc WHERE id = 5;
INSERT INTO idst (id, v) SELECT id, 99999 FROM isrc WHERE id = 1 ON CONFLICT DO NOTHING;
INSERT INTO idst (id, v) SELECT id, 1 FROM isrc WHERE id = 30;
INSERT INTO idst (v, id) SELECT sum(v), max(id) + 300 FROM isrc GROUP BY id HAVING count(*) = 1 AND id < 4 RETURNING id, v;
INSERT INTO idst (id, v) SELECT s.id + 400, s.v FROM (SELECT DISTINCT id, v FROM isrc WHERE id < 9) s RETURNING id, v;
INSERT INTO igrp SELECT grp, count(*), sum(v) FROM isrc GROUP BY grp RETURNING grp, n, total;
INSERT INTO igrp SELECT count(DISTINCT grp), count(*), avg(v) FROM isrc RETURNING grp, n, total;
INSERT INTO igrp (grp, n) SELECT a.grp, count(*) FROM isrc a JOIN isrc b ON a.grp = b.id GROUP BY a.grp RETURNING grp, n;
INSERT INTO igrp (grp) SELECT id FROM isrc ORDER BY v DESC LIMIT 3 RETURNING grp;
INSERT INTO igrp (grp, n) WITH t AS (SELECT grp, id FROM isrc) SELECT grp, max(id) FROM t GROUP BY grp RETURNING grp, n;
WITH t AS (SELECT grp, id FROM isrc) INSERT INTO igrp (grp, n) SELECT grp, min(id) FROM t GROUP BY grp RETURNING grp, n;
INSERT INTO iser (id) SELECT id FROM isrc WHERE id < 4 ORDER BY id RETURNING nr, id;
INSERT INTO iuni SELECT id, word FROM isrc WHERE id < 10;
INSERT INTO iuni SELECT id + 50, 'w3' FROM isrc WHERE id = 1;
INSERT INTO iuni SELECT id, word FROM isrc ON CONFLICT DO NOTHING RETURNING id;
PREPARE p (int) AS INSERT INTO idst (id, grp) SELECT id + 1000, $1 FROM isrc WHERE grp = $1 RETURNING id, grp;
EXECUTE p (2);
EXECUTE p (4);
BEGIN;
INSERT INTO idst (id, v) SELECT id + 2000, 7 FROM isrc;
SELECT count(*), sum(v) FROM idst WHERE id > 2000;
ROLLBACK;
SELECT count(*) FROM idst WHERE id > 2000;
-- A form that can't be written back as text is computed on the coordinator.
CREATE TABLE picked (id int, owner text);
-- distribute picked by id
INSERT INTO picked SELECT i, (ARRAY['reader', 'app'])[1 + i % 2] FROM generate_series(1, 20) i;
INSERT INTO picked SELECT id + 20, (ARRAY['reader', owner])[1 + id % 2] FROM picked;
SELECT * FROM picked ORDER BY 1;
