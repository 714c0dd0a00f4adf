CREATE TABLE t (id int PRIMARY KEY, v text);
-- distribute t by id
CREATE TABLE l (id int PRIMARY KEY, v text);
BEGIN;
INSERT INTO t VALUES (1, 'inserted');
-- input: 2\tcopied\n3\t\\N\n4\tcopied\n
COPY t FROM STDIN;
UPDATE t SET v = 'changed' WHERE id = 4;
COPY (SELECT * FROM t ORDER BY id) TO STDOUT;
SELECT count(*), count(v) FROM t;
ROLLBACK;
SELECT count(*) FROM t;
BEGIN;
-- input: 1,a\n2,b\n3,c\n
COPY t FROM STDIN (FORMAT csv);
SAVEPOINT s;
-- input: 4,d\n2,again\n
COPY t FROM STDIN (FORMAT csv);
SELECT 1;
ROLLBACK TO s;
-- input: 5,e\nx,f\n
COPY t FROM STDIN (FORMAT csv);
ROLLBACK TO s;
-- input: 5,e\n6\n
COPY t FROM STDIN (FORMAT csv);
ROLLBACK TO s;
SELECT * FROM t ORDER BY id;
-- input: 7,g\n8,h\n
COPY t FROM STDIN (FORMAT csv);
RELEASE s;
-- input: 1,here\n
COPY l FROM STDIN (FORMAT csv);
COMMIT;
SELECT * FROM t ORDER BY id;
SELECT * FROM l;
BEGIN READ ONLY;
-- input: 9,i\n
COPY t FROM STDIN (FORMAT csv);
ROLLBACK;
BEGIN READ ONLY;
COPY (SELECT id FROM t ORDER BY id) TO STDOUT (FORMAT csv, HEADER);
COPY (SELECT a.id, l.v FROM t a JOIN l ON l.id = a.id ORDER BY 1) TO STDOUT;
COMMIT;
BEGIN ISOLATION LEVEL REPEATABLE READ;
SELECT count(*) FROM t;
-- input: 10,j\n11,k\n
COPY t FROM STDIN (FORMAT csv);
SELECT count(*) FROM t;
COPY (SELECT a.id, b.v FROM t a JOIN t b ON a.v = b.v ORDER BY a.id) TO STDOUT;
COMMIT;
BEGIN;
DELETE FROM t WHERE id > 2;
COPY (SELECT count(*), max(v) FROM t) TO STDOUT;
COMMIT AND CHAIN;
-- input: 12,l\n
COPY t FROM STDIN (FORMAT csv);
ROLLBACK;
SELECT count(*) FROM t;
