import type { Connection, Submittable } from 'pg';

/** What node-postgres has at run time beyond its published types. */
type CopyConnection = Connection & {
  sendCopyFromChunk(chunk: Buffer): void;
  endCopyFrom(): void;
  sendCopyFail(message: string): void;
};

type Settle = { resolve(rowCount: number): void; reject(error: unknown): void };

/** Rows from the command tag `COPY n`. */
function copiedRows(message: { text: string }): number {
  return Number(message.text.split(' ')[1] ?? 0);
}

/**
 * A COPY … FROM STDIN for node-postgres: `await client.query(new CopyIn(sql, chunks)).done`.
 * Waits for the socket to drain, so memory stays bounded whatever the size of the source.
 */
export class CopyIn implements Submittable {
  readonly done: Promise<number>;
  readonly #text: string;
  readonly #chunks: AsyncIterable<Buffer> | Iterable<Buffer>;
  #settle!: Settle;
  #failed: unknown;
  #rowCount = 0;

  constructor(text: string, chunks: AsyncIterable<Buffer> | Iterable<Buffer>) {
    this.#text = text;
    this.#chunks = chunks;
    this.done = new Promise((resolve, reject) => {
      this.#settle = { resolve, reject };
    });
  }

  submit(connection: Connection): void {
    connection.query(this.#text);
  }

  handleCopyInResponse(connection: CopyConnection): void {
    void this.#pump(connection);
  }

  handleCommandComplete(message: { text: string }): void {
    this.#rowCount = copiedRows(message);
  }

  handleError(error: unknown): void {
    this.#failed = error;
    this.#settle.reject(error);
  }

  handleReadyForQuery(): void {
    this.#settle.resolve(this.#rowCount);
  }

  async #pump(connection: CopyConnection): Promise<void> {
    try {
      for await (const chunk of this.#chunks) {
        if (this.#failed !== undefined) return;
        connection.sendCopyFromChunk(chunk);
        if (connection.stream.writableNeedDrain) await drained(connection);
      }
      if (this.#failed === undefined) connection.endCopyFrom();
    } catch (error) {
      connection.sendCopyFail(String(error));
    }
  }
}

/** A COPY … TO STDOUT for node-postgres: `await client.query(new CopyOut(sql)).done` gives all its bytes. */
export class CopyOut implements Submittable {
  readonly done: Promise<Buffer>;
  readonly #text: string;
  readonly #chunks: Buffer[] = [];
  #resolve!: (bytes: Buffer) => void;
  #reject!: (error: unknown) => void;

  constructor(text: string) {
    this.#text = text;
    this.done = new Promise((resolve, reject) => {
      this.#resolve = resolve;
      this.#reject = reject;
    });
  }

  submit(connection: Connection): void {
    connection.query(this.#text);
  }

  handleCopyData(message: { chunk: Buffer }): void {
    this.#chunks.push(Buffer.from(message.chunk));
  }

  handleCommandComplete(): void {}

  handleError(error: unknown): void {
    this.#reject(error);
  }

  handleReadyForQuery(): void {
    this.#resolve(Buffer.concat(this.#chunks));
  }
}

function drained(connection: Connection): Promise<void> {
  return new Promise((resolve) => {
    const finish = () => {
      connection.stream.off('drain', finish);
      connection.stream.off('close', finish);
      resolve();
    };
    connection.stream.on('drain', finish);
    connection.stream.on('close', finish);
  });
}
