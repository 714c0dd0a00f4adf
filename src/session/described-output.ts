import { type ClientOutput, PassingOutput } from '../execute/client-output.ts';
import { encodeRowDescription, type FieldDescription } from '../wire/backend.ts';
import { refuseOtherRows } from './outputs.ts';

/** Gives rows under a description of the coordinator's, whichever server they come from. */
export class DescribedOutput extends PassingOutput {
  readonly #fields: readonly FieldDescription[];
  #isChecked = false;

  constructor(output: ClientOutput, fields: readonly FieldDescription[]) {
    super(output);
    this.#fields = fields;
  }

  override get wantsDescription(): boolean {
    return true;
  }

  override describe(): void {
    this.output.describe(encodeRowDescription(this.#fields));
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
