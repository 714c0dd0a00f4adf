import type { ServerConnection } from '../backend/server-connection.ts';

/**
 * Where an answer goes: the narrow verb between execution and the client's protocol (simple query, portal, or a buffer for the
 * router's own use). All calls are synchronous; whoever feeds it registers with `attach`, and is paused when the client reads slowly.
 */
export interface ClientOutput {
  /** The simple protocol describes rows with the answer; the extended one on request only. */
  readonly wantsDescription: boolean;
  /** As in Bind: none (all text), one for all, or one for each column. */
  readonly resultFormats: readonly number[];
  /** A RowDescription frame. */
  describe(frame: Buffer): void;
  /** A DataRow frame; a view that must be used or copied during the call. */
  row(frame: Buffer): void;
  complete(tag: string): void;
  /** NoticeResponse and ParameterStatus frames, passed on as they are. */
  pass(frame: Buffer): void;
  attach(source: ServerConnection): void;
  detach(source: ServerConnection): void;
  /** The server asked for COPY data (a CopyInResponse frame): feeds it from the client until the client is done or fails. */
  copyIn(frame: Buffer, connection: ServerConnection): void;
}

/** An output in front of another one: what a subclass does not change is passed on. The tag is whoever adds tags up to say. */
export abstract class PassingOutput implements ClientOutput {
  protected readonly output: ClientOutput;

  constructor(output: ClientOutput) {
    this.output = output;
  }

  get wantsDescription(): boolean {
    return this.output.wantsDescription;
  }

  get resultFormats(): readonly number[] {
    return this.output.resultFormats;
  }

  describe(frame: Buffer): void {
    this.output.describe(frame);
  }

  row(frame: Buffer): void {
    this.output.row(frame);
  }

  complete(_tag: string): void {}

  pass(frame: Buffer): void {
    this.output.pass(frame);
  }

  attach(source: ServerConnection): void {
    this.output.attach(source);
  }

  detach(source: ServerConnection): void {
    this.output.detach(source);
  }

  copyIn(frame: Buffer, connection: ServerConnection): void {
    this.output.copyIn(frame, connection);
  }
}
