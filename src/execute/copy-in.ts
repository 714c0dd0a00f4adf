import type { ServerConnection } from '../backend/server-connection.ts';
import { assert } from '../core/assert.ts';
import { type ErrorFields, pgError } from '../core/errors.ts';
import { quoteLiteral, quoteQualified } from '../sql/quote.ts';
import { decodeErrorFields } from '../wire/backend.ts';
import { encodeCopyResponse } from '../wire/copy-messages.ts';
import { copyDataBody, decodeCopyFail } from '../wire/frontend.ts';
import { backend, frontend as message } from '../wire/message-types.ts';
import type { ExecutionContext } from './context.ts';
import { atLine, type LineMap } from './copy-line-map.ts';
import { CopyRouter } from './copy-router.ts';
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
  const skips = new SkippedRows(target, client);
  const { transaction, signal } = context;
  const coordinator = () => transaction.join('coordinator', signal);
  const router = new CopyRouter(context, target, {
    asker: { query: (sql, parameters) => withSavepoint(coordinator, sql, parameters) },
    coordinator,
    keepsIndexes: true,
    onNotice: (frame, lines) => skips.notice(frame, lines),
  });
  try {
    if (target.table.distribution.kind === 'reference') await lockCopies(await coordinator(), target);
    await router.open();
    client.write(copyInResponse(target));
    await feed(router, target, client, signal);
    const rowCount = await router.finish();
    skips.report();
    return { rowCount, drewSequences: router.drawsSequences };
  } catch (reason) {
    throw await router.fail(reason);
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
async function feed(
  router: CopyRouter,
  { table }: CopyTarget,
  { inbox }: CopyClient,
  signal: AbortSignal,
): Promise<void> {
  const stop = stopped(router, signal);
  for (;;) {
    const next = inbox.take();
    if (next === null) {
      if (inbox.closed) throw pgError('connectionFailure', 'the client closed the connection', { severity: 'FATAL' });
      await router.settle(true);
      await Promise.race([inbox.ready(), stop]);
      if (signal.aborted) throw pgError('queryCanceled', 'canceling statement due to user request');
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

/** Something happened that the client's data need not be waited for. */
function stopped(router: CopyRouter, signal: AbortSignal): Promise<void> {
  const aborted = new Promise<void>((resolve) => {
    if (signal.aborted) resolve();
    else signal.addEventListener('abort', () => resolve(), { once: true });
  });
  return Promise.race([router.failed, aborted]);
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

/** ON_ERROR ignore: each server speaks of its own rows, and counts them against its own REJECT_LIMIT. */
class SkippedRows {
  readonly #target: CopyTarget;
  readonly #client: CopyClient;
  #summary: ErrorFields | null = null;
  #count = 0;

  constructor(target: CopyTarget, client: CopyClient) {
    this.#target = target;
    this.#client = client;
  }

  notice(frame: Buffer, lines: LineMap): void {
    const fields = decodeErrorFields(frame);
    if (!this.#target.options.skipsErrors) {
      this.#client.notice(fields);
      return;
    }
    if (fields.routine === 'CopyFrom') {
      this.#summary = fields;
      this.#count += Number(/\d+/.exec(fields.message)?.[0] ?? 0);
      return;
    }
    const message = fields.message.replace(/(\p{L}+ )(\d+)/u, (_, word: string, line: string) => {
      return word + lines.lineOf(Number(line));
    });
    this.#client.notice({ ...fields, message });
  }

  report(): void {
    const { maxSkippedRows } = this.#target.options;
    if (this.#count > maxSkippedRows) {
      throw pgError(
        'invalidTextRepresentation',
        `skipped more than REJECT_LIMIT (${maxSkippedRows}) rows due to data type incompatibility`,
      );
    }
    if (this.#summary === null) return;
    assert(this.#count > 0, 'a summary is of skipped rows');
    const rows = this.#count === 1 ? '1 row was' : `${this.#count} rows were`;
    this.#client.notice({ ...this.#summary, message: `${rows} skipped due to data type incompatibility` });
  }
}
