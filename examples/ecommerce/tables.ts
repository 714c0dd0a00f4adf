/** Users with their orders and payments are on the user's shard; products are on shards of their own. */
export const tablesSql = `
CREATE TABLE IF NOT EXISTS users (
  user_id text PRIMARY KEY,
  username text NOT NULL,
  email text NOT NULL,
  created_at timestamptz NOT NULL DEFAULT now()
);
CREATE TABLE IF NOT EXISTS products (
  product_id text PRIMARY KEY,
  name text NOT NULL,
  price numeric(12,2) NOT NULL CHECK (price >= 0),
  stock integer NOT NULL CHECK (stock >= 0)
);
CREATE TABLE IF NOT EXISTS orders (
  user_id text NOT NULL REFERENCES users,
  order_id text NOT NULL,
  amount numeric(12,2) NOT NULL,
  product_id text,
  quantity integer,
  status text NOT NULL DEFAULT 'open' CHECK (status IN ('open', 'paid')),
  created_at timestamptz NOT NULL DEFAULT now(),
  PRIMARY KEY (user_id, order_id)
);
CREATE TABLE IF NOT EXISTS payments (
  user_id text NOT NULL,
  payment_id text NOT NULL,
  order_id text NOT NULL,
  amount numeric(12,2) NOT NULL,
  paid_at timestamptz NOT NULL DEFAULT now(),
  PRIMARY KEY (user_id, payment_id),
  FOREIGN KEY (user_id, order_id) REFERENCES orders
)`;

/** On a router the tables are spread by these columns; equal users are together. */
export const distributions: readonly { readonly table: string; readonly column: string; readonly with: string }[] = [
  { table: 'users', column: 'user_id', with: 'none' },
  { table: 'orders', column: 'user_id', with: 'users' },
  { table: 'payments', column: 'user_id', with: 'users' },
  { table: 'products', column: 'product_id', with: 'none' },
];
