import { assert } from '../core/assert.ts';
import { encodeCopyResponse } from './copy-messages.ts';
import { headerBytes, MessageReader, malformed } from './message-reader.ts';
import { backend } from './message-types.ts';
import { emptyMessage, MessageWriter, valuesBytes } from './message-writer.ts';
import { maxSecretBytes, minSecretBytes, protocol30 } from './startup-packet.ts';
import { terminatedBytes } from './utf8-text.ts';

export {
  type Authentication,
  authenticationCleartext,
  authenticationOk,
  decodeAuthentication,
  encodeAuthenticationSasl,
  encodeAuthenticationSaslContinue,
  encodeAuthenticationSaslFinal,
} from './authentication.ts';
export {
  copyDataBody,
  copyDoneMessage,
  decodeCopyResponse,
  encodeCopyData,
  encodeCopyDone,
} from './copy-messages.ts';
export { decodeErrorFields, encodeErrorResponse, encodeNoticeResponse } from './error-messages.ts';

/** Messages a server sends. Constants are shared by all that send them: never written into. */
export const parseComplete: Buffer = emptyMessage(backend.parseComplete);
export const bindComplete: Buffer = emptyMessage(backend.bindComplete);
export const closeComplete: Buffer = emptyMessage(backend.closeComplete);
export const noData: Buffer = emptyMessage(backend.noData);
export const emptyQueryResponse: Buffer = emptyMessage(backend.emptyQueryResponse);
export const portalSuspended: Buffer = emptyMessage(backend.portalSuspended);

/** I idle, T in a transaction, E in a failed one. */
export type TransactionStatus = 'I' | 'T' | 'E';

export interface FieldDescription {
  readonly name: string;
  /** 0 when the column is no table's. */
  readonly tableOid: number;
  /** Negative for system columns. */
  readonly columnNumber: number;
  readonly typeOid: number;
  /** Negative for types of variable width. */
  readonly typeSize: number;
  readonly typeModifier: number;
  /** 0 text, 1 binary. */
  readonly format: number;
}

export function encodeParameterStatus(name: string, value: string): Buffer {
  const bodyBytes = terminatedBytes(name) + terminatedBytes(value);
  return new MessageWriter(backend.parameterStatus, bodyBytes).text(name).text(value).finish();
}

export function decodeParameterStatus(frame: Buffer): { name: string; value: string } {
  const reader = new MessageReader(frame);
  const name = reader.serverText();
  const value = reader.serverText();
  reader.end();
  return { name, value };
}

/** `secret`: 4 bytes in protocol 3.0, up to 256 in 3.2. */
export function encodeBackendKeyData(processId: number, secret: Buffer): Buffer {
  assert(secret.length >= minSecretBytes && secret.length <= maxSecretBytes, 'a cancel secret has 4 to 256 bytes');
  return new MessageWriter(backend.backendKeyData, 4 + secret.length).int32(processId).bytes(secret).finish();
}

export function decodeBackendKeyData(frame: Buffer): { processId: number; secret: Buffer } {
  const reader = new MessageReader(frame);
  const processId = reader.int32();
  const secret = reader.rest();
  if (secret.length < minSecretBytes || secret.length > maxSecretBytes) {
    throw malformed(`invalid cancel key length: ${secret.length}`);
  }
  return { processId, secret };
}

export function encodeReadyForQuery(status: TransactionStatus): Buffer {
  return readyForQuery[status];
}

const readyForQuery: Readonly<Record<TransactionStatus, Buffer>> = {
  I: new MessageWriter(backend.readyForQuery, 1).uint8(0x49).finish(),
  T: new MessageWriter(backend.readyForQuery, 1).uint8(0x54).finish(),
  E: new MessageWriter(backend.readyForQuery, 1).uint8(0x45).finish(),
};

export function decodeReadyForQuery(frame: Buffer): TransactionStatus {
  const reader = new MessageReader(frame);
  const status = String.fromCharCode(reader.uint8());
  reader.end();
  if (status === 'I' || status === 'T' || status === 'E') return status;
  throw malformed(`invalid transaction status in ReadyForQuery: ${JSON.stringify(status)}`);
}

export function encodeRowDescription(fields: readonly FieldDescription[]): Buffer {
  let bodyBytes = 2;
  for (const field of fields) bodyBytes += terminatedBytes(field.name) + 18;
  const message = new MessageWriter(backend.rowDescription, bodyBytes).count(fields.length);
  for (const field of fields) {
    message.text(field.name).uint32(field.tableOid).int16(field.columnNumber);
    message.uint32(field.typeOid).int16(field.typeSize).int32(field.typeModifier).int16(field.format);
  }
  return message.finish();
}

export function decodeRowDescription(frame: Buffer): FieldDescription[] {
  const reader = new MessageReader(frame);
  const count = reader.uint16();
  const fields: FieldDescription[] = [];
  for (let i = 0; i < count; i++) fields.push(readField(reader));
  reader.end();
  return fields;
}

/** The properties stand in the order of the bytes: they are read as they are named. */
function readField(reader: MessageReader): FieldDescription {
  return {
    name: reader.serverText(),
    tableOid: reader.uint32(),
    columnNumber: reader.int16(),
    typeOid: reader.uint32(),
    typeSize: reader.int16(),
    typeModifier: reader.int32(),
    format: reader.int16(),
  };
}

export function encodeDataRow(values: readonly (Buffer | null)[]): Buffer {
  const message = new MessageWriter(backend.dataRow, 2 + valuesBytes(values)).count(values.length);
  for (const value of values) message.value(value);
  return message.finish();
}

/** The values are views into the frame. */
/** Of a RowDescription or a DataRow. */
export function fieldCountOf(frame: Buffer): number {
  return frame.readUInt16BE(headerBytes);
}

export function decodeDataRow(frame: Buffer): (Buffer | null)[] {
  const reader = new MessageReader(frame);
  const count = reader.uint16();
  const values: (Buffer | null)[] = [];
  for (let i = 0; i < count; i++) values.push(reader.value());
  reader.end();
  return values;
}

/**
 * A DataRow without its header, as a view: a count (Int16), then per value its length (Int32, -1 for null) and bytes. With
 * binary values that is also exactly a tuple of COPY's binary format.
 */
export function dataRowBody(frame: Buffer): Buffer {
  return frame.subarray(headerBytes);
}

export function encodeCommandComplete(tag: string): Buffer {
  return new MessageWriter(backend.commandComplete, terminatedBytes(tag)).text(tag).finish();
}

export function decodeCommandComplete(frame: Buffer): string {
  const reader = new MessageReader(frame);
  const tag = reader.serverText();
  reader.end();
  return tag;
}

export function encodeParameterDescription(oids: readonly number[]): Buffer {
  const message = new MessageWriter(backend.parameterDescription, 2 + 4 * oids.length).count(oids.length);
  for (const oid of oids) message.uint32(oid);
  return message.finish();
}

export function decodeParameterDescription(frame: Buffer): number[] {
  const reader = new MessageReader(frame);
  const oids = reader.list((each) => each.uint32());
  reader.end();
  return oids;
}

export function encodeNotificationResponse(processId: number, channel: string, payload: string): Buffer {
  const bodyBytes = 4 + terminatedBytes(channel) + terminatedBytes(payload);
  const message = new MessageWriter(backend.notificationResponse, bodyBytes);
  return message.int32(processId).text(channel).text(payload).finish();
}

export function decodeNotification(frame: Buffer): { processId: number; channel: string; payload: string } {
  const reader = new MessageReader(frame);
  const processId = reader.int32();
  const channel = reader.serverText();
  const payload = reader.serverText();
  reader.end();
  return { processId, channel, payload };
}

export function encodeCopyInResponse(format: 0 | 1, columnFormats: readonly number[]): Buffer {
  return encodeCopyResponse(backend.copyInResponse, format, columnFormats);
}

export function encodeCopyOutResponse(format: 0 | 1, columnFormats: readonly number[]): Buffer {
  return encodeCopyResponse(backend.copyOutResponse, format, columnFormats);
}

/**
 * Answers a startup packet that asked for a newer minor or for `_pq_.` options that are unknown here. The manual says that
 * the minor is sent, PostgreSQL sends (and libpq expects) the whole version: 3 << 16 | minor.
 */
export function encodeNegotiateProtocolVersion(newestMinor: number, unrecognizedOptions: readonly string[]): Buffer {
  let bodyBytes = 8;
  for (const option of unrecognizedOptions) bodyBytes += terminatedBytes(option);
  const message = new MessageWriter(backend.negotiateProtocolVersion, bodyBytes);
  message.int32(protocol30 | newestMinor).int32(unrecognizedOptions.length);
  for (const option of unrecognizedOptions) message.text(option);
  return message.finish();
}
