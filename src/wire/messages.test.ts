import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { type ErrorFields, PgError } from '../core/errors.ts';
import * as server from './backend.ts';
import * as client from './frontend.ts';
import { backend, frontend } from './message-types.ts';

const text = fc.string({ unit: 'grapheme' }).map((each) => each.replaceAll('\0', ''));
const name = text.filter((each) => each !== '');
const bytes = fc.uint8Array({ maxLength: 30 }).map((each) => Buffer.from(each));
const value = fc.option(bytes, { nil: null });
const oid = fc.integer({ min: 0, max: 0xffffffff });
const int16 = fc.integer({ min: -0x8000, max: 0x7fff });
const int32 = fc.integer({ min: -0x80000000, max: 0x7fffffff });
const format = fc.constantFrom<0 | 1>(0, 1);
const kind = fc.constantFrom<'S' | 'P'>('S', 'P');
const secret = fc.uint8Array({ minLength: 4, maxLength: 256 }).map((each) => Buffer.from(each));

const bind: fc.Arbitrary<client.BindMessage> = fc
  .record({ portal: text, statement: text, parameters: fc.array(value), resultFormats: fc.array(format) })
  .chain((rest) => {
    const count = rest.parameters.length;
    const each: fc.Arbitrary<number[]> = fc.array(format, { minLength: count, maxLength: count });
    return fc.record({
      portal: fc.constant(rest.portal),
      statement: fc.constant(rest.statement),
      parameterFormats: fc.oneof(
        fc.constant<number[]>([]),
        format.map((one) => [one as number]),
        each,
      ),
      parameters: fc.constant(rest.parameters),
      resultFormats: fc.constant(rest.resultFormats),
    });
  });

const field = fc.record({
  name: text,
  tableOid: oid,
  columnNumber: int16,
  typeOid: oid,
  typeSize: int16,
  typeModifier: int32,
  format,
});

const errorFields: fc.Arbitrary<ErrorFields> = fc.record(
  {
    severity: fc.constantFrom('ERROR', 'FATAL', 'NOTICE'),
    code: fc.constantFrom('42P01', 'XX000'),
    message: text,
    detail: text,
    hint: text,
    position: text,
    internalPosition: text,
    internalQuery: text,
    where: text,
    schema: text,
    table: text,
    column: text,
    dataType: text,
    constraint: text,
    file: text,
    line: text,
    routine: text,
  },
  { requiredKeys: ['severity', 'code', 'message'], noNullPrototype: true },
);

interface RoundTrip {
  readonly what: string;
  readonly type: number;
  readonly values: fc.Arbitrary<unknown>;
  encode(value: never): Buffer;
  decode(frame: Buffer): unknown;
  /** Its body is free bytes, so cutting or lengthening it is no error. */
  readonly open?: true;
}

const roundTrips: readonly RoundTrip[] = [
  { what: 'Query', type: frontend.query, values: text, encode: client.encodeQuery, decode: client.decodeQuery },
  {
    what: 'Parse',
    type: frontend.parse,
    values: fc.record({ name: text, sql: text, parameterOids: fc.array(oid) }),
    encode: (each: client.ParseMessage) => client.encodeParse(each.name, each.sql, each.parameterOids),
    decode: client.decodeParse,
  },
  { what: 'Bind', type: frontend.bind, values: bind, encode: client.encodeBind, decode: client.decodeBind },
  {
    what: 'Describe',
    type: frontend.describe,
    values: fc.record({ kind, name: text }),
    encode: (each: { kind: 'S' | 'P'; name: string }) => client.encodeDescribe(each.kind, each.name),
    decode: client.decodeDescribe,
  },
  {
    what: 'Close',
    type: frontend.close,
    values: fc.record({ kind, name: text }),
    encode: (each: { kind: 'S' | 'P'; name: string }) => client.encodeClose(each.kind, each.name),
    decode: client.decodeClose,
  },
  {
    what: 'Execute',
    type: frontend.execute,
    values: fc.record({ portal: text, maxRows: int32 }),
    encode: (each: { portal: string; maxRows: number }) => client.encodeExecute(each.portal, each.maxRows),
    decode: client.decodeExecute,
  },
  {
    what: 'PasswordMessage',
    type: frontend.password,
    values: text,
    encode: client.encodePassword,
    decode: client.decodePassword,
  },
  {
    what: 'SASLInitialResponse',
    type: frontend.saslInitialResponse,
    values: fc.record({ mechanism: text, data: value }),
    encode: (each: { mechanism: string; data: Buffer | null }) =>
      client.encodeSaslInitialResponse(each.mechanism, each.data),
    decode: client.decodeSaslInitialResponse,
  },
  {
    what: 'SASLResponse',
    type: frontend.saslResponse,
    values: bytes,
    encode: client.encodeSaslResponse,
    decode: client.decodeSaslResponse,
    open: true,
  },
  {
    what: 'CopyData',
    type: frontend.copyData,
    values: bytes,
    encode: client.encodeCopyData,
    decode: client.copyDataBody,
    open: true,
  },
  {
    what: 'CopyFail',
    type: frontend.copyFail,
    values: text,
    encode: client.encodeCopyFail,
    decode: client.decodeCopyFail,
  },
  {
    what: 'ParameterStatus',
    type: backend.parameterStatus,
    values: fc.record({ name: text, value: text }),
    encode: (each: { name: string; value: string }) => server.encodeParameterStatus(each.name, each.value),
    decode: server.decodeParameterStatus,
  },
  {
    what: 'BackendKeyData',
    type: backend.backendKeyData,
    values: fc.record({ processId: int32, secret }),
    encode: (each: { processId: number; secret: Buffer }) => server.encodeBackendKeyData(each.processId, each.secret),
    decode: server.decodeBackendKeyData,
    open: true,
  },
  {
    what: 'ReadyForQuery',
    type: backend.readyForQuery,
    values: fc.constantFrom('I', 'T', 'E'),
    encode: server.encodeReadyForQuery,
    decode: server.decodeReadyForQuery,
  },
  {
    what: 'RowDescription',
    type: backend.rowDescription,
    values: fc.array(field),
    encode: server.encodeRowDescription,
    decode: server.decodeRowDescription,
  },
  {
    what: 'DataRow',
    type: backend.dataRow,
    values: fc.array(value),
    encode: server.encodeDataRow,
    decode: server.decodeDataRow,
  },
  {
    what: 'CommandComplete',
    type: backend.commandComplete,
    values: text,
    encode: server.encodeCommandComplete,
    decode: server.decodeCommandComplete,
  },
  {
    what: 'ErrorResponse',
    type: backend.errorResponse,
    values: errorFields,
    encode: server.encodeErrorResponse,
    decode: server.decodeErrorFields,
  },
  {
    what: 'NoticeResponse',
    type: backend.noticeResponse,
    values: errorFields,
    encode: server.encodeNoticeResponse,
    decode: server.decodeErrorFields,
  },
  {
    what: 'ParameterDescription',
    type: backend.parameterDescription,
    values: fc.array(oid),
    encode: server.encodeParameterDescription,
    decode: server.decodeParameterDescription,
  },
  {
    what: 'NotificationResponse',
    type: backend.notificationResponse,
    values: fc.record({ processId: int32, channel: text, payload: text }),
    encode: (each: { processId: number; channel: string; payload: string }) =>
      server.encodeNotificationResponse(each.processId, each.channel, each.payload),
    decode: server.decodeNotification,
  },
  {
    what: 'CopyInResponse',
    type: backend.copyInResponse,
    values: fc.record({ format, columnFormats: fc.array(format) }),
    encode: (each: { format: 0 | 1; columnFormats: number[] }) =>
      server.encodeCopyInResponse(each.format, each.columnFormats),
    decode: server.decodeCopyResponse,
  },
  {
    what: 'AuthenticationSASL',
    type: backend.authentication,
    values: fc.record({ kind: fc.constant('sasl'), mechanisms: fc.array(name, { minLength: 1 }) }),
    encode: (each: { mechanisms: string[] }) => server.encodeAuthenticationSasl(each.mechanisms),
    decode: server.decodeAuthentication,
  },
  {
    what: 'AuthenticationSASLContinue',
    type: backend.authentication,
    values: fc.record({ kind: fc.constant('saslContinue'), data: bytes }),
    encode: (each: { data: Buffer }) => server.encodeAuthenticationSaslContinue(each.data),
    decode: server.decodeAuthentication,
    open: true,
  },
  {
    what: 'AuthenticationSASLFinal',
    type: backend.authentication,
    values: fc.record({ kind: fc.constant('saslFinal'), data: bytes }),
    encode: (each: { data: Buffer }) => server.encodeAuthenticationSaslFinal(each.data),
    decode: server.decodeAuthentication,
    open: true,
  },
];

describe.each(roundTrips)('$what', ({ type, values, encode, decode, open }) => {
  test('decodes to what was encoded, under its own type byte', () => {
    fc.assert(
      fc.property(values, (each) => {
        const frame = encode(each as never);
        expect(frame[0]).toBe(type);
        expect(frame.readUInt32BE(1)).toBe(frame.length - 1);
        expect(decode(frame)).toEqual(each);
      }),
    );
  });

  test.skipIf(open)('is a protocol violation when its body is cut short or too long', () => {
    fc.assert(
      fc.property(values, fc.nat(), (each, at) => {
        const frame = encode(each as never);
        expect(codeOf(() => decode(resize(frame, 5 + (at % (frame.length - 5)))))).toBe('08P01');
        expect(codeOf(() => decode(resize(frame, frame.length + 1)))).toBe('08P01');
      }),
    );
  });

  test('no bytes whatever make its decoder fail with anything but an SQLSTATE', () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 60 }), (body) => {
        const frame = resize(Buffer.concat([Buffer.from([type, 0, 0, 0, 0]), body]), 5 + body.length);
        expect(codeOf(() => decode(frame))).toMatch(/^(08P01|22021|22023|nothing thrown)$/);
      }),
    );
  });
});

test('messages without a body are their byte and the length 4', () => {
  const constants = {
    S: client.syncMessage,
    H: client.flushMessage,
    X: client.terminateMessage,
    c: client.copyDoneMessage,
    1: server.parseComplete,
    2: server.bindComplete,
    3: server.closeComplete,
    n: server.noData,
    I: server.emptyQueryResponse,
    s: server.portalSuspended,
  };
  for (const [letter, message] of Object.entries(constants)) {
    expect(message).toEqual(Buffer.from(`${letter}\0\0\0\x04`));
  }
});

test('a frame whose length word does not fit its bytes is a protocol violation', () => {
  const frame = client.encodeQuery('select 1');
  expect(codeOf(() => client.decodeQuery(frame.subarray(0, -1)))).toBe('08P01');
  expect(codeOf(() => client.decodeQuery(Buffer.from([0x51])))).toBe('08P01');
});

test('a query is encoded byte for byte as the manual lays it out', () => {
  expect(client.encodeQuery('ä')).toEqual(Buffer.from([0x51, 0, 0, 0, 7, 0xc3, 0xa4, 0]));
});

test.each([
  [[0xff], '0xff'],
  [[0x61, 0xc3, 0x28], '0xc3 0x28'],
  [[0xe2, 0x82], '0xe2 0x82'],
  [[0xed, 0xa0, 0x80], '0xed 0xa0 0x80'],
])('SQL with the bytes %j is refused as PostgreSQL refuses it', (sql, named) => {
  const frame = resize(Buffer.from([0x51, 0, 0, 0, 0, ...sql, 0]), 6 + sql.length);
  expect(() => client.decodeQuery(frame)).toThrow(`invalid byte sequence for encoding "UTF8": ${named}`);
  expect(codeOf(() => client.decodeQuery(frame))).toBe('22021');
});

test('a replacement character that the client wrote itself is let through', () => {
  expect(client.decodeQuery(client.encodeQuery("select '\ufffd'"))).toBe("select '\ufffd'");
});

test('a NUL in a text is refused by the encoder, but never keeps an error from being told', () => {
  expect(codeOf(() => client.encodeParse('a\0b', '', []))).toBe('22021');
  const frame = server.encodeErrorResponse({ severity: 'ERROR', code: '42601', message: 'at "\0"' });
  expect(server.decodeErrorFields(frame).message).toBe('at "\ufffd"');
});

test('a Bind with several formats that are not as many as its parameters is a protocol violation', () => {
  const parameters = [null, null, null];
  const frame = client.encodeBind({
    portal: '',
    statement: '',
    parameterFormats: [0, 1],
    parameters,
    resultFormats: [],
  });
  expect(() => client.decodeBind(frame)).toThrow('bind message has 2 parameter formats but 3 parameters');
});

test('a format code that is neither text nor binary is refused', () => {
  const frame = client.encodeBind({
    portal: '',
    statement: '',
    parameterFormats: [],
    parameters: [],
    resultFormats: [2],
  });
  expect(codeOf(() => client.decodeBind(frame))).toBe('22023');
});

test('65,535 parameters pass, one more is refused by the encoder', () => {
  const message = (count: number) => ({
    portal: '',
    statement: '',
    parameterFormats: [],
    parameters: new Array<null>(count).fill(null),
    resultFormats: [],
  });
  expect(client.decodeBind(client.encodeBind(message(65_535))).parameters).toHaveLength(65_535);
  expect(codeOf(() => client.encodeBind(message(65_536)))).toBe('54000');
});

test('values of a DataRow and the body of CopyData are views, not copies', () => {
  const row = server.encodeDataRow([Buffer.from('one'), null]);
  expect(server.decodeDataRow(row)[0]!.buffer).toBe(row.buffer);
  expect(server.dataRowBody(row)).toEqual(row.subarray(5));
  const data = client.encodeCopyData(Buffer.from('x'));
  expect(client.copyDataBody(data).buffer).toBe(data.buffer);
});

test('the untranslated severity wins over the translated one', () => {
  const body = Buffer.from('SFEHLER\0VERROR\0C42601\0Mnein\0Zunknown\0\0');
  const frame = resize(Buffer.concat([Buffer.from([0x45, 0, 0, 0, 0]), body]), 5 + body.length);
  expect(server.decodeErrorFields(frame)).toEqual({ severity: 'ERROR', code: '42601', message: 'nein' });
});

test('authentication requests without data are told apart', () => {
  const request = (code: number, ...data: number[]) =>
    resize(Buffer.from([0x52, 0, 0, 0, 0, 0, 0, 0, code, ...data]), 9 + data.length);
  expect(server.decodeAuthentication(server.authenticationOk)).toEqual({ kind: 'ok' });
  expect(server.decodeAuthentication(request(3))).toEqual({ kind: 'cleartext' });
  expect(server.decodeAuthentication(request(5, 1, 2, 3, 4))).toEqual({ kind: 'md5', salt: Buffer.from([1, 2, 3, 4]) });
  expect(server.decodeAuthentication(request(7))).toEqual({ kind: 'unsupported', code: 7 });
  expect(codeOf(() => server.decodeAuthentication(request(5, 1, 2)))).toBe('08P01');
});

test('negotiating a version sends the whole version, as PostgreSQL does', () => {
  const body = Buffer.from([0, 3, 0, 2, 0, 0, 0, 1, ...Buffer.from('_pq_.x\0')]);
  expect(server.encodeNegotiateProtocolVersion(2, ['_pq_.x']).subarray(5)).toEqual(body);
});

/** The frame with its body cut or filled up with zeros, and its length word made to fit. */
function resize(frame: Buffer, length: number): Buffer {
  const resized = Buffer.alloc(length);
  frame.copy(resized);
  resized.writeUInt32BE(length - 1, 1);
  return resized;
}

function codeOf(run: () => unknown): string {
  try {
    run();
  } catch (error) {
    if (error instanceof PgError) return error.code;
    throw error;
  }
  return 'nothing thrown';
}
