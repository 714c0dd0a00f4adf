import type { DistributedTable } from '../catalog/snapshot.ts';
import type { SqlTemplate } from '../plan/plan.ts';
import { decodeRowDescription, encodeRowDescription } from '../wire/backend.ts';
import { type ClientOutput, PassingOutput } from './client-output.ts';
import { returningIndexed } from './global-index.ts';
import { hasReturning } from './insert-rows.ts';
import { splitTuple } from './text-tuples.ts';

/** The SQL of a change with the columns that global indexes need at the end of its RETURNING list. */
export function withIndexedReturning(tail: SqlTemplate, table: DistributedTable): SqlTemplate {
  const { sql } = returningIndexed(table);
  return [...tail, hasReturning(tail) ? `, ${sql}` : ` RETURNING ${sql}`];
}

/** Takes the added columns off each row before the client sees it, and keeps them. */
export class IndexedOutput extends PassingOutput {
  readonly #added: number;
  /** The client asked for no rows at all. */
  readonly #silent: boolean;
  /** Tuples of the added columns, as text. */
  readonly entries: Buffer[] = [];

  constructor(output: ClientOutput, table: DistributedTable, silent: boolean, added = returningIndexed(table).count) {
    super(output);
    this.#added = added;
    this.#silent = silent;
  }

  override get resultFormats(): readonly number[] {
    const formats = this.output.resultFormats;
    return formats.length > 1 ? [...formats, ...new Array<number>(this.#added).fill(0)] : formats;
  }

  override describe(frame: Buffer): void {
    if (this.#silent) return;
    this.output.describe(encodeRowDescription(decodeRowDescription(frame).slice(0, -this.#added)));
  }

  override row(frame: Buffer): void {
    const tuple = frame.subarray(5);
    const [own, added] = splitTuple(tuple, tuple.readInt16BE(0) - this.#added);
    this.entries.push(added);
    if (this.#silent) return;
    const header = Buffer.allocUnsafe(5);
    header[0] = frame[0]!;
    header.writeInt32BE(own.length + 4, 1);
    this.output.row(Buffer.concat([header, own]));
  }
}
