import { pgError } from '../core/errors.ts';
import { limits } from '../core/limits.ts';
import { malformed } from './message-reader.ts';
import { decodeUtf8 } from './utf8-text.ts';

/** What opens a connection: the only messages without a type byte (manual: protocol-flow, Start-up). */
export type StartupPacket =
  /** `protocol` is major * 65536 + minor; the major is 3, any minor is let through for the session to negotiate. */
  | { readonly kind: 'startup'; readonly protocol: number; readonly parameters: Map<string, string> }
  | { readonly kind: 'ssl' }
  | { readonly kind: 'gss' }
  /** 4 to 256 bytes of secret: protocol 3.2 made it longer than 4. */
  | { readonly kind: 'cancel'; readonly processId: number; readonly secret: Buffer };

export const protocol30 = 0x30000;

/** Requests that stand where the protocol's version would: major 1234. */
export const requestCodes = { cancel: 80877102, ssl: 80877103, gss: 80877104 } as const;

export const minSecretBytes = 4;
export const maxSecretBytes = 256;

/**
 * Reads the packet at the start of `buffer`; `bytes` says how many it took. Its length is refused as soon as the length word
 * is there, so a peer that speaks something else (HTTP, say) is never waited for.
 */
export function readStartupPacket(
  buffer: Buffer,
): { kind: 'incomplete' } | { kind: 'complete'; packet: StartupPacket; bytes: number } {
  if (buffer.length < 4) return { kind: 'incomplete' };
  const bytes = buffer.readUInt32BE(0);
  if (bytes < 8 || bytes > limits.maxStartupBytes) throw malformed('invalid length of startup packet');
  if (buffer.length < bytes) return { kind: 'incomplete' };
  return { kind: 'complete', packet: decodeStartup(buffer.subarray(0, bytes)), bytes };
}

function decodeStartup(packet: Buffer): StartupPacket {
  const code = packet.readUInt32BE(4);
  switch (code) {
    case requestCodes.ssl:
      return requireBare(packet, { kind: 'ssl' });
    case requestCodes.gss:
      return requireBare(packet, { kind: 'gss' });
    case requestCodes.cancel:
      return decodeCancel(packet);
  }
  // Another major lays its parameters out in another way, so nothing after its number can be read.
  if (code >>> 16 !== 3) {
    const asked = `${code >>> 16}.${code & 0xffff}`;
    const message = `unsupported frontend protocol ${asked}: server supports 3.0 to 3.2`;
    throw pgError('featureNotSupported', message, { severity: 'FATAL' });
  }
  return { kind: 'startup', protocol: code, parameters: decodeParameters(packet) };
}

function requireBare(packet: Buffer, request: StartupPacket): StartupPacket {
  if (packet.length !== 8) throw malformed('invalid length of startup packet');
  return request;
}

function decodeCancel(packet: Buffer): StartupPacket {
  const secretBytes = packet.length - 12;
  if (secretBytes < minSecretBytes || secretBytes > maxSecretBytes) {
    throw malformed('invalid length of cancel request packet');
  }
  return { kind: 'cancel', processId: packet.readInt32BE(8), secret: packet.subarray(12) };
}

/** Name, value, name, value, …, and an empty name as the very last byte. */
function decodeParameters(packet: Buffer): Map<string, string> {
  const parameters = new Map<string, string>();
  let offset = 8;
  while (packet[offset] !== 0) {
    const nameEnd = endOfText(packet, offset);
    const valueEnd = endOfText(packet, nameEnd + 1);
    parameters.set(decodeUtf8(packet, offset, nameEnd), decodeUtf8(packet, nameEnd + 1, valueEnd));
    offset = valueEnd + 1;
  }
  if (offset !== packet.length - 1) throw malformed(noTerminator);
  return parameters;
}

function endOfText(packet: Buffer, start: number): number {
  const end = packet.indexOf(0, start);
  if (end === -1) throw malformed(noTerminator);
  return end;
}

const noTerminator = 'invalid startup packet layout: expected terminator as last byte';
