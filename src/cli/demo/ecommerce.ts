import { chance, type Demo, oneOf } from './demo.ts';

const ordersPerUser = 5;
const ordersPerProduct = 50;
const names = [
  'alice',
  'bob',
  'carol',
  'dave',
  'erin',
  'frank',
  'grace',
  'heidi',
  'ivan',
  'judy',
  'mallory',
  'niaj',
  'olivia',
  'peggy',
  'sybil',
  'wei',
];
const goods = ['lamp', 'desk', 'chair', 'teapot', 'notebook', 'bicycle', 'kettle', 'backpack', 'clock', 'umbrella'];
const kinds = ['oak', 'blue', 'folding', 'small', 'steel', 'paper', 'red', 'travel'];

const usersOf = (rows: number) => Math.max(10, Math.floor(rows / ordersPerUser));
const productsOf = (rows: number) => Math.max(10, Math.min(20_000, Math.floor(rows / ordersPerProduct)));

/** The same for an order wherever it is asked: some users buy much more than others. */
const userOf = (rows: number) => `1 + floor(power(${chance(21)}, 1.8) * ${usersOf(rows)})::bigint`;
const productOf = (rows: number) => `1 + floor(power(${chance(22)}, 2.2) * ${productsOf(rows)})::bigint`;
const quantity = `1 + floor(power(${chance(23)}, 3) * 5)::int`;
const price = (product: string) => `round((2 + 180 * power(${chance(24, product)}, 2))::numeric, 2)`;
const when = `date_trunc('second', now() - power(${chance(25)}, 1.3) * interval '365 days')`;
const amount = (rows: number) => `(${quantity}) * ${price(`(${productOf(rows)})`)}`;

export const ecommerce: Demo = {
  name: 'ecommerce',
  rowsOf: 'orders',
  tables: [
    {
      name: 'users',
      columns:
        'user_id bigint PRIMARY KEY, username text NOT NULL, email text NOT NULL, created_at timestamptz NOT NULL DEFAULT now()',
      distribution: { kind: 'by', column: 'user_id', with: 'none' },
      rows: usersOf,
      filled: 'user_id, username, email, created_at',
      make: () =>
        `g, ${oneOf(20, names)} || g, ${oneOf(20, names)} || g || '@example.com', date_trunc('second', now() - interval '400 days' - ${chance(26)} * interval '700 days')`,
    },
    {
      name: 'products',
      columns:
        'product_id bigint PRIMARY KEY, name text NOT NULL, price numeric(12,2) NOT NULL, stock integer NOT NULL',
      distribution: { kind: 'everywhere' },
      rows: productsOf,
      filled: 'product_id, name, price, stock',
      make: () =>
        `g, ${oneOf(27, kinds)} || ' ' || ${oneOf(28, goods)}, ${price('g')}, floor(${chance(29)} * 500)::int`,
    },
    {
      name: 'orders',
      columns: `user_id bigint NOT NULL, order_id bigint NOT NULL, product_id bigint NOT NULL, quantity integer NOT NULL,
        amount numeric(12,2) NOT NULL, created_at timestamptz NOT NULL DEFAULT now(), PRIMARY KEY (user_id, order_id)`,
      distribution: { kind: 'by', column: 'user_id', with: 'users' },
      rows: (rows) => rows,
      filled: 'user_id, order_id, product_id, quantity, amount, created_at',
      make: (rows) => `${userOf(rows)}, g, ${productOf(rows)}, ${quantity}, ${amount(rows)}, ${when}`,
    },
    {
      name: 'payments',
      columns: `user_id bigint NOT NULL, payment_id bigint NOT NULL, order_id bigint NOT NULL, amount numeric(12,2) NOT NULL, paid_at timestamptz NOT NULL,
        PRIMARY KEY (user_id, payment_id)`,
      distribution: { kind: 'by', column: 'user_id', with: 'users' },
      // The first nine of ten orders are paid.
      rows: (rows) => Math.floor(rows * 0.9),
      filled: 'user_id, payment_id, order_id, amount, paid_at',
      make: (rows) => `${userOf(rows)}, g, g, ${amount(rows)}, ${when} + ${chance(30)} * interval '3 days'`,
    },
  ],
  keys: [
    'ALTER TABLE orders ADD FOREIGN KEY (user_id) REFERENCES users',
    'ALTER TABLE orders ADD FOREIGN KEY (product_id) REFERENCES products',
    'ALTER TABLE payments ADD FOREIGN KEY (user_id, order_id) REFERENCES orders',
  ],
  queries: [
    {
      about: 'the best customers, over all nodes',
      sql: `SELECT u.username, count(*) AS orders, sum(o.amount) AS total
  FROM orders o JOIN users u USING (user_id) GROUP BY u.user_id, u.username ORDER BY total DESC LIMIT 10;`,
    },
    {
      about: 'one customer: one node answers',
      sql: 'SELECT * FROM orders WHERE user_id = 1 ORDER BY created_at DESC LIMIT 10;',
    },
    {
      about: 'months, and what is not paid',
      sql: `SELECT date_trunc('month', o.created_at)::date AS month, count(*) AS orders, sum(o.amount) AS amount, count(*) - count(p.payment_id) AS unpaid
  FROM orders o LEFT JOIN payments p USING (user_id, order_id) GROUP BY 1 ORDER BY 1;`,
    },
    {
      about: 'goods that sell',
      sql: 'SELECT p.name, sum(o.quantity) AS sold FROM orders o JOIN products p USING (product_id) GROUP BY p.product_id, p.name ORDER BY sold DESC LIMIT 10;',
    },
    { about: 'how it is done', sql: 'EXPLAIN SELECT product_id, sum(amount) FROM orders GROUP BY product_id;' },
  ],
};
