import { assert } from '../core/assert.ts';
import { pgError } from '../core/errors.ts';
import { limits } from '../core/limits.ts';
import { type ClientOutput, PassingOutput } from '../execute/client-output.ts';
import { decodeDataRow, encodeDataRow } from '../wire/backend.ts';

/** A tid's offset is of 16 bits, and never 0. */
const offsetsPerBlock = 60_000;

/**
 * postgres_fdw calls rows by a tid. No node's would do for a herd, so each row that may be changed is called by its place in a list,
 * which knows the row's primary key. Lives as long as the function's transaction.
 */
export class RowAddresses {
  #keys: string[] = [];
  readonly #indexes = new Map<string, number>();

  /** `key`: table and values of the primary key as a JSON array. The same row has the same address: a function may compare two. */
  addressOf(key: string): string {
    const index = this.#indexes.get(key) ?? this.#add(key);
    return `(${Math.floor(index / offsetsPerBlock)},${(index % offsetsPerBlock) + 1})`;
  }

  #add(key: string): number {
    if (this.#keys.length >= limits.maxLoopAddresses) {
      throw pgError('programLimitExceeded', 'a function changes too many rows of distributed tables one by one', {
        hint: 'Send the UPDATE or DELETE to the router as a statement of its own.',
      });
    }
    const index = this.#keys.push(key) - 1;
    this.#indexes.set(key, index);
    return index;
  }

  /** The values of the row's primary key. */
  keyAt(address: string): readonly (string | null)[] {
    const match = /^\((\d+),(\d+)\)$/.exec(address);
    const key = match ? this.#keys[Number(match[1]) * offsetsPerBlock + Number(match[2]) - 1] : undefined;
    assert(key !== undefined, 'the row was read before it is changed');
    return (JSON.parse(key) as (string | null)[]).slice(1);
  }

  clear(): void {
    this.#keys = [];
    this.#indexes.clear();
  }
}

/** Rows whose last column is the key become rows whose last column is an address. */
export class AddressOutput extends PassingOutput {
  readonly #addresses: RowAddresses;

  constructor(output: ClientOutput, addresses: RowAddresses) {
    super(output);
    this.#addresses = addresses;
  }

  override complete(tag: string): void {
    this.output.complete(tag);
  }

  override row(frame: Buffer): void {
    const values = decodeDataRow(frame);
    const key = values.at(-1);
    assert(key, 'a row has a key');
    this.output.row(encodeDataRow([...values.slice(0, -1), Buffer.from(this.#addresses.addressOf(key.toString()))]));
  }
}
