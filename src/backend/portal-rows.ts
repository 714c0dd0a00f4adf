import { PgError } from '../core/errors.ts';
import * as backend from '../wire/backend.ts';
import * as frontend from '../wire/frontend.ts';
import { backend as message } from '../wire/message-types.ts';
import { joinWhere, type ServerConnection } from './server-connection.ts';

export type TextRow = readonly (string | null)[];

export interface PortalColumns {
  readonly columns: readonly string[];
  readonly typeOids: readonly number[];
}

type State =
  /** The server works on a batch. */
  | { readonly kind: 'working'; resolve(): void; reject(error: PgError): void }
  /** A batch is here, and there may be more. */
  | { readonly kind: 'suspended' }
  | { readonly kind: 'ended' }
  | { readonly kind: 'failed'; readonly error: PgError };

/**
 * The rows of one statement, a batch at a time (Execute with a row limit): no more than a batch is on its way or held here. The
 * connection is busy until `close` has resolved. Values are text.
 */
export class PortalRows {
  #connection: ServerConnection;
  #batchRows: number;
  #state: State = { kind: 'suspended' };
  #rows: TextRow[] = [];
  #shape: PortalColumns = { columns: [], typeOids: [] };
  #synced = false;
  #settled: Promise<void>;

  private constructor(connection: ServerConnection, batchRows: number) {
    this.#connection = connection;
    this.#batchRows = batchRows;
    this.#settled = Promise.resolve();
  }

  /** Resolves when the first batch is here, so that the columns are known. Rejects with what the server says. */
  static async open(
    connection: ServerConnection,
    { sql, parameters }: { readonly sql: string; readonly parameters: readonly (string | null)[] },
    batchRows: number,
  ): Promise<PortalRows> {
    const portal = new PortalRows(connection, batchRows);
    const bind = {
      ...{ portal: '', statement: '', parameterFormats: [], resultFormats: [0] },
      parameters: parameters.map((value) => (value === null ? null : Buffer.from(value))),
    };
    const start = [frontend.encodeParse('', sql, []), frontend.encodeBind(bind), frontend.encodeDescribe('P', '')];
    const first = portal.#work();
    portal.#settled = portal.#submit(Buffer.concat([...start, portal.#more()]));
    await first;
    return portal;
  }

  get shape(): PortalColumns {
    return this.#shape;
  }

  /** The next rows; none: there are no more. */
  async next(): Promise<readonly TextRow[]> {
    if (this.#rows.length === 0 && this.#state.kind === 'suspended') {
      const batch = this.#work();
      this.#connection.write(this.#more());
      await batch;
    }
    if (this.#state.kind === 'failed') throw this.#state.error;
    return this.#rows.splice(0);
  }

  /** Ends the statement, wherever it is; resolves when the connection is free. Never rejects. */
  async close(): Promise<void> {
    this.#sync();
    await this.#settled;
  }

  #more(): Buffer {
    return Buffer.concat([frontend.encodeExecute('', this.#batchRows), frontend.flushMessage]);
  }

  #work(): Promise<void> {
    return new Promise((resolve, reject) => {
      this.#state = { kind: 'working', resolve, reject };
    });
  }

  #submit(bytes: Buffer): Promise<void> {
    return new Promise((resolve) => {
      this.#connection.submit(bytes, {
        onFrame: (type, frame) => this.#onFrame(type, frame),
        onReady: () => resolve(),
        onLost: (error) => {
          this.#fail(error);
          resolve();
        },
      });
    });
  }

  #onFrame(type: number, frame: Buffer): void {
    switch (type) {
      case message.dataRow:
        this.#rows.push(backend.decodeDataRow(frame).map((value) => (value === null ? null : value.toString())));
        return;
      case message.rowDescription: {
        const fields = backend.decodeRowDescription(frame);
        this.#shape = { columns: fields.map(({ name }) => name), typeOids: fields.map(({ typeOid }) => typeOid) };
        return;
      }
      case message.portalSuspended:
        this.#arrive({ kind: 'suspended' });
        return;
      case message.commandComplete:
      case message.emptyQueryResponse:
        this.#arrive({ kind: 'ended' });
        this.#sync();
        return;
      case message.errorResponse: {
        const fields = backend.decodeErrorFields(frame);
        this.#fail(new PgError({ ...fields, where: joinWhere(fields.where, this.#connection.target.label) }));
        this.#sync();
        return;
      }
    }
  }

  #arrive(state: State): void {
    const before = this.#state;
    this.#state = state;
    if (before.kind === 'working') before.resolve();
  }

  #fail(error: PgError): void {
    const before = this.#state;
    if (before.kind === 'failed' || before.kind === 'ended') return;
    this.#state = { kind: 'failed', error };
    if (before.kind === 'working') before.reject(error);
  }

  #sync(): void {
    if (this.#synced) return;
    this.#synced = true;
    this.#connection.write(frontend.syncMessage);
  }
}
