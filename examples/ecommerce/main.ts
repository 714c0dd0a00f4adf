import { once } from 'node:events';
import { parseArgs } from 'node:util';
import { createApi } from './api.ts';
import { EcommerceSharding } from './ecommerce-sharding.ts';
import { figuresText, measure } from './measure.ts';
import { startRouterHerd, startServers } from './servers.ts';
import { openOnRouter, openOnServers } from './set-up.ts';

const usage = `npm run ecommerce -- library|router [--url URL …] [--port N] [--measure SECONDS]

  library      the sharding library alone, over plain PostgreSQL servers
  router       one connection URL, and the router does the rest
  --url        of a server, or of a router, that exists; several for the library. Without it, servers are started, and thrown away at the end
  --port       of the API (default 8080)
  --measure    print figures of the operations and end`;

const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: {
    url: { type: 'string', multiple: true },
    port: { type: 'string', default: '8080' },
    measure: { type: 'string' },
  },
});
const [kind] = positionals;
if (kind !== 'library' && kind !== 'router') {
  process.stderr.write(`${usage}\n`);
  process.exit(2);
}

const servers = values.url
  ? { urls: values.url, stop: async () => {} }
  : await (kind === 'library' ? startServers() : startRouterHerd());
try {
  const sharding = kind === 'library' ? await openOnServers(servers.urls, 2) : await openOnRouter(servers.urls[0]!);
  const shop = new EcommerceSharding(sharding);
  if (values.measure !== undefined) {
    process.stdout.write(
      `${kind}, ${sharding.shardCount} shard(s), 8 clients\n${figuresText(await measure(shop, Number(values.measure)))}\n`,
    );
  } else {
    await serve(shop, Number(values.port));
  }
  sharding.close();
} finally {
  await servers.stop();
}
process.exit();

/** Until Ctrl-C. What a process that died left half done is settled every minute. */
async function serve(shop: EcommerceSharding, port: number): Promise<void> {
  const api = createApi(shop);
  api.listen(port, '127.0.0.1');
  await once(api, 'listening');
  const recovery = kind === 'library' ? setInterval(() => void shop.sharding.recover(), 60_000) : undefined;
  process.stdout.write(`the shop is open: http://127.0.0.1:${port}
  curl -d '{"user_id":"user_001","username":"alice","email":"alice@example.com"}' http://127.0.0.1:${port}/users
  curl -d '{"order_id":"order_001","amount":"99.99"}' http://127.0.0.1:${port}/users/user_001/orders
  curl http://127.0.0.1:${port}/reports/orders
Ctrl-C ends it.\n`);
  await Promise.race([once(process, 'SIGINT'), once(process, 'SIGTERM')]);
  clearInterval(recovery);
  api.close();
  api.closeAllConnections();
}
