import type { ErrorFields } from '../core/errors.ts';
import { conditions } from '../core/sqlstate.ts';
import { MessageReader } from './message-reader.ts';
import { backend } from './message-types.ts';
import { MessageWriter } from './message-writer.ts';
import { terminatedBytes } from './utf8-text.ts';

/**
 * Field byte → name, in the order PostgreSQL sends them (manual: protocol-error-fields). Severity goes out twice: S may be
 * translated, V never is; ErrorFields holds V.
 */
const fieldNames: ReadonlyMap<string, keyof ErrorFields> = new Map<string, keyof ErrorFields>([
  ['S', 'severity'],
  ['V', 'severity'],
  ['C', 'code'],
  ['M', 'message'],
  ['D', 'detail'],
  ['H', 'hint'],
  ['W', 'where'],
  ['s', 'schema'],
  ['t', 'table'],
  ['c', 'column'],
  ['d', 'dataType'],
  ['n', 'constraint'],
  ['P', 'position'],
  ['p', 'internalPosition'],
  ['q', 'internalQuery'],
  ['F', 'file'],
  ['L', 'line'],
  ['R', 'routine'],
]);

export function encodeErrorResponse(fields: ErrorFields): Buffer {
  return encodeFields(backend.errorResponse, fields);
}

export function encodeNoticeResponse(fields: ErrorFields): Buffer {
  return encodeFields(backend.noticeResponse, fields);
}

function encodeFields(type: number, fields: ErrorFields): Buffer {
  const present: [number, string][] = [];
  let bodyBytes = 1;
  for (const [letter, name] of fieldNames) {
    // Telling of an error must not fail: a NUL that got into its text is shown instead of refused.
    const text = fields[name]?.replaceAll('\0', '\ufffd');
    if (text === undefined) continue;
    present.push([letter.charCodeAt(0), text]);
    bodyBytes += 1 + terminatedBytes(text);
  }
  const message = new MessageWriter(type, bodyBytes);
  for (const [letter, text] of present) message.uint8(letter).text(text);
  return message.uint8(0).finish();
}

/** Fields of an ErrorResponse or NoticeResponse. Unknown ones are skipped, as the manual asks. */
export function decodeErrorFields(frame: Buffer): ErrorFields {
  const reader = new MessageReader(frame);
  const found: { -readonly [K in keyof ErrorFields]?: string } = {};
  for (let letter = reader.uint8(); letter !== 0; letter = reader.uint8()) {
    const text = reader.serverText();
    const name = fieldNames.get(String.fromCharCode(letter));
    // V, which comes after S, wins; a server or pooler without V leaves S.
    if (name !== undefined) found[name] = text;
  }
  reader.end();
  const { severity = 'ERROR', code = conditions.internalError, message = '', ...rest } = found;
  return { severity, code, message, ...rest };
}
