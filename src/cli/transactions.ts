import { setTimeout as sleep } from 'node:timers/promises';
import { openHerdClient } from './herd-client.ts';

export interface TransactionsFlags {
  readonly data: string;
  readonly url?: string;
  readonly follow?: true;
}

const followMs = 500;

/**
 * The last steps of the router's distributed commits, a JSON object a line; with `follow` those to come too, until `signal`. Then what is
 * prepared on nodes now, and why.
 */
export async function transactions(
  flags: TransactionsFlags,
  print: (line: string) => void,
  signal: AbortSignal,
): Promise<void> {
  const client = await openHerdClient(flags);
  let last = 0;
  const printNew = async () => {
    const { columns, rows } = await client.query(
      `SELECT number, at, gid, step, detail FROM pgherd_transaction_log WHERE number > ${last} ORDER BY number`,
    );
    for (const row of rows) print(asJson(columns.slice(1), row.slice(1)));
    last = Math.max(last, ...rows.map(([number]) => Number(number)));
  };
  try {
    await printNew();
    if (!flags.follow) {
      const { columns, rows } = await client.query('SELECT * FROM pgherd_transactions ORDER BY since');
      for (const row of rows) print(asJson(columns, row));
      return;
    }
    while (!signal.aborted) {
      await sleep(followMs);
      await printNew();
    }
  } finally {
    client.close();
  }
}

function asJson(columns: readonly string[], row: readonly (string | null)[]): string {
  return JSON.stringify(Object.fromEntries(columns.map((name, index) => [name, row[index]])));
}
