import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { PgError } from '../core/errors.ts';
import {
  binaryField,
  CopyBinaryRows,
  copyBinaryHeader,
  copyBinaryTrailer,
  countBinaryFields,
  encodeBinaryRow,
} from './copy-binary.ts';
import { CopyCsvRows, copyCsvDefaults, countCsvFields, csvField, encodeCsvRow } from './copy-csv.ts';
import {
  type CopyRowHandler,
  CopyTextRows,
  copyTextDefaults,
  countTextFields,
  decodeTextField,
  encodeTextRow,
  textField,
} from './copy-text.ts';

interface Rows {
  push(chunk: Buffer, onRow: CopyRowHandler): void;
  finish(onRow: CopyRowHandler): void;
}

const maxRowBytes = 1000;
const tab = 0x09;
const text = () => new CopyTextRows({ maxRowBytes });
const csv = () => new CopyCsvRows({ ...copyCsvDefaults, maxRowBytes });
const csvEscaped = () => new CopyCsvRows({ ...copyCsvDefaults, escape: 0x5c, maxRowBytes });
const binary = () => new CopyBinaryRows({ maxRowBytes });

/** What a copy of these chunks gives: "line:row" in latin1, and at the end the error if there is one. */
function split(rows: Rows, ...chunks: (string | Buffer)[]): string[] {
  const seen: string[] = [];
  const onRow: CopyRowHandler = (row, lineNumber) => seen.push(`${lineNumber}:${row.toString('latin1')}`);
  try {
    for (const chunk of chunks) rows.push(typeof chunk === 'string' ? Buffer.from(chunk, 'latin1') : chunk, onRow);
    rows.finish(onRow);
  } catch (error) {
    if (!(error instanceof PgError)) throw error;
    seen.push(`${error.code} ${error.message}`);
  }
  return seen;
}

function cut(bytes: Buffer, cutPoints: readonly number[]): Buffer[] {
  const points = [...new Set([0, ...cutPoints.map((point) => point % (bytes.length + 1)), bytes.length])];
  points.sort((a, b) => a - b);
  return points.slice(1).map((end, i) => bytes.subarray(points[i], end));
}

const nastyBytes = fc
  .array(fc.constantFrom(...'\\\\.."",\n\r\tabN07x'), { maxLength: 40 })
  .map((parts) => Buffer.from(parts.join(''), 'latin1'));
const values = fc.array(fc.option(nastyBytes, { nil: null }), { minLength: 1, maxLength: 5 });
const cuts = fc.array(fc.nat(), { maxLength: 10 });

describe.each([
  ['text', text],
  ['CSV', csv],
  ['CSV with an escape of its own', csvEscaped],
])('%s', (_what, create) => {
  test('rows, line numbers and errors do not depend on where the chunks end', () => {
    fc.assert(
      fc.property(nastyBytes, cuts, (data, points) => {
        const whole = split(create(), data);
        expect(split(create(), ...cut(data, points))).toEqual(whole);
        expect(split(create(), ...cut(data, [...data.keys()]))).toEqual(whole);
      }),
      { numRuns: 1000 },
    );
  });

  test.each(['\n', '\r', '\r\n'])('rows end at %j, and the last one may do without', (end) => {
    expect(split(create(), `a${end}${end}b`)).toEqual(['1:a', '2:', '3:b']);
    expect(split(create(), `a${end}b${end}`)).toEqual(['1:a', '2:b']);
  });

  test('a row longer than the bound is refused before it is complete', () => {
    const refused = `54000 COPY row is longer than ${maxRowBytes} bytes`;
    expect(split(create(), 'x'.repeat(maxRowBytes))).toEqual([`1:${'x'.repeat(maxRowBytes)}`]);
    expect(split(create(), 'x'.repeat(maxRowBytes), 'y')).toEqual([refused]);
    expect(split(create(), `${'x'.repeat(maxRowBytes + 1)}\n`)).toEqual([refused]);
  });
});

test('a row that lies wholly in a chunk is a view of it', () => {
  const chunk = Buffer.from('one\ntwo\n');
  const rows: Buffer[] = [];
  text().push(chunk, (row) => rows.push(row));
  expect(rows.map((row) => row.buffer === chunk.buffer && row.byteOffset - chunk.byteOffset)).toEqual([0, 4]);
});

describe('text', () => {
  test.each([
    [['a\\\nb\n'], ['1:a\\\nb']],
    [['a\n\\.\nignored\n'], ['1:a']],
    [['a\n\\.', '\n', 'ignored'], ['1:a']],
    [['a\r\n\\.\r\nignored'], ['1:a']],
    [['\\\\.\n'], ['1:\\\\.']],
    [['a\n\\.'], ['1:a', '22P04 end-of-copy marker is not alone on its line']],
    [['a\\.\n'], ['22P04 end-of-copy marker is not alone on its line']],
    [['a\n\\.b\n'], ['1:a', '22P04 end-of-copy marker is not alone on its line']],
    [['a\r\n\\.\n'], ['1:a', '22P04 end-of-copy marker does not match previous newline style']],
    [['a\n\\.\r'], ['1:a', '22P04 end-of-copy marker does not match previous newline style']],
    [['a\nb\rc\n'], ['1:a', '22P04 literal carriage return found in data']],
    [['a\r\nb\rc'], ['1:a', '22P04 literal carriage return found in data']],
    [['a\rb\nc'], ['1:a', '22P04 literal newline found in data']],
    [['a\\'], ['1:a\\']],
  ])('%j is cut into %j', (chunks, expected) => {
    expect(split(text(), ...chunks)).toEqual(expected);
  });

  test('what encodeTextRow writes is cut and decoded to the same values', () => {
    for (const options of [copyTextDefaults, { delimiter: 0x2c, null: Buffer.from('NULL') }]) {
      fc.assert(
        fc.property(fc.array(values, { maxLength: 5 }), cuts, (rows, points) => {
          const data = Buffer.concat(rows.map((row) => encodeTextRow(row, options)));
          const seen: (Buffer | null)[][] = [];
          const splitter = text();
          for (const chunk of cut(data, points)) splitter.push(chunk, (row) => seen.push(readText(row, options)));
          splitter.finish(() => expect.unreachable());
          expect(seen).toEqual(rows);
        }),
      );
    }
  });

  test.each([
    ['\\b\\f\\n\\r\\t\\v', '\b\f\n\r\t\v'],
    ['\\101\\60x\\1018', 'A0xA8'],
    ['\\777', '\xff'],
    ['\\x41\\x4g\\xg\\x414', 'A\x04gxgA4'],
    ['\\\\\\q\\.\\N.', '\\q.N.'],
    ['a\\', 'a'],
    ['N', 'N'],
  ])('the field %j stands for %j', (raw, value) => {
    const row = Buffer.from(raw, 'latin1');
    expect(decodeTextField(row, 0, row.length, copyTextDefaults.null)?.toString('latin1')).toBe(value);
  });

  test('the null string is compared as written, and a missing field is no NULL', () => {
    expect(readText(Buffer.from('\\N\\'), copyTextDefaults)).toEqual([null]);
    const row = Buffer.from('a\t\\N\t\t\\\\N');
    expect(readText(row, copyTextDefaults)).toEqual([Buffer.from('a'), null, Buffer.alloc(0), Buffer.from('\\N')]);
    expect(() => textField(row, 4, tab)).toThrow('missing data for column 5');
    expect(countTextFields(Buffer.alloc(0), tab)).toBe(1);
  });
});

describe('CSV', () => {
  test.each([
    [['a,"b\nc",d\ne\n'], ['1:a,"b\nc",d', '2:e']],
    // The first line's end is not known inside of the first row, so only from the second on are its lines counted.
    [['h\n"b\nc\n"\ne\n'], ['1:h', '4:"b\nc\n"', '5:e']],
    [['"a""b\n"\nc'], ['1:"a""b\n"', '2:c']],
    [['a\n\\.\nb\n'], ['1:a', '2:\\.', '3:b']],
    [['"a\nb'], ['22P04 unterminated CSV quoted field']],
    [['a\nb\rc\n'], ['1:a', '22P04 unquoted carriage return found in data']],
    [['a\r\nb\nc'], ['1:a', '22P04 unquoted newline found in data']],
    [['a\n"b\r"\n'], ['1:a', '2:"b\r"']],
  ])('%j is cut into %j', (chunks, expected) => {
    expect(split(csv(), ...chunks)).toEqual(expected);
  });

  test('an escape of its own keeps a quote from closing', () => {
    expect(split(csvEscaped(), '"a\\"\nb\\\\"\nc\n')).toEqual(['1:"a\\"\nb\\\\"', '2:c']);
  });

  test('what encodeCsvRow writes is cut and decoded to the same values', () => {
    const all = [
      copyCsvDefaults,
      { ...copyCsvDefaults, escape: 0x5c },
      { delimiter: tab, null: Buffer.from('N'), quote: 0x61, escape: 0x2e },
    ];
    for (const options of all) {
      fc.assert(
        fc.property(fc.array(values, { maxLength: 5 }), cuts, (rows, points) => {
          const data = Buffer.concat(rows.map((row) => encodeCsvRow(row, options)));
          const seen: (Buffer | null)[][] = [];
          const splitter = new CopyCsvRows({ ...options, maxRowBytes });
          const onRow: CopyRowHandler = (row) => {
            seen.push(Array.from({ length: countCsvFields(row, options) }, (_, i) => csvField(row, i, options)));
          };
          for (const chunk of cut(data, points)) splitter.push(chunk, onRow);
          splitter.finish(onRow);
          expect(seen).toEqual(rows);
        }),
      );
    }
  });

  test('quoting may start inside of a field, and only an unquoted null string is NULL', () => {
    const row = Buffer.from('a"b,c"d,,"",x');
    const fields = Array.from({ length: 4 }, (_, i) => csvField(row, i, copyCsvDefaults)?.toString());
    expect(fields).toEqual(['ab,cd', undefined, '', 'x']);
    expect(() => csvField(row, 4, copyCsvDefaults)).toThrow('missing data for column 5');
    expect(() => csvField(Buffer.from('"a'), 0, copyCsvDefaults)).toThrow('unterminated CSV quoted field');
  });

  test('only what must be quoted is quoted', () => {
    const row = [Buffer.from('a b'), Buffer.from('c,d'), null, Buffer.alloc(0), Buffer.from('\\.')];
    expect(encodeCsvRow(row, copyCsvDefaults).toString()).toBe('a b,"c,d",,"",\\.\n');
    expect(encodeCsvRow([Buffer.from('\\.')], copyCsvDefaults).toString()).toBe('"\\."\n');
  });
});

describe('binary', () => {
  const extended = Buffer.concat([copyBinaryHeader.subarray(0, 15), Buffer.from([0, 0, 0, 3, 9, 9, 9])]);

  test('tuples come out whole wherever the chunks end, with or without extension and trailer', () => {
    const header = fc.constantFrom(copyBinaryHeader, extended);
    const trailer = fc.constantFrom(copyBinaryTrailer, Buffer.alloc(0));
    const anyRow = fc.array(fc.option(nastyBytes, { nil: null }), { maxLength: 5 });
    fc.assert(
      fc.property(header, fc.array(anyRow), trailer, cuts, (first, rows, last, points) => {
        const data = Buffer.concat([first, ...rows.map(encodeBinaryRow), last]);
        const seen: (Buffer | null)[][] = [];
        const splitter = binary();
        const onRow: CopyRowHandler = (tuple, lineNumber) => {
          seen.push(Array.from({ length: countBinaryFields(tuple) }, (_, i) => binaryField(tuple, i)));
          expect(lineNumber).toBe(seen.length);
        };
        for (const chunk of cut(data, points)) splitter.push(chunk, onRow);
        splitter.finish(onRow);
        expect(seen).toEqual(rows);
        expect(splitter.ended).toBe(last.length > 0);
      }),
    );
  });

  const bytes = (...parts: (Buffer | number[])[]) => Buffer.concat(parts.map((part) => Buffer.from(part)));
  test.each([
    ['nothing', bytes(), 'COPY file signature not recognized'],
    ['text', bytes(Buffer.from('some,data,that,is,not,binary')), 'COPY file signature not recognized'],
    ['no flags', copyBinaryHeader.subarray(0, 13), 'invalid COPY file header (missing flags)'],
    ['no extension length', copyBinaryHeader.subarray(0, 17), 'invalid COPY file header (missing length)'],
    ['half an extension', extended.subarray(0, -1), 'invalid COPY file header (wrong length)'],
    ['OIDs', headerWith([0, 1, 0, 0]), 'invalid COPY file header (WITH OIDS)'],
    ['unknown critical flags', headerWith([0x80, 0, 0, 0]), 'unrecognized critical flags in COPY file header'],
    ['a negative extension', headerWith([0, 0, 0, 0, 255, 0, 0, 0]), 'invalid COPY file header (missing length)'],
    ['a negative count', bytes(copyBinaryHeader, [255, 254]), 'row field count is -2'],
    ['a negative size', bytes(copyBinaryHeader, [0, 1, 255, 255, 255, 254]), 'invalid field size'],
    ['half a count', bytes(copyBinaryHeader, [0]), 'unexpected EOF in COPY data'],
    ['half a field', bytes(copyBinaryHeader, [0, 1, 0, 0, 0, 2, 65]), 'unexpected EOF in COPY data'],
    ['data after the trailer', bytes(copyBinaryHeader, copyBinaryTrailer, [0]), 'received copy data after EOF marker'],
  ])('%s is refused as PostgreSQL refuses it', (_what, data, message) => {
    expect(split(binary(), data)).toEqual([`22P04 ${message}`]);
    expect(split(binary(), ...cut(data, [...data.keys()]))).toEqual([`22P04 ${message}`]);
  });

  test('flags that may be ignored are ignored', () => {
    expect(split(binary(), headerWith([0, 0, 255, 255]))).toEqual([]);
  });

  test('a field that promises more than the bound is refused as its bytes come in', () => {
    const start = bytes(copyBinaryHeader, [0, 1, 0x7f, 0xff, 0xff, 0xff]);
    const refused = [`54000 COPY row is longer than ${maxRowBytes} bytes`];
    expect(split(binary(), start, Buffer.alloc(500), Buffer.alloc(500))).toEqual(refused);
  });

  test('a missing field is no NULL, and a broken tuple is refused', () => {
    const tuple = encodeBinaryRow([null, Buffer.from('x')]);
    expect([binaryField(tuple, 0), binaryField(tuple, 1)]).toEqual([null, Buffer.from('x')]);
    expect(() => binaryField(tuple, 2)).toThrow('row field count is 2');
    expect(() => binaryField(tuple.subarray(0, -1), 1)).toThrow('unexpected EOF in COPY data');
  });

  function headerWith(tail: number[]): Buffer {
    const header = Buffer.from(copyBinaryHeader);
    Buffer.from(tail).copy(header, 11);
    return header;
  }
});

function readText(row: Buffer, options: typeof copyTextDefaults): (Buffer | null)[] {
  return Array.from({ length: countTextFields(row, options.delimiter) }, (_, i) => {
    const { start, end } = textField(row, i, options.delimiter);
    return decodeTextField(row, start, end, options.null);
  });
}
