CREATE TABLE u (id int PRIMARY KEY, hits int DEFAULT 1, name text, CONSTRAINT name_len CHECK (length(name) < 10));
-- distribute u by id
CREATE TABLE v (k text, n int, val int, UNIQUE (k, n));
-- distribute v by k
CREATE TABLE r (id int PRIMARY KEY, val text UNIQUE);
-- reference r
CREATE TABLE g (id int PRIMARY KEY, mail text UNIQUE, x int);
-- distribute g by id
INSERT INTO u VALUES (1, 1, 'a'), (2, 1, 'b'), (3, 1, 'c');
INSERT INTO v VALUES ('a', 1, 10), ('a', 2, 20), ('b', NULL, 30);
INSERT INTO r VALUES (1, 'x'), (2, 'y');
INSERT INTO g VALUES (1, 'a@x', 1), (2, 'b@x', 2), (3, NULL, 3), (4, NULL, 4);
INSERT INTO u VALUES (1, 5, 'z') ON CONFLICT DO NOTHING;
INSERT INTO u VALUES (1, 5, 'z'), (9, 9, 'n') ON CONFLICT (id) DO NOTHING RETURNING *;
INSERT INTO u VALUES (1, 5, 'z'), (2, 6, 'y'), (10, 7, 'x') ON CONFLICT (id) DO UPDATE SET hits = u.hits + excluded.hits, name = excluded.name RETURNING *;
INSERT INTO u VALUES (1, 5, 'q') ON CONFLICT (id) DO UPDATE SET name = 'upd' WHERE u.hits > 100 RETURNING *;
INSERT INTO u VALUES (1, 5, 'q') ON CONFLICT ON CONSTRAINT u_pkey DO UPDATE SET hits = 0 RETURNING *;
INSERT INTO u AS t VALUES (2, 1, 'q') ON CONFLICT (id) DO UPDATE SET hits = t.hits + 100 RETURNING t.hits;
INSERT INTO u VALUES (40, 1, 'a'), (40, 2, 'b') ON CONFLICT (id) DO NOTHING RETURNING *;
INSERT INTO u VALUES (41, 1, 'a'), (41, 2, 'b') ON CONFLICT (id) DO UPDATE SET hits = 9;
INSERT INTO u SELECT id, 1, 'sel' FROM u WHERE id < 3 ON CONFLICT (id) DO UPDATE SET name = excluded.name RETURNING id, name;
INSERT INTO u SELECT g, g FROM generate_series(1, 12) g ON CONFLICT DO NOTHING;
INSERT INTO u VALUES (1, 1, 'far too long a name') ON CONFLICT (id) DO UPDATE SET name = excluded.name;
INSERT INTO u VALUES (1) ON CONFLICT (name) DO NOTHING;
INSERT INTO u VALUES (1) ON CONFLICT (id) DO UPDATE SET nope = 1;
INSERT INTO u VALUES (1) ON CONFLICT DO UPDATE SET hits = 1;
SELECT * FROM u ORDER BY id;
INSERT INTO v VALUES ('a', 1, 99), ('b', NULL, 31), ('c', 3, 40) ON CONFLICT (k, n) DO UPDATE SET val = v.val + excluded.val RETURNING *;
INSERT INTO v VALUES ('a', 1, 0) ON CONFLICT (n, k) DO NOTHING;
SELECT * FROM v ORDER BY k, n, val;
INSERT INTO r VALUES (1, 'zz') ON CONFLICT (id) DO UPDATE SET val = excluded.val RETURNING *;
INSERT INTO r VALUES (7, 'y') ON CONFLICT (val) DO UPDATE SET id = r.id + 100 RETURNING *;
INSERT INTO r VALUES (7, 'y');
INSERT INTO r VALUES (7, 'y') ON CONFLICT DO NOTHING;
SELECT * FROM r ORDER BY id;
INSERT INTO g VALUES (5, 'a@x', 5);
INSERT INTO g VALUES (5, NULL, 5);
INSERT INTO g VALUES (6, 'c@x', 6), (7, 'c@x', 7);
UPDATE g SET mail = 'b@x' WHERE id = 1;
UPDATE g SET mail = 'new@x' WHERE id = 1;
INSERT INTO g VALUES (8, 'a@x', 8);
DELETE FROM g WHERE id = 2;
INSERT INTO g VALUES (9, 'b@x', 9) RETURNING *;
-- may be refused
INSERT INTO g VALUES (10, 'b@x', 10) ON CONFLICT (mail) DO NOTHING;
SELECT * FROM g WHERE mail = 'b@x';
SELECT * FROM g ORDER BY id;
CREATE TABLE pairs (id int PRIMARY KEY, a int, b text);
CREATE TABLE words (id int PRIMARY KEY, word text);
-- distribute pairs by id
-- reference words
INSERT INTO words VALUES (1, 'one'), (2, 'two');
INSERT INTO pairs VALUES (1, 1), (2, 2), (3, 3);
INSERT INTO pairs VALUES (1), (2), (4) ON CONFLICT (id) DO UPDATE SET (a, b) = (SELECT w.id + 10, w.word FROM words w WHERE w.id = pairs.id) RETURNING *;
MERGE INTO pairs p USING (VALUES (1), (3)) v (id) ON p.id = v.id WHEN MATCHED THEN UPDATE SET (a, b) = (SELECT w.id + 20, w.word FROM words w WHERE w.id = p.id);
SELECT * FROM pairs ORDER BY id;
