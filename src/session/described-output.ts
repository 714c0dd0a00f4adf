import type { ServerConnection } from '../backend/server-connection.ts';
import type { ClientOutput } from '../execute/client-output.ts';
import { encodeRowDescription, type FieldDescription } from '../wire/backend.ts';

/** Gives rows under a description of the coordinator's, whichever server they come from. */
export class DescribedOutput implements ClientOutput {
  readonly wantsDescription = true;
  readonly #output: ClientOutput;
  readonly #fields: readonly FieldDescription[];

  constructor(output: ClientOutput, fields: readonly FieldDescription[]) {
    this.#output = output;
    this.#fields = fields;
  }

  get resultFormats(): readonly number[] {
    return this.#output.resultFormats;
  }

  describe(): void {
    this.#output.describe(encodeRowDescription(this.#fields));
  }

  row(frame: Buffer): void {
    this.#output.row(frame);
  }

  complete(tag: string): void {
    this.#output.complete(tag);
  }

  pass(frame: Buffer): void {
    this.#output.pass(frame);
  }

  attach(source: ServerConnection): void {
    this.#output.attach(source);
  }

  detach(source: ServerConnection): void {
    this.#output.detach(source);
  }

  copyIn(frame: Buffer, connection: ServerConnection): void {
    this.#output.copyIn(frame, connection);
  }
}
