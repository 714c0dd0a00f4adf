import { startHerd } from '../harness/herd.ts';
import { startPostgres } from '../harness/postgres.ts';

/**
 * Two connection URLs that must behave alike: a plain PostgreSQL (the oracle) and a herd.
 * `distributed` is false when the second is a plain PostgreSQL too: a way to try the tests themselves.
 */
export type Pair = {
  readonly plain: string;
  readonly herd: string;
  readonly distributed: boolean;
  stop(): Promise<void>;
};

/**
 * Starts both, or takes running ones from `PGHERD_TEST_PLAIN_URL` and `PGHERD_TEST_HERD_URL`.
 * `PGHERD_TEST_UNDISTRIBUTED=1` distributes nothing: for a second server that is no herd, or to try the router alone.
 * `PGHERD_TEST_VERSION=15` runs both on PostgreSQL 15.
 */
export async function startPair(options: { version?: 18 | 15; nodes?: number } = {}): Promise<Pair> {
  const distributed = process.env['PGHERD_TEST_UNDISTRIBUTED'] !== '1';
  const plainUrl = process.env['PGHERD_TEST_PLAIN_URL'];
  const herdUrl = process.env['PGHERD_TEST_HERD_URL'];
  if (plainUrl !== undefined && herdUrl !== undefined) {
    return { plain: plainUrl, herd: herdUrl, distributed, stop: async () => {} };
  }
  const version = options.version ?? (process.env['PGHERD_TEST_VERSION'] === '15' ? 15 : 18);
  const plain = await startPostgres({ version });
  const herd = await startHerd({ ...options, version });
  return {
    plain: `postgres://postgres@${plain.host}:${plain.port}/postgres`,
    herd: herd.url,
    distributed,
    stop: async () => {
      await herd.stop();
      await plain.stop();
    },
  };
}
