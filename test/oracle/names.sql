CREATE TABLE "Groß Tabelle" ("Id" int PRIMARY KEY, "select" text, "mit ""Anführung""" int, ünïcode text, "a.b" int);
-- distribute "Groß Tabelle" by Id
CREATE TABLE "用户" ("编号" int PRIMARY KEY, "名字" text);
-- distribute 用户 by 编号
CREATE TABLE a_very_long_name_of_a_table_that_reaches_the_limit_of_63_bytess (a_very_long_name_of_a_column_that_reaches_the_limit_of_63_bytes int PRIMARY KEY, v text);
-- distribute a_very_long_name_of_a_table_that_reaches_the_limit_of_63_bytess by a_very_long_name_of_a_column_that_reaches_the_limit_of_63_bytes
INSERT INTO "Groß Tabelle" VALUES (1, 'x', 2, 'ü', 3), (2, 'y', NULL, 'İ', 4);
SELECT * FROM "Groß Tabelle" ORDER BY "Id";
SELECT "Id", "select", "mit ""Anführung""", ünïcode, "a.b" FROM "Groß Tabelle" WHERE "Id" = 1;
SELECT "Groß Tabelle"."select" FROM "Groß Tabelle" WHERE "Groß Tabelle"."Id" = 2;
SELECT t."a.b" AS "der Alias", count(*) AS "Count" FROM "Groß Tabelle" t GROUP BY t."a.b" ORDER BY "der Alias";
UPDATE "Groß Tabelle" SET "mit ""Anführung""" = 5 WHERE "select" = 'y' RETURNING *;
INSERT INTO "Groß Tabelle" ("Id", ÜNÏCODE) VALUES (3, 'q');
INSERT INTO "Groß Tabelle" ("Id", ünïcode) VALUES (3, 'q') ON CONFLICT ("Id") DO UPDATE SET "select" = excluded.ünïcode RETURNING "select";
SELECT Id FROM "Groß Tabelle";
INSERT INTO "用户" VALUES (1, '小明'), (2, '🐘'), (3, NULL) RETURNING *;
SELECT "名字" FROM "用户" WHERE "编号" = 2;
SELECT u."名字", g."select" FROM "用户" u LEFT JOIN "Groß Tabelle" g ON g."Id" = u."编号" ORDER BY u."编号";
SELECT count(*) AS "Anzahl der Zeilen" FROM "用户";
INSERT INTO a_very_long_name_of_a_table_that_reaches_the_limit_of_63_bytess VALUES (1, 'a'), (2, 'b');
SELECT * FROM a_very_long_name_of_a_table_that_reaches_the_limit_of_63_bytess ORDER BY 1;
SELECT v FROM a_very_long_name_of_a_table_that_reaches_the_limit_of_63_bytess_and_is_cut WHERE a_very_long_name_of_a_column_that_reaches_the_limit_of_63_bytes = 1;
INSERT INTO a_very_long_name_of_a_table_that_reaches_the_limit_of_63_bytess VALUES (1, 'again');
ALTER TABLE "用户" RENAME COLUMN "名字" TO "Name";
SELECT "Name" FROM "用户" ORDER BY "编号";
ALTER TABLE "用户" RENAME TO users;
SELECT count(*) FROM users;
SELECT 'a' 'b';
SELECT 'a'
'b', E'\t\'\\', $$d'o$$, $x$ $$ $x$, U&'\00fc', B'101', X'1F', '{"ä": "\u00e9"}'::jsonb ->> 'ä';
SELECT "Id" /* a comment; with 'quotes' */ FROM "Groß Tabelle" -- another ; one
ORDER BY 1;
