import { type ClientOutput, PassingOutput } from '../execute/client-output.ts';
import { encodeRowDescription, type FieldDescription, fieldCountOf } from '../wire/backend.ts';
import { refuseOtherRows } from './outputs.ts';

/** Gives rows under a description of the coordinator's, whichever server they come from. */
export class DescribedOutput extends PassingOutput {
  readonly #fields: readonly FieldDescription[];
  readonly #isPassed: boolean;
  #isChecked = false;

  /** `isPassed`: one server's rows, as they are. Its table may have changed while the statement waited for a lock of it: then that server knows better. */
  constructor(output: ClientOutput, fields: readonly FieldDescription[], isPassed = false) {
    super(output);
    this.#fields = fields;
    this.#isPassed = isPassed;
  }

  override get wantsDescription(): boolean {
    return true;
  }

  override describe(frame: Buffer): void {
    this.#isChecked = this.#isPassed && fieldCountOf(frame) !== this.#fields.length;
    this.output.describe(this.#isChecked ? frame : encodeRowDescription(this.#fields));
  }

  override row(frame: Buffer): void {
    if (!this.#isChecked) {
      this.#isChecked = true;
      refuseOtherRows(frame, this.#fields.length);
    }
    this.output.row(frame);
  }

  override complete(tag: string): void {
    this.output.complete(tag);
  }
}
