import type { ServerConnection } from '../backend/server-connection.ts';
import type { PgError } from '../core/errors.ts';
import { backend as message } from '../wire/message-types.ts';
import { serverError } from './exchange.ts';

/**
 * Runs one exchange and hands its rows over in batches of about `batchBytes`, each the bodies of DataRow messages. The server is
 * paused while a batch is worked on, so memory stays bounded. An error of `work` is thrown after the exchange has ended.
 */
export function forEachBatch(
  connection: ServerConnection,
  bytes: Buffer,
  batchBytes: number,
  work: (rows: readonly Buffer[]) => Promise<void>,
): Promise<void> {
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
  return new Promise((resolve, reject) => {
    const end = () => {
      if (rows.length > 0 && error === null) flush();
      working.then(() => (error === null ? resolve() : reject(error as PgError)));
    };
    connection.submit(bytes, {
      onFrame(type, frame) {
        if (type === message.dataRow) {
          const row = Buffer.from(frame.subarray(5));
          rows.push(row);
          size += row.length;
          if (size > batchBytes) flush();
        } else if (type === message.errorResponse) error ??= serverError(frame, connection);
      },
      onReady: end,
      onLost(lost) {
        error ??= lost;
        end();
      },
    });
  });
}
