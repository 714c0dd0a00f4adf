import { assert } from '../core/assert.ts';
import { type ErrorFields, pgError } from '../core/errors.ts';
import { decodeErrorFields } from '../wire/backend.ts';
import type { LineMap } from './copy-line-map.ts';
import type { CopyTarget } from './copy-target.ts';

/** ON_ERROR ignore: each server speaks of its own rows, and counts them against its own REJECT_LIMIT. */
export class SkippedRows {
  readonly #target: CopyTarget;
  readonly #tell: (fields: ErrorFields) => void;
  #summary: ErrorFields | null = null;
  #count = 0;

  constructor(target: CopyTarget, tell: (fields: ErrorFields) => void) {
    this.#target = target;
    this.#tell = tell;
  }

  notice(frame: Buffer, lines: LineMap): void {
    const fields = decodeErrorFields(frame);
    if (!this.#target.options.skipsErrors) {
      this.#tell(fields);
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
    this.#tell({ ...fields, message });
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
    this.#tell({ ...this.#summary, message: `${rows} skipped due to data type incompatibility` });
  }
}
