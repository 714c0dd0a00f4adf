import type { ServerConnection } from '../backend/server-connection.ts';
import type { DistributedTable } from '../catalog/snapshot.ts';
import type { PgError } from '../core/errors.ts';
import { quoteIdentifier, quoteQualified } from '../sql/quote.ts';
import { decodeCommandComplete } from '../wire/backend.ts';
import { copyBinaryHeader, copyBinaryTrailer } from '../wire/copy-binary.ts';
import { copyDataBody, copyDoneMessage, encodeCopyData, encodeQuery } from '../wire/frontend.ts';
import { backend as message } from '../wire/message-types.ts';
import type { ClientOutput } from './client-output.ts';
import type { ExecutionContext } from './context.ts';
import type { CopyFormat } from './copy-options.ts';
import { sitesOf } from './copy-target.ts';
import { serverError } from './exchange.ts';
import { joinAll } from './sources.ts';

export interface CopyOut {
  readonly table: DistributedTable;
  readonly columns: readonly string[];
  readonly format: CopyFormat;
  readonly hasHeader: boolean;
  /** ` WITH (…)`, or empty. */
  readonly optionsSql: string;
}

/** COPY of a distributed table to the client: every node sends its rows, which pass through as they come. */
export async function copyOut(copy: CopyOut, context: ExecutionContext, output: ClientOutput): Promise<void> {
  const sites = sitesOf(copy.table, context);
  const connections = await joinAll(sites, context);
  const merged = new MergedCopy(copy, connections, output);
  output.complete(`COPY ${await merged.run()}`);
}

/** A COPY in its query form, since that is the one that a partitioned table allows. */
function copyOutSql({ table, columns, optionsSql }: CopyOut): string {
  const list = columns.map(quoteIdentifier).join(', ');
  return `COPY (SELECT ${list} FROM ${quoteQualified(table.schema, table.name)}) TO STDOUT${optionsSql}`;
}

/** Makes one COPY of those that several servers send: one response, one header, one trailer, one end. */
class MergedCopy {
  readonly #copy: CopyOut;
  readonly #connections: readonly ServerConnection[];
  readonly #output: ClientOutput;
  #responded = false;
  #headed = false;
  #rowCount = 0;
  #error: PgError | null = null;
  #canceling: Promise<unknown> = Promise.resolve();

  constructor(copy: CopyOut, connections: readonly ServerConnection[], output: ClientOutput) {
    this.#copy = copy;
    this.#connections = connections;
    this.#output = output;
  }

  async run(): Promise<number> {
    const query = encodeQuery(copyOutSql(this.#copy));
    await Promise.all(this.#connections.map((connection) => this.#receive(connection, query)));
    await this.#canceling;
    if (this.#error) throw this.#error;
    if (this.#copy.format === 'binary') this.#output.pass(encodeCopyData(copyBinaryTrailer));
    this.#output.pass(copyDoneMessage);
    return this.#rowCount;
  }

  #receive(connection: ServerConnection, query: Buffer): Promise<void> {
    const output = this.#output;
    const pass = this.#copy.format === 'binary' ? this.#binaryPass() : this.#textPass();
    return new Promise((resolve) => {
      const leave = () => {
        output.detach(connection);
        resolve();
      };
      output.attach(connection);
      connection.submit(query, {
        onFrame: (type, frame) => {
          switch (type) {
            case message.copyData:
              if (this.#error === null) pass(frame);
              return;
            case message.copyOutResponse:
              this.#respond(frame);
              return;
            case message.commandComplete:
              this.#rowCount += Number(/ (\d+)$/.exec(decodeCommandComplete(frame))?.[1] ?? 0);
              return;
            case message.errorResponse:
              this.#fail(serverError(frame, connection));
              return;
            case message.noticeResponse:
              output.pass(frame);
              return;
            default:
              return;
          }
        },
        onReady: leave,
        onLost: (error) => {
          this.#fail(error);
          leave();
        },
      });
    });
  }

  #respond(frame: Buffer): void {
    if (this.#responded || this.#error !== null) return;
    this.#responded = true;
    this.#output.pass(frame);
  }

  /** A header line is the first message of each server. */
  #textPass(): (frame: Buffer) => void {
    let isHeader = this.#copy.hasHeader;
    return (frame) => {
      if (isHeader) {
        isHeader = false;
        if (this.#headed) return;
        this.#headed = true;
      }
      this.#output.pass(frame);
    };
  }

  /** The file header comes in one message with the first tuple; the trailer is a message of its own, or follows the header. */
  #binaryPass(): (frame: Buffer) => void {
    let first = true;
    return (frame) => {
      let body = copyDataBody(frame);
      if (first) {
        first = false;
        body = body.subarray(copyBinaryHeader.length);
        if (!this.#headed) this.#output.pass(encodeCopyData(copyBinaryHeader));
        this.#headed = true;
        frame = encodeCopyData(body);
      }
      if (body.length > 0 && !body.equals(copyBinaryTrailer)) this.#output.pass(frame);
    };
  }

  /** The others need not go on. */
  #fail(error: PgError): void {
    if (this.#error !== null) return;
    this.#error = error;
    const others = this.#connections.filter((connection) => !connection.idle);
    this.#canceling = Promise.allSettled(others.map((connection) => connection.cancel()));
  }
}
