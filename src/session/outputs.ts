import type { ServerConnection } from '../backend/server-connection.ts';
import { type PgError, pgError } from '../core/errors.ts';
import type { ClientOutput } from '../execute/client-output.ts';
import { encodeCommandComplete, fieldCountOf } from '../wire/backend.ts';
import type { ClientConnection } from './client-connection.ts';
import { feedCopy } from './copy-feed.ts';

/** The simple protocol: rows described and passed on at once; the tag is said once the statement's effects stand. */
export class SimpleOutput implements ClientOutput {
  readonly wantsDescription = true;
  readonly resultFormats: readonly number[] = [];
  readonly #client: ClientConnection;
  #tag: string | null = null;

  constructor(client: ClientConnection) {
    this.#client = client;
  }

  describe(frame: Buffer): void {
    this.#client.write(frame);
  }

  row(frame: Buffer): void {
    this.#client.write(frame);
  }

  complete(tag: string): void {
    this.#tag = tag;
  }

  /** After the commit, for a statement that was a transaction of its own. */
  sayComplete(): void {
    if (this.#tag !== null) this.#client.write(encodeCommandComplete(this.#tag));
    this.#tag = null;
  }

  pass(frame: Buffer): void {
    this.#client.write(frame);
  }

  attach(source: ServerConnection): void {
    this.#client.attach(source);
  }

  detach(source: ServerConnection): void {
    this.#client.detach(source);
  }

  copyIn(frame: Buffer, connection: ServerConnection): void {
    feedCopy(this.#client, frame, connection);
  }
}

/**
 * A portal's rows: given to the client up to the row limit of each Execute. At the limit the servers are paused; what arrives
 * nevertheless waits here.
 */
export class PortalOutput implements ClientOutput {
  readonly wantsDescription = false;
  readonly resultFormats: readonly number[];
  readonly #client: ClientConnection;
  #sources = new Set<ServerConnection>();
  #waiting: Buffer[] = [];
  /** Rows the current Execute may still give. */
  #budget = 0;
  #passed = 0;
  #mode: 'limited' | 'spooling' | 'discarding' = 'limited';
  #tag: string | null = null;
  #onSuspended: (() => void) | null = null;

  /** Of the rows as the client knows them; null: not known. Until the first row is here. */
  #fieldCount: number | null;

  constructor(client: ClientConnection, resultFormats: readonly number[], fieldCount: number | null = null) {
    this.#client = client;
    this.resultFormats = resultFormats;
    this.#fieldCount = fieldCount;
  }

  get tag(): string | null {
    return this.#tag;
  }

  get passedRows(): number {
    return this.#passed;
  }

  get waitingRows(): number {
    return this.#waiting.length;
  }

  /** Lets `rows` more rows through (Infinity: all); resolves when the limit is reached, never if it is not. */
  grant(rows: number): Promise<'suspended'> {
    this.#budget = rows;
    this.#passed = 0;
    while (this.#budget > 0 && this.#waiting.length > 0) this.#give(this.#waiting.shift()!);
    return new Promise((resolve) => {
      if (this.#budget === 0) {
        resolve('suspended');
        return;
      }
      this.#onSuspended = () => resolve('suspended');
      if (this.#mode === 'limited') for (const source of this.#sources) source.resume();
    });
  }

  /** Other work needs the servers: the remaining rows are kept here. */
  spool(): void {
    if (this.#mode !== 'limited') return;
    this.#mode = 'spooling';
    for (const source of this.#sources) source.resume();
  }

  /** Nobody will ask for the rest. */
  discard(): void {
    this.#mode = 'discarding';
    this.#waiting = [];
    for (const source of this.#sources) source.resume();
  }

  describe(): void {}

  row(frame: Buffer): void {
    if (this.#fieldCount !== null) {
      refuseOtherRows(frame, this.#fieldCount);
      this.#fieldCount = null;
    }
    if (this.#mode === 'discarding') return;
    if (this.#budget > 0 && this.#waiting.length === 0) {
      this.#give(frame);
      return;
    }
    this.#waiting.push(Buffer.from(frame));
  }

  complete(tag: string): void {
    this.#tag = tag;
  }

  pass(frame: Buffer): void {
    this.#client.write(frame);
  }

  attach(source: ServerConnection): void {
    this.#sources.add(source);
    this.#client.attach(source);
    if (this.#mode === 'limited' && this.#budget === 0) source.pause();
  }

  /** Its answer is here in full, perhaps while it was paused: others will use the connection next. */
  detach(source: ServerConnection): void {
    if (this.#sources.delete(source)) source.resume();
    this.#client.detach(source);
  }

  copyIn(frame: Buffer, connection: ServerConnection): void {
    feedCopy(this.#client, frame, connection);
  }

  #give(frame: Buffer): void {
    this.#client.write(frame);
    this.#passed += 1;
    this.#budget -= 1;
    if (this.#budget > 0) return;
    if (this.#mode === 'limited') for (const source of this.#sources) source.pause();
    this.#onSuspended?.();
    this.#onSuspended = null;
  }
}

/** The table has changed while the statement waited for a lock of it: what the client was told of its rows does not hold. */
export function resultTypeChanged(): PgError {
  return pgError('featureNotSupported', 'cached plan must not change result type');
}

/** Ends the connection that the row comes from: what else it has to say is of the same kind. */
export function refuseOtherRows(row: Buffer, fieldCount: number): void {
  if (fieldCountOf(row) !== fieldCount) throw resultTypeChanged();
}
