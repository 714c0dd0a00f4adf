CREATE TABLE g (id int PRIMARY KEY, mail varchar(10) UNIQUE, x int DEFAULT 7 CHECK (x > 0), n numeric(6,2), at date NOT NULL DEFAULT '2024-02-03', twice int GENERATED ALWAYS AS (x * 2) STORED, nick text);
CREATE UNIQUE INDEX g_pair ON g (n, nick);
CREATE TABLE kinds (id int PRIMARY KEY, name text);
-- distribute g by id
-- reference kinds
INSERT INTO kinds VALUES (1, 'one'), (2, 'two');
INSERT INTO g (id, mail, x, n, nick) SELECT g, 'm' || g, g, g, 'k' || g FROM generate_series(1, 8) g;
INSERT INTO g VALUES (70, 'm6', 9) ON CONFLICT (mail) DO UPDATE SET x = excluded.x;
INSERT INTO g VALUES (71, 'm6', 9) ON CONFLICT (mail) DO UPDATE SET x = g.x + excluded.x, n = excluded.id RETURNING *;
INSERT INTO g (id, mail) VALUES (72, 'm5'), (73, 'm73'), (74, 'm4') ON CONFLICT (mail) DO UPDATE SET x = excluded.x, nick = excluded.mail || excluded.twice || excluded.at RETURNING id, mail, g.x, twice, nick;
INSERT INTO g AS a (id, mail, x) VALUES (75, 'm1', 5), (76, 'm2', 6), (77, 'm77', 7) ON CONFLICT ON CONSTRAINT g_mail_key DO UPDATE SET x = a.x + excluded.x WHERE a.id <> 2 RETURNING a.id, a.*, a.x + 1 AS more;
INSERT INTO g (id, mail) VALUES (78, 'm2') ON CONFLICT (mail) DO UPDATE SET x = 1 WHERE false RETURNING *;
INSERT INTO g (id, mail) VALUES (78, 'm2') ON CONFLICT (mail) DO UPDATE SET (x, nick) = (SELECT k.id, k.name FROM kinds k WHERE k.id = g.id) RETURNING id, x, nick;
INSERT INTO g (id, mail) VALUES (78, 'm2') ON CONFLICT (mail) DO UPDATE SET x = DEFAULT, nick = 'd' RETURNING id, x, nick;
SELECT * FROM g ORDER BY id;
-- A value that comes twice.
INSERT INTO g (id, mail) VALUES (80, 'm80'), (81, 'm80') ON CONFLICT (mail) DO UPDATE SET x = 3;
INSERT INTO g (id, mail) VALUES (80, 'm3'), (81, 'm3') ON CONFLICT (mail) DO UPDATE SET x = 3;
INSERT INTO g (id, mail) VALUES (80, 'm3'), (81, 'm3') ON CONFLICT (mail) DO UPDATE SET x = 3 WHERE g.x > 100 RETURNING *;
INSERT INTO g (id, mail, x) VALUES (80, 'm3', 1), (81, 'm3', 2) ON CONFLICT (mail) DO UPDATE SET x = 30 WHERE excluded.x = 2 RETURNING id, x;
INSERT INTO g (id, mail) VALUES (80, NULL), (81, NULL) ON CONFLICT (mail) DO UPDATE SET x = 3 RETURNING id, x;
-- What could not be inserted at all.
INSERT INTO g (id, mail, x) VALUES (90, 'm3', -1) ON CONFLICT (mail) DO UPDATE SET x = 3;
INSERT INTO g (id, mail, at) VALUES (90, 'm3', NULL) ON CONFLICT (mail) DO UPDATE SET x = 3;
INSERT INTO g (id, mail) VALUES (NULL, 'm3') ON CONFLICT (mail) DO UPDATE SET x = 3;
INSERT INTO g (id, mail) VALUES (90, 'much too long for it') ON CONFLICT (mail) DO UPDATE SET x = 3;
INSERT INTO g (id, mail, n) VALUES (90, 'm3', 123456) ON CONFLICT (mail) DO UPDATE SET x = 3;
INSERT INTO g (id, mail) VALUES (1, 'm91') ON CONFLICT (mail) DO UPDATE SET x = 3;
INSERT INTO g (id, mail) VALUES (1, 'm3') ON CONFLICT (mail) DO UPDATE SET x = 33 RETURNING *;
INSERT INTO g (id, mail) VALUES (90, 'm3') ON CONFLICT (mail) DO UPDATE SET x = -1;
INSERT INTO g (id, mail) VALUES (90, 'm3') ON CONFLICT (mail) DO UPDATE SET mail = 'm4';
INSERT INTO g (id, mail) VALUES (90, 'm3') ON CONFLICT (mail) DO UPDATE SET x = y;
INSERT INTO g (id, mail) VALUES (90, 'm3') ON CONFLICT (mail) DO UPDATE SET x = x + 1;
INSERT INTO g (id, mail) VALUES (90, 'm3') ON CONFLICT (mail, x) DO UPDATE SET x = 1;
-- The value itself changes.
INSERT INTO g (id, mail) VALUES (90, 'm3') ON CONFLICT (mail) DO UPDATE SET mail = 'm3new' RETURNING id, mail;
INSERT INTO g (id, mail) VALUES (91, 'm3') ON CONFLICT (mail) DO UPDATE SET x = 1 RETURNING id, mail;
INSERT INTO g (id, mail) VALUES (92, 'm3new') ON CONFLICT (mail) DO UPDATE SET mail = excluded.mail, x = 99 RETURNING id, mail, x;
-- Two columns, and nulls in one.
INSERT INTO g (id, n, nick, x) VALUES (100, 6, 'k6', 5), (101, 7.004, 'k7', 6), (102, 8, NULL, 7), (103, 8, 'k8', 8) ON CONFLICT (nick, n) DO UPDATE SET x = excluded.x + 100 RETURNING id, n, nick, x;
INSERT INTO g (id, n, nick) SELECT id + 1000, n, nick FROM g WHERE nick LIKE 'k%' ON CONFLICT (n, nick) DO UPDATE SET mail = 'r' || g.id;
SELECT * FROM g ORDER BY id;
-- In transactions, with parameters and in WITH.
BEGIN;
INSERT INTO g (id, mail) VALUES (110, 'm110') ON CONFLICT (mail) DO UPDATE SET x = 1;
INSERT INTO g (id, mail) VALUES (111, 'm110') ON CONFLICT (mail) DO UPDATE SET x = 2 RETURNING id, x;
SAVEPOINT s;
INSERT INTO g (id, mail) VALUES (112, 'm110') ON CONFLICT (mail) DO UPDATE SET x = 3 RETURNING id, x;
ROLLBACK TO s;
DELETE FROM g WHERE mail = 'm110';
INSERT INTO g (id, mail) VALUES (113, 'm110') ON CONFLICT (mail) DO UPDATE SET x = 4 RETURNING id, x;
COMMIT;
BEGIN ISOLATION LEVEL REPEATABLE READ;
INSERT INTO g (id, mail) VALUES (114, 'm110') ON CONFLICT (mail) DO UPDATE SET x = 5 RETURNING id, x;
COMMIT;
PREPARE p (int, text, int) AS INSERT INTO g (id, mail, x) VALUES ($1, $2, $3) ON CONFLICT (mail) DO UPDATE SET x = g.x * $3 + excluded.x WHERE g.x < $3 * 100 RETURNING id, x;
EXECUTE p (120, 'm120', 3);
EXECUTE p (121, 'm120', 4);
EXECUTE p (122, 'm120', 5);
DEALLOCATE p;
-- may be refused
WITH put AS (INSERT INTO g (id, mail) VALUES (130, 'm120'), (131, 'm131') ON CONFLICT (mail) DO UPDATE SET x = 50 RETURNING id, x) SELECT * FROM put ORDER BY id;
DELETE FROM g WHERE mail = 'm131';
-- may be refused
INSERT INTO g (id, mail) VALUES (140, 'm120') ON CONFLICT (mail) DO UPDATE SET id = 141;
SELECT * FROM g ORDER BY id;
SELECT count(*), count(mail) FROM g;
-- A value that is computed beforehand, at the very end of the statement.
CREATE TABLE late (id int, mail text UNIQUE, n int, at timestamptz DEFAULT now());
-- distribute late by id
INSERT INTO late VALUES (1, 'a', 1), (2, 'b', 2);
INSERT INTO late VALUES (3, 'a', 5), (4, 'c', 6) ON CONFLICT (mail) DO UPDATE SET n = excluded.n RETURNING at <= now();
INSERT INTO late VALUES (3, 'b', 5), (4, 'd', 6) ON CONFLICT (mail) DO UPDATE SET n = excluded.n WHERE late.n < 3 RETURNING mail, n = extract(year FROM now());
SELECT id, mail, n FROM late ORDER BY mail;
