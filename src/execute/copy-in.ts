import type { ServerConnection } from '../backend/server-connection.ts';
import { type ErrorFields, pgError } from '../core/errors.ts';
import { quoteLiteral, quoteQualified } from '../sql/quote.ts';
import { encodeCopyResponse } from '../wire/copy-messages.ts';
import { copyDataBody, decodeCopyFail } from '../wire/frontend.ts';
import { backend, frontend as message } from '../wire/message-types.ts';
import type { ExecutionContext } from './context.ts';
import { atLine } from './copy-line-map.ts';
import { CopyRouter } from './copy-router.ts';
import { SkippedRows } from './copy-skipped.ts';
import type { CopyTarget } from './copy-target.ts';

/** The client's end, as far as a COPY needs it. */
export interface CopyClient {
  write(frame: Buffer): void;
  notice(fields: ErrorFields): void;
  readonly inbox: {
    take(): { readonly type: number; readonly frame: Buffer } | null;
    /** Resolves when a message is there or the client is gone. */
    ready(): Promise<void>;
    readonly closed: boolean;
  };
}

export interface CopyInResult {
  readonly rowCount: number;
  readonly drewSequences: boolean;
}

/** A client's message may be far larger than what should be under way at a time. */
const pieceBytes = 262_144;

/** COPY … FROM STDIN of a client into a distributed or reference table. */
export async function copyFromClient(
  context: ExecutionContext,
  target: CopyTarget,
  client: CopyClient,
): Promise<CopyInResult> {
  const skips = new SkippedRows(target, (fields) => client.notice(fields));
  const { transaction, signal } = context;
  const pause = new Pause(signal);
  const coordinator = () => transaction.join('coordinator', signal);
  const router = new CopyRouter(context, target, {
    asker: { query: (sql, parameters) => withSavepoint(coordinator, sql, parameters) },
    coordinator,
    onNotice: (frame, lines) => skips.notice(frame, lines),
    onFailed: pause.end,
  });
  try {
    if (target.table.distribution.kind === 'reference') await lockCopies(await coordinator(), target);
    await router.open();
    client.write(copyInResponse(target));
    await feed(router, target, client, pause);
    const rowCount = await router.finish();
    skips.report();
    return { rowCount, drewSequences: router.drawsSequences };
  } catch (reason) {
    throw await router.fail(reason);
  } finally {
    pause.dispose();
  }
}

function copyInResponse({ columns, options }: CopyTarget): Buffer {
  const format = options.format === 'binary' ? 1 : 0;
  const formats = columns.map(() => format);
  return encodeCopyResponse(backend.copyInResponse, format, formats);
}

/**
 * Rows go to all copies at once, and writers that met on two of them in different order would wait for each other: so this one
 * keeps the others out at the coordinator, where all begin. Who may only insert can't lock so, and takes the chance.
 */
async function lockCopies(coordinator: ServerConnection, { table }: CopyTarget): Promise<void> {
  const name = quoteQualified(table.schema, table.name);
  await coordinator.query(`DO $pgherd$ BEGIN
  IF has_table_privilege(${quoteLiteral(name)}, 'UPDATE, DELETE, TRUNCATE') THEN
    LOCK TABLE ONLY ${name} IN SHARE ROW EXCLUSIVE MODE;
  END IF; END $pgherd$`);
}

/** Takes the client's messages up to CopyDone. Flush and Sync mean nothing meanwhile (manual: protocol-flow, COPY). */
async function feed(router: CopyRouter, { table }: CopyTarget, { inbox }: CopyClient, pause: Pause): Promise<void> {
  for (;;) {
    const next = inbox.take();
    if (next === null) {
      if (inbox.closed) throw pgError('connectionFailure', 'the client closed the connection', { severity: 'FATAL' });
      await router.settle(true);
      await pause.until(inbox.ready());
      continue;
    }
    switch (next.type) {
      case message.copyData:
        await pushPieces(router, copyDataBody(next.frame));
        continue;
      case message.copyDone:
        return;
      case message.copyFail:
        throw atLine(
          pgError('queryCanceled', `COPY from stdin failed: ${decodeCopyFail(next.frame)}`),
          table.name,
          router.line,
        );
      case message.flush:
      case message.sync:
        continue;
      default: {
        const code = next.type.toString(16).padStart(2, '0');
        throw pgError('protocolViolation', `unexpected message type 0x${code} during COPY from stdin`);
      }
    }
  }
}

async function pushPieces(router: CopyRouter, data: Buffer): Promise<void> {
  for (let start = 0; start < data.length; start += pieceBytes) {
    router.push(data.length <= pieceBytes ? data : data.subarray(start, start + pieceBytes));
    if (router.waits) await router.settle();
  }
}

/** Waits for the client's data, unless something happens that ends the COPY anyway. */
class Pause {
  readonly #signal: AbortSignal;
  #resume: () => void = () => {};

  constructor(signal: AbortSignal) {
    this.#signal = signal;
    signal.addEventListener('abort', this.end);
  }

  async until(ready: Promise<void>): Promise<void> {
    if (!this.#signal.aborted) {
      await new Promise<void>((resolve) => {
        this.#resume = resolve;
        void ready.then(resolve);
      });
    }
    if (this.#signal.aborted) throw pgError('queryCanceled', 'canceling statement due to user request');
  }

  readonly end = (): void => this.#resume();

  dispose(): void {
    this.#signal.removeEventListener('abort', this.end);
  }
}

/** A question that PostgreSQL answers with an error must not fail the transaction: the row itself will, or is skipped. */
async function withSavepoint(
  coordinator: () => Promise<ServerConnection>,
  sql: string,
  parameters: readonly (string | null)[] | undefined,
) {
  const connection = await coordinator();
  await connection.query('SAVEPOINT pgherd_copy');
  try {
    return await connection.query(sql, parameters);
  } catch (error) {
    if (!connection.closed) await connection.query('ROLLBACK TO SAVEPOINT pgherd_copy');
    throw error;
  } finally {
    if (!connection.closed) await connection.query('RELEASE SAVEPOINT pgherd_copy');
  }
}
