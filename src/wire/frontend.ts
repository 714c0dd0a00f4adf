import { assert } from '../core/assert.ts';
import { pgError } from '../core/errors.ts';
import { MessageReader, malformed } from './message-reader.ts';
import { frontend } from './message-types.ts';
import { emptyMessage, MessageWriter, valuesBytes } from './message-writer.ts';
import { protocol30, requestCodes } from './startup-packet.ts';
import { terminatedBytes } from './utf8-text.ts';

export { copyDataBody, copyDoneMessage, encodeCopyData, encodeCopyDone } from './copy-messages.ts';

/** Messages a client sends. Constants are shared by all that send them: never written into. */
export const syncMessage: Buffer = emptyMessage(frontend.sync);
export const flushMessage: Buffer = emptyMessage(frontend.flush);
export const terminateMessage: Buffer = emptyMessage(frontend.terminate);

/** S = prepared statement, P = portal. */
export type DescribedKind = 'S' | 'P';

export interface ParseMessage {
  readonly name: string;
  readonly sql: string;
  /** 0 leaves a type to the server. */
  readonly parameterOids: number[];
}

export interface BindMessage {
  readonly portal: string;
  readonly statement: string;
  /** None = all text; one = for all; else one per parameter. 0 text, 1 binary. */
  readonly parameterFormats: number[];
  /** Views into the frame. */
  readonly parameters: (Buffer | null)[];
  /** None = all text; one = for all; else one per column. */
  readonly resultFormats: number[];
}

/** A BindMessage whose lists may be frozen. */
export interface BindInput {
  readonly portal: string;
  readonly statement: string;
  readonly parameterFormats: readonly number[];
  readonly parameters: readonly (Buffer | null)[];
  readonly resultFormats: readonly number[];
}

export function encodeStartup(parameters: Iterable<readonly [string, string]>, protocol: number = protocol30): Buffer {
  let text = '';
  for (const [name, value] of parameters) {
    terminatedBytes(name + value);
    assert(name !== '', 'a startup parameter has a name: an empty one would end the list');
    text += `${name}\0${value}\0`;
  }
  const packet = Buffer.allocUnsafe(8 + Buffer.byteLength(text) + 1);
  packet.writeUInt32BE(packet.length, 0);
  packet.writeUInt32BE(protocol, 4);
  packet.write(`${text}\0`, 8, 'utf8');
  return packet;
}

export function encodeSslRequest(): Buffer {
  const packet = Buffer.allocUnsafe(8);
  packet.writeUInt32BE(8, 0);
  packet.writeUInt32BE(requestCodes.ssl, 4);
  return packet;
}

export function encodeCancelRequest(processId: number, secret: Buffer): Buffer {
  const packet = Buffer.allocUnsafe(12 + secret.length);
  packet.writeUInt32BE(packet.length, 0);
  packet.writeUInt32BE(requestCodes.cancel, 4);
  packet.writeInt32BE(processId, 8);
  secret.copy(packet, 12);
  return packet;
}

export function encodeQuery(sql: string): Buffer {
  return encodeText(frontend.query, sql);
}

export function decodeQuery(frame: Buffer): string {
  return decodeText(frame);
}

export function encodeParse(name: string, sql: string, parameterOids: readonly number[]): Buffer {
  const bodyBytes = terminatedBytes(name) + terminatedBytes(sql) + 2 + 4 * parameterOids.length;
  const message = new MessageWriter(frontend.parse, bodyBytes).text(name).text(sql).count(parameterOids.length);
  for (const oid of parameterOids) message.uint32(oid);
  return message.finish();
}

export function decodeParse(frame: Buffer): ParseMessage {
  const reader = new MessageReader(frame);
  const name = reader.text();
  const sql = reader.text();
  const parameterOids = reader.list((each) => each.uint32());
  reader.end();
  return { name, sql, parameterOids };
}

export function encodeBind(bind: BindInput): Buffer {
  const { portal, statement, parameterFormats, parameters, resultFormats } = bind;
  const namesBytes = terminatedBytes(portal) + terminatedBytes(statement);
  const formatsBytes = 2 * (parameterFormats.length + resultFormats.length);
  const message = new MessageWriter(frontend.bind, namesBytes + 6 + formatsBytes + valuesBytes(parameters));
  message.text(portal).text(statement).count(parameterFormats.length);
  for (const format of parameterFormats) message.int16(format);
  message.count(parameters.length);
  for (const parameter of parameters) message.value(parameter);
  message.count(resultFormats.length);
  for (const format of resultFormats) message.int16(format);
  return message.finish();
}

export function decodeBind(frame: Buffer): BindMessage {
  const reader = new MessageReader(frame);
  const portal = reader.text();
  const statement = reader.text();
  const parameterFormats = reader.list(readFormat);
  const parameterCount = reader.uint16();
  if (parameterFormats.length > 1 && parameterFormats.length !== parameterCount) {
    const formats = parameterFormats.length;
    throw malformed(`bind message has ${formats} parameter formats but ${parameterCount} parameters`);
  }
  const parameters: (Buffer | null)[] = [];
  for (let i = 0; i < parameterCount; i++) parameters.push(reader.value());
  const resultFormats = reader.list(readFormat);
  reader.end();
  return { portal, statement, parameterFormats, parameters, resultFormats };
}

function readFormat(reader: MessageReader): number {
  const format = reader.int16();
  if (format !== 0 && format !== 1) throw pgError('invalidParameterValue', `unsupported format code: ${format}`);
  return format;
}

export function encodeDescribe(kind: DescribedKind, name: string): Buffer {
  return encodeNamed(frontend.describe, kind, name);
}

export function decodeDescribe(frame: Buffer): { kind: DescribedKind; name: string } {
  return decodeNamed(frame, 'DESCRIBE');
}

export function encodeClose(kind: DescribedKind, name: string): Buffer {
  return encodeNamed(frontend.close, kind, name);
}

export function decodeClose(frame: Buffer): { kind: DescribedKind; name: string } {
  return decodeNamed(frame, 'CLOSE');
}

function encodeNamed(type: number, kind: DescribedKind, name: string): Buffer {
  return new MessageWriter(type, 1 + terminatedBytes(name)).uint8(kind.charCodeAt(0)).text(name).finish();
}

function decodeNamed(frame: Buffer, message: string): { kind: DescribedKind; name: string } {
  const reader = new MessageReader(frame);
  const kind = reader.uint8();
  const name = reader.text();
  reader.end();
  if (kind === 0x53) return { kind: 'S', name };
  if (kind === 0x50) return { kind: 'P', name };
  throw malformed(`invalid ${message} message subtype ${kind}`);
}

/** `maxRows` 0 = all. */
export function encodeExecute(portal: string, maxRows: number): Buffer {
  return new MessageWriter(frontend.execute, terminatedBytes(portal) + 4).text(portal).int32(maxRows).finish();
}

export function decodeExecute(frame: Buffer): { portal: string; maxRows: number } {
  const reader = new MessageReader(frame);
  const portal = reader.text();
  const maxRows = reader.int32();
  reader.end();
  return { portal, maxRows };
}

export function encodePassword(text: string): Buffer {
  return encodeText(frontend.password, text);
}

export function decodePassword(frame: Buffer): string {
  return decodeText(frame);
}

export function encodeSaslInitialResponse(mechanism: string, data: Buffer | null): Buffer {
  const bodyBytes = terminatedBytes(mechanism) + 4 + (data?.length ?? 0);
  return new MessageWriter(frontend.saslInitialResponse, bodyBytes).text(mechanism).value(data).finish();
}

export function decodeSaslInitialResponse(frame: Buffer): { mechanism: string; data: Buffer | null } {
  const reader = new MessageReader(frame);
  const mechanism = reader.text();
  const data = reader.value();
  reader.end();
  return { mechanism, data };
}

export function encodeSaslResponse(data: Buffer): Buffer {
  return new MessageWriter(frontend.saslResponse, data.length).bytes(data).finish();
}

export function decodeSaslResponse(frame: Buffer): Buffer {
  return new MessageReader(frame).rest();
}

export function encodeCopyFail(reason: string): Buffer {
  return encodeText(frontend.copyFail, reason);
}

export function decodeCopyFail(frame: Buffer): string {
  return decodeText(frame);
}

function encodeText(type: number, text: string): Buffer {
  return new MessageWriter(type, terminatedBytes(text)).text(text).finish();
}

function decodeText(frame: Buffer): string {
  const reader = new MessageReader(frame);
  const text = reader.text();
  reader.end();
  return text;
}
