-- Reference tables that go along with rows that move, since conditions on them leave rows out.
CREATE TABLE area (id int PRIMARY KEY, name text);
-- reference area
CREATE TABLE land (id int PRIMARY KEY, area_id int, name text);
-- reference land
CREATE TABLE buyer (id int PRIMARY KEY, land_id int, note text);
-- distribute buyer by id
CREATE TABLE seller (id bigint PRIMARY KEY, land_id int, note text);
-- distribute seller by id
CREATE TABLE sale (id int PRIMARY KEY, buyer_id int, seller_id bigint, total numeric(8,2));
-- distribute sale by id
INSERT INTO area VALUES (1, 'north'), (2, 'south'), (3, NULL);
INSERT INTO land SELECT g, CASE WHEN g = 9 THEN NULL ELSE g % 3 + 1 END, 'land ' || g FROM generate_series(1, 9) g;
INSERT INTO buyer SELECT g, CASE WHEN g % 11 = 0 THEN NULL ELSE g % 10 END, 'b' || g FROM generate_series(1, 80) g;
INSERT INTO seller SELECT g, g % 9 + 1, 's' || g FROM generate_series(1, 40) g;
INSERT INTO sale SELECT g, g * 7 % 90, g * 3 % 45, g * 1.5 FROM generate_series(1, 300) g;
SELECT count(*), sum(total) FROM sale, buyer, land WHERE buyer_id = buyer.id AND land_id = land.id AND land.name = 'land 3';
SELECT land.name, area.name, count(*), sum(total) FROM sale s, buyer b, land, area
  WHERE s.buyer_id = b.id AND b.land_id = land.id AND land.area_id = area.id AND area.name = 'south' GROUP BY 1, 2 ORDER BY 1;
SELECT n1.name, n2.name, count(*) FROM sale, buyer, seller, land n1, land n2
  WHERE buyer_id = buyer.id AND seller_id = seller.id AND buyer.land_id = n1.id AND seller.land_id = n2.id
    AND ((n1.name = 'land 2' AND n2.name = 'land 5') OR (n1.name = 'land 5' AND n2.name = 'land 2')) GROUP BY 1, 2 ORDER BY 1, 2;
SELECT b.note, l.name FROM sale s JOIN buyer b ON b.id = s.buyer_id JOIN land l ON l.id = b.land_id WHERE l.name > 'land 7' AND s.total > 400 ORDER BY 1, 2;
SELECT count(*) FROM sale, buyer, land WHERE buyer_id = buyer.id AND buyer.land_id = land.area_id AND land.name < 'land 4';
SELECT count(*) FROM sale, buyer, seller, land WHERE buyer_id = buyer.id AND seller_id = seller.id AND buyer.land_id = land.id AND seller.land_id = land.id AND land.name < 'land 4';
SELECT l.name, (SELECT count(*) FROM seller x WHERE x.land_id = l.id) FROM sale s, buyer b, land l WHERE s.buyer_id = b.id AND b.land_id = l.id AND l.name = 'land 4' AND s.id < 100 ORDER BY 1, 2;
SELECT s.id FROM sale s, buyer b, land l WHERE s.buyer_id = b.id AND b.land_id = l.id AND l.name = 'land 6'
  AND EXISTS (SELECT 1 FROM area a WHERE a.id = l.area_id AND a.name IS NOT NULL) ORDER BY 1;
SELECT l.* FROM sale s, buyer b, land l WHERE s.buyer_id = b.id AND b.land_id = l.id AND l.name = 'land 6' AND s.id < 60 ORDER BY s.id;
SELECT l FROM sale s, buyer b, land l WHERE s.buyer_id = b.id AND b.land_id = l.id AND l.name = 'land 6' AND s.id < 60 ORDER BY s.id;
CREATE VIEW north_sales AS SELECT s.id, s.buyer_id, s.total FROM sale s JOIN buyer b ON s.buyer_id = b.id;
SELECT b.id FROM buyer b FULL JOIN seller x USING (id) WHERE 5 NOT IN (SELECT 5 FROM north_sales t3 WHERE t3.buyer_id = x.land_id AND t3.total > 300) GROUP BY b.id ORDER BY 1;
SELECT b.id FROM buyer b WHERE b.id < 9 AND EXISTS (SELECT 1 FROM (SELECT buyer_id AS n, max(total) AS m FROM sale GROUP BY buyer_id) q WHERE q.n = b.land_id) ORDER BY 1;
