import type { ShardingStrategy } from 'pgherd/sdk';

export type User = {
  readonly user_id: string;
  readonly username: string;
  readonly email: string;
  readonly created_at: Date;
};
export type Product = {
  readonly product_id: string;
  readonly name: string;
  readonly price: string;
  readonly stock: number;
};
/** Money is text: exact. */
export type Order = {
  readonly order_id: string;
  readonly amount: string;
  readonly status: string;
  readonly created_at: Date;
};
export type OrderTotal = { readonly user_id: string; readonly order_count: string; readonly total_amount: string };

/** What a customer is told; not a fault. */
export class ShopError extends Error {
  readonly kind: 'not found' | 'conflict';
  constructor(kind: 'not found' | 'conflict', message: string) {
    super(message);
    this.kind = kind;
  }
}

/** The shop's statements. Each names the key whose shard it runs on, or runs on all of them. */
export class EcommerceSharding {
  readonly sharding: ShardingStrategy;

  constructor(sharding: ShardingStrategy) {
    this.sharding = sharding;
  }

  async createUser(userId: string, username: string, email: string): Promise<void> {
    const sql = 'INSERT INTO users (user_id, username, email, created_at) VALUES ($1, $2, $3, now())';
    await this.sharding.executeQuery(userId, sql, [userId, username, email]);
  }

  async getUser(userId: string): Promise<User | undefined> {
    const sql = 'SELECT user_id, username, email, created_at FROM users WHERE user_id = $1';
    return (await this.sharding.executeQuery<User>(userId, sql, [userId], { access: 'read' }))[0];
  }

  async createOrder(userId: string, orderId: string, amount: string): Promise<void> {
    const sql = 'INSERT INTO orders (order_id, user_id, amount, created_at) VALUES ($1, $2, $3, now())';
    await this.sharding.executeQuery(userId, sql, [orderId, userId, amount]);
  }

  getUserOrders(userId: string): Promise<Order[]> {
    const sql = `SELECT o.order_id, o.amount, o.status, o.created_at FROM orders o WHERE o.user_id = $1
      ORDER BY o.created_at DESC, o.order_id DESC`;
    return this.sharding.executeQuery<Order>(userId, sql, [userId], { access: 'read' });
  }

  /** Totals per user over all shards, one row each wherever the orders are. */
  getAllOrders(): Promise<OrderTotal[]> {
    const sql = 'SELECT user_id, count(*) AS order_count, sum(amount) AS total_amount FROM orders GROUP BY user_id';
    return this.sharding.executeDistributedQuery<OrderTotal>(sql, [], {
      access: 'read',
      merge: { kind: 'combine', groupBy: ['user_id'], aggregates: { order_count: 'sum', total_amount: 'sum' } },
    });
  }

  async createProduct({ product_id, name, price, stock }: Product): Promise<void> {
    const sql = 'INSERT INTO products (product_id, name, price, stock) VALUES ($1, $2, $3, $4)';
    await this.sharding.executeQuery(product_id, sql, [product_id, name, price, stock]);
  }

  listProducts(limit: number): Promise<Product[]> {
    const sql = 'SELECT product_id, name, price, stock FROM products ORDER BY product_id COLLATE "C" LIMIT $1';
    return this.sharding.executeDistributedQuery<Product>(sql, [limit], {
      access: 'read',
      merge: { kind: 'ordered', by: [{ column: 'product_id' }], limit },
    });
  }

  /** Takes the goods from the product's shard and writes the order to the user's: both, or neither. Gives the amount. */
  placeOrder(userId: string, orderId: string, productId: string, quantity: number): Promise<string> {
    return this.sharding.withDistributedTransaction(async (transaction) => {
      const products = await transaction.on(productId);
      const { rows } = await products.query<{ amount: string }>(
        `UPDATE products SET stock = stock - $1::integer WHERE product_id = $2 AND stock >= $1::integer
          RETURNING price * $1::integer AS amount`,
        [quantity, productId],
      );
      const amount = rows[0]?.amount;
      if (amount === undefined) throw new ShopError('conflict', `there are not ${quantity} of product ${productId}`);
      const orders = await transaction.on(userId);
      await orders.query(
        'INSERT INTO orders (user_id, order_id, amount, product_id, quantity) VALUES ($1, $2, $3, $4, $5)',
        [userId, orderId, amount, productId, quantity],
      );
      return amount;
    });
  }

  /** An order is paid once. */
  payOrder(userId: string, orderId: string, paymentId: string): Promise<string> {
    return this.sharding.withTransaction(userId, async ({ query }) => {
      const { rows } = await query<{ amount: string }>(
        "UPDATE orders SET status = 'paid' WHERE user_id = $1 AND order_id = $2 AND status = 'open' RETURNING amount",
        [userId, orderId],
      );
      const amount = rows[0]?.amount;
      if (amount === undefined) throw new ShopError('conflict', `order ${orderId} is not open`);
      const sql = 'INSERT INTO payments (user_id, payment_id, order_id, amount) VALUES ($1, $2, $3, $4)';
      await query(sql, [userId, paymentId, orderId, amount]);
      return amount;
    });
  }
}
