import { pgError } from '../core/errors.ts';
import type { ViewChecks } from '../plan/plan.ts';
import { type ClientOutput, PassingOutput } from './client-output.ts';

/** Bytes of a DataRow message before its fields: type, length, number of fields. */
const headBytes = 7;

/**
 * The rows of a change through views with a CHECK OPTION: the last columns, booleans, must be true, and are taken off. Without RETURNING
 * the client gets no row.
 */
export class CheckedRows extends PassingOutput {
  readonly #checks: ViewChecks;
  /** The first view that a row was not in. */
  #violated: string | null = null;

  constructor(output: ClientOutput, checks: ViewChecks) {
    super(output);
    this.#checks = checks;
  }

  override get wantsDescription(): boolean {
    return this.#checks.returnsRows && this.output.wantsDescription;
  }

  override get resultFormats(): readonly number[] {
    const { resultFormats } = this.output;
    const own = this.#checks.views.map(() => 0);
    if (!this.#checks.returnsRows || resultFormats.length === 0) return [];
    // One format is for all columns.
    return resultFormats.length === 1 ? resultFormats : [...resultFormats, ...own];
  }

  override row(frame: Buffer): void {
    if (this.#violated !== null) return;
    const { views, returnsRows } = this.#checks;
    const shown = frame.readUInt16BE(5) - views.length;
    let offset = headBytes;
    for (let i = 0; i < shown; i++) offset = afterField(frame, offset);
    const end = offset;
    for (const view of views) {
      const length = frame.readInt32BE(offset);
      const value = length === 1 ? frame[offset + 4] : 0;
      // `t` as text, 1 as binary.
      if (value !== 0x74 && value !== 1) this.#violated ??= view;
      offset = afterField(frame, offset);
    }
    if (this.#violated !== null || !returnsRows) return;
    const row = Buffer.from(frame.subarray(0, end));
    row.writeUInt32BE(end - 1, 1);
    row.writeUInt16BE(shown, 5);
    this.output.row(row);
  }

  override describe(frame: Buffer): void {
    if (this.wantsDescription) this.output.describe(frame);
  }

  /** Raised here and not in the midst of an answer. */
  override complete(tag: string): void {
    if (this.#violated !== null) {
      throw pgError('withCheckOptionViolation', `new row violates check option for view "${this.#violated}"`);
    }
    this.output.complete(tag);
  }
}

function afterField(frame: Buffer, offset: number): number {
  return offset + 4 + Math.max(0, frame.readInt32BE(offset));
}
