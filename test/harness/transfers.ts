import { ShardingStrategy } from '../../src/sdk/entry.ts';

/*
 * Moves money between accounts on several shards, in a process of its own that is to be killed. Arguments: the shards' URLs as JSON, and
 * the step after which it kills itself (`prepared`, `decided`, `told`), or `never` until somebody else does.
 */

const [urls = '[]', lastStep = 'never'] = process.argv.slice(2);
const die = () => process.kill(process.pid, 'SIGKILL');
const sharding = new ShardingStrategy({
  shards: JSON.parse(urls),
  name: 'bank',
  onStep: ({ kind }) => void (kind === lastStep && die()),
});

const accounts = 30;
const draw = () => 1 + Math.floor(Math.random() * accounts);

async function transfer(): Promise<void> {
  const [from, to, amount] = [draw(), draw(), draw()];
  await sharding.withDistributedTransaction(async (transaction) => {
    const change = async (account: number, by: number) =>
      (await transaction.on(account)).query('UPDATE account SET balance = balance + $1 WHERE id = $2', [by, account]);
    await change(Math.min(from, to), from < to ? -amount : amount);
    await change(Math.max(from, to), from < to ? amount : -amount);
  });
}

process.stdout.write('ready\n');
for (;;) {
  await Promise.allSettled([transfer(), transfer(), transfer()]);
  if (lastStep === 'told') die();
}
