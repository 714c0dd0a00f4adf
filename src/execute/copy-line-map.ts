import { PgError } from '../core/errors.ts';

const blockBytes = 16_384;
/** A step of this or more, or backwards, is written as `escape` and the line itself in four bytes. */
const escapeByte = 255;

interface Block {
  readonly firstIndex: number;
  /** The line before the block's first one. */
  readonly base: number;
  readonly steps: Uint8Array;
}

/**
 * Which line of the client's data each line of a server's share was: about a byte a line, since one server's lines are close
 * together in the client's data.
 */
export class LineMap {
  #blocks: Block[] = [];
  #usedBytes = blockBytes;
  #count = 0;
  #last = 0;

  push(line: number): void {
    if (this.#usedBytes > blockBytes - 5) this.#startBlock();
    const { steps } = this.#blocks.at(-1)!;
    const step = line - this.#last;
    if (step >= 0 && step < escapeByte) {
      steps[this.#usedBytes++] = step;
    } else {
      steps[this.#usedBytes++] = escapeByte;
      new DataView(steps.buffer).setUint32(this.#usedBytes, line);
      this.#usedBytes += 4;
    }
    this.#last = line;
    this.#count += 1;
  }

  /** `index` counts from 1, as a server's lines do; beyond the end, the last line. */
  lineOf(index: number): number {
    const block = this.#blocks.findLast((candidate) => candidate.firstIndex <= index);
    if (block === undefined) return index;
    const bytes = new DataView(block.steps.buffer);
    const end = block === this.#blocks.at(-1) ? this.#usedBytes : blockBytes;
    let line = block.base;
    let at = 0;
    for (let i = block.firstIndex; i <= Math.min(index, this.#count) && at < end; i++) {
      const step = block.steps[at]!;
      at += 1;
      if (step === escapeByte) {
        line = bytes.getUint32(at);
        at += 4;
      } else line += step;
    }
    return line;
  }

  #startBlock(): void {
    this.#blocks.push({ firstIndex: this.#count + 1, base: this.#last, steps: new Uint8Array(blockBytes) });
    this.#usedBytes = 0;
  }
}

/** The words of CopyFromErrorCallback, in any language: `COPY t, line 3, column c: "x"`. */
const copyContext = /^(COPY [^\n]*?, \p{L}+ )(\d+)/mu;

/** An error in the client's data, and the line of it. */
export interface LineError {
  readonly error: PgError;
  /** Null: no line is to blame. */
  readonly line: number | null;
}

/** A server's error in terms of the client's data. `shown` is given the part of the data that the context quotes. */
export function mapLines(error: PgError, lines: LineMap, shown: (data: string) => string): LineError {
  const { where } = error.fields;
  const match = where === undefined ? null : copyContext.exec(where);
  if (where === undefined || match === null) return { error, line: null };
  const line = lines.lineOf(Number(match[2]));
  const rest = where.slice(match.index + match[0].length);
  const before = where.slice(0, match.index) + match[1] + line;
  const data = /^: "/.test(rest) ? `: "${shown(rest.slice(3))}` : rest;
  return { error: new PgError({ ...error.fields, where: before + data }), line };
}

/** An error that the router found itself. */
export function atLine(error: PgError, table: string, line: number): PgError {
  return error.fields.where === undefined
    ? new PgError({ ...error.fields, where: `COPY ${table}, line ${line}` })
    : error;
}
