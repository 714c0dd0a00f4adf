import { backend as message } from '../wire/message-types.ts';
import type { AnswerSource } from './exchange.ts';

/**
 * Runs one exchange and hands its rows over in batches of about `batchBytes`, each the bodies of DataRow messages. The server is
 * paused while a batch is worked on, so memory stays bounded. An error of `work` is thrown after the exchange has ended.
 */
export async function forEachBatch(
  source: AnswerSource,
  batchBytes: number,
  work: (rows: readonly Buffer[]) => Promise<void>,
): Promise<void> {
  const { connection } = source;
  let rows: Buffer[] = [];
  let size = 0;
  let working: Promise<void> = Promise.resolve();
  let error: unknown = null;
  const flush = () => {
    const batch = rows;
    rows = [];
    size = 0;
    connection.pause();
    working = working
      .then(() => (error === null ? work(batch) : undefined))
      .catch((reason) => {
        error ??= reason;
      })
      .finally(() => connection.resume());
  };
  await source
    .run((type, frame) => {
      if (type !== message.dataRow) return;
      const row = Buffer.from(frame.subarray(5));
      rows.push(row);
      size += row.length;
      if (size > batchBytes) flush();
    })
    .catch((reason) => {
      error ??= reason;
    });
  if (rows.length > 0 && error === null) flush();
  await working;
  if (error !== null) throw error;
}
