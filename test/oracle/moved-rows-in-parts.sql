-- Aggregates that are begun before the rows travel.
CREATE TABLE person (id int PRIMARY KEY, city text, age int);
-- distribute person by id
CREATE TABLE buy (id int PRIMARY KEY, who int, what text, n int NOT NULL, price numeric(10,2), f float8, at date);
-- distribute buy by id
CREATE TABLE place (id int, who int, x int);
-- distribute place by id
INSERT INTO person SELECT i, chr(97 + i % 4), i % 30 FROM generate_series(1, 40) i;
INSERT INTO buy SELECT i, CASE WHEN i % 11 = 0 THEN NULL ELSE i % 50 END, chr(97 + i % 5), i % 6, CASE WHEN i % 7 > 0 THEN i * 0.25 END, i * 0.5, date '2024-01-01' + i % 9 FROM generate_series(1, 900) i;
INSERT INTO place SELECT i, i % 20, i % 3 FROM generate_series(1, 60) i;
ANALYZE person;
ANALYZE buy;
ANALYZE place;
SELECT person.id, count(buy.id), sum(price), avg(n), min(what), max(at) FROM person LEFT JOIN buy ON who = person.id AND what <> 'c' GROUP BY person.id ORDER BY person.id;
SELECT c, count(*) FROM (SELECT person.id, count(buy.id) FROM person LEFT JOIN buy ON who = person.id GROUP BY person.id) AS q(i, c) GROUP BY c ORDER BY c;
SELECT city, count(*), sum(buy.n), avg(price) FROM person, buy WHERE who = person.id AND age > 3 GROUP BY city ORDER BY city;
SET pgherd.force_rung = 'redistribute';
SELECT person.id, count(buy.id), sum(price), avg(n), min(what), max(at) FROM person LEFT JOIN buy ON who = person.id AND what <> 'c' GROUP BY person.id ORDER BY person.id;
SELECT person.id, count(*), count(1), sum(n) FROM person LEFT JOIN buy ON who = person.id AND n > 4 GROUP BY person.id ORDER BY person.id;
SELECT person.id, count(*) FILTER (WHERE n > 2), sum(n) FILTER (WHERE age > 5) FROM person LEFT JOIN buy ON who = person.id GROUP BY person.id ORDER BY person.id;
SELECT city, count(*), count(*) FILTER (WHERE n > 2), sum(n * 2), avg(price), sum(f) FROM person, buy WHERE who = person.id AND age > 3 GROUP BY city ORDER BY city;
SELECT city, what, count(*), sum(n) FROM person, buy WHERE who = person.id GROUP BY city, what HAVING sum(price) > 20 ORDER BY sum(n) DESC, 1, 2;
SELECT city, sum(n), max(age) FROM person, buy WHERE who = person.id GROUP BY city ORDER BY city;
SELECT city, sum(n + age) FROM person, buy WHERE who = person.id GROUP BY city ORDER BY city;
SELECT city, count(DISTINCT what), sum(n) FROM person JOIN buy ON who = person.id GROUP BY city ORDER BY city;
SELECT city, array_agg(n ORDER BY n), sum(n) FROM person JOIN buy ON who = person.id AND n < 2 GROUP BY city ORDER BY city;
SELECT sum(n), count(buy.id), avg(price) FROM person RIGHT JOIN buy ON who = person.id;
SELECT city, sum(n), count(buy.id), avg(price) FROM person FULL JOIN buy ON who = person.id GROUP BY city ORDER BY city;
SELECT city, count(*), sum(n) FROM person FULL JOIN buy ON who = person.id GROUP BY city ORDER BY city;
SELECT x, count(buy.id), sum(n) FROM buy LEFT JOIN place USING (who) GROUP BY x ORDER BY x;
SELECT who, x, count(buy.id), sum(n) FROM place JOIN buy USING (who) GROUP BY who, x ORDER BY who, x;
SELECT place.x, count(*), sum(n) FROM place, buy, person WHERE place.who = buy.who AND person.id = buy.who GROUP BY place.x ORDER BY 1;
SELECT city, sum(n) FROM person, buy WHERE who = person.id AND n > age GROUP BY city ORDER BY city;
SELECT city, sum(n) OVER (ORDER BY city), count(*) FROM person, buy WHERE who = person.id GROUP BY city, n ORDER BY 1, 2, 3;
SELECT city, sum(sum(n)) OVER (ORDER BY city) FROM person, buy WHERE who = person.id GROUP BY city ORDER BY 1, 2;
SELECT city, sum(n) FROM person, buy WHERE who = person.id GROUP BY ROLLUP (city) ORDER BY city NULLS LAST;
SELECT city, count(*) FROM person, buy WHERE who = person.id AND EXISTS (SELECT 1 FROM place WHERE place.who = buy.who AND place.x = buy.n) GROUP BY city ORDER BY city;
SELECT city, (SELECT count(buy.n) FROM place WHERE place.id = 1) FROM person, buy WHERE who = person.id GROUP BY city ORDER BY city;
SELECT city, sum(n) FROM person, (SELECT * FROM buy WHERE false) buy WHERE who = person.id GROUP BY city ORDER BY city;
SELECT count(*), sum(n) FROM person, buy WHERE person.age > 100 AND who = person.id;
SELECT price, sum(n) FROM person, buy WHERE who = person.id AND age = 7 GROUP BY price ORDER BY price;
SELECT DISTINCT sum(n) FROM person, buy WHERE who = person.id GROUP BY city ORDER BY 1;
SELECT city AS sum, sum(n) FROM person, buy WHERE who = person.id GROUP BY 1 ORDER BY 1;
SELECT sum(n) AS who FROM person, buy WHERE who = person.id GROUP BY city ORDER BY who;
