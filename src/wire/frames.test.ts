import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { PgError } from '../core/errors.ts';
import { limits } from '../core/limits.ts';
import { FrameCutter, readStartupPacket } from './frames.ts';
import { encodeCancelRequest, encodeSslRequest, encodeStartup } from './frontend.ts';

function frame(type: number, body: Uint8Array): Buffer {
  const header = Buffer.alloc(5);
  header[0] = type;
  header.writeUInt32BE(body.length + 4, 1);
  return Buffer.concat([header, body]);
}

function cut(bytes: Buffer, cutPoints: readonly number[]): Buffer[] {
  const points = [...new Set([0, ...cutPoints.map((point) => point % (bytes.length + 1)), bytes.length])];
  points.sort((a, b) => a - b);
  return points.slice(1).map((end, i) => bytes.subarray(points[i], end));
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

const anyFrame = fc
  .tuple(fc.integer({ min: 0, max: 255 }), fc.uint8Array({ maxLength: 40 }))
  .map(([type, body]) => frame(type, body));

describe('FrameCutter', () => {
  test('rows may be taken where they stand: none is lost or comes twice, wherever the chunks end', () => {
    const rowOrOther = fc
      .tuple(fc.constantFrom(0x44, 0x44, 0x43), fc.uint8Array({ maxLength: 40 }))
      .map(([type, body]) => frame(type, body));
    fc.assert(
      fc.property(fc.array(rowOrOther, { maxLength: 20 }), fc.array(fc.nat(), { maxLength: 12 }), (frames, cuts) => {
        const cutter = new FrameCutter(1000);
        const seen: Buffer[] = [];
        let asked = 0;
        const onRow = (chunk: Buffer, start: number, end: number) => {
          expect(chunk[start]).toBe(0x44);
          asked += 1;
          if (asked % 3 === 0) return false;
          seen.push(Buffer.from(chunk.subarray(start, end)));
          return true;
        };
        for (const chunk of cut(Buffer.concat(frames), cuts)) {
          cutter.push(chunk, (_, each) => seen.push(Buffer.from(each)), onRow);
        }
        expect(seen).toEqual(frames);
      }),
    );
  });

  test('the same frames come out wherever the chunks end', () => {
    fc.assert(
      fc.property(fc.array(anyFrame, { maxLength: 20 }), fc.array(fc.nat(), { maxLength: 12 }), (frames, cuts) => {
        const cutter = new FrameCutter(1000);
        const seen: Buffer[] = [];
        for (const chunk of cut(Buffer.concat(frames), cuts)) {
          cutter.push(chunk, (type, each) => {
            expect(type).toBe(each[0]);
            seen.push(each);
          });
        }
        expect(seen).toEqual(frames);
        expect(cutter.bufferedBytes).toBe(0);
      }),
    );
  });

  test('a frame that lies wholly in a chunk is a view of it', () => {
    const chunk = Buffer.concat([frame(0x51, Buffer.from('a\0')), frame(0x53, Buffer.alloc(0))]);
    const buffers: ArrayBufferLike[] = [];
    new FrameCutter(100).push(chunk, (_type, each) => buffers.push(each.buffer));
    expect(buffers).toEqual([chunk.buffer, chunk.buffer]);
    expect(buffers[0]).toBe(chunk.buffer);
  });

  test('a big frame is put together from many chunks, small and large', () => {
    const body = Buffer.alloc(300_000, 'abcdefg');
    const whole = frame(0x64, body);
    const cutter = new FrameCutter(1_000_000);
    const seen: Buffer[] = [];
    let offset = 0;
    for (let size = 1; offset < whole.length; size = (size * 7) % 9973) {
      cutter.push(whole.subarray(offset, offset + size), (_type, each) => seen.push(each));
      offset += size;
    }
    expect(seen).toHaveLength(1);
    expect(seen[0]!.equals(whole)).toBe(true);
  });

  test('a length word below 4 or above the bound is a protocol violation, however it arrives', () => {
    for (const length of [0, 3, 101, 0x7fffffff, 0xffffffff]) {
      const header = Buffer.from([0x51, 0, 0, 0, 0, 1, 2, 3]);
      header.writeUInt32BE(length, 1);
      expect(codeOf(() => new FrameCutter(100).push(header, () => {}))).toBe('08P01');
      const cutter = new FrameCutter(100);
      cutter.push(header.subarray(0, 3), () => {});
      expect(codeOf(() => cutter.push(header.subarray(3), () => {}))).toBe('08P01');
      expect(codeOf(() => cutter.push(frame(0x53, Buffer.alloc(0)), () => {}))).toBe('08P01');
      expect(cutter.bufferedBytes).toBe(0);
    }
    expect(codeOf(() => new FrameCutter(100).push(frame(0x51, Buffer.alloc(96)), () => {}))).toBe('nothing thrown');
  });

  test('a bound that a handler sets holds for the next frame of the same chunk', () => {
    const cutter = new FrameCutter(8);
    let seen = 0;
    cutter.push(Buffer.concat([frame(1, Buffer.alloc(1)), frame(2, Buffer.alloc(50))]), () => {
      seen += 1;
      cutter.maxFrameBytes = 100;
    });
    expect(seen).toBe(2);
  });

  test('a handler that takes the rest stops the cutting and gets every byte after its frame', () => {
    const cutter = new FrameCutter(100);
    const first = frame(1, Buffer.from('x'));
    const seen: number[] = [];
    let rest: Buffer | undefined;
    cutter.push(Buffer.concat([first, frame(2, Buffer.alloc(0)), Buffer.from('tls')]), (type) => {
      seen.push(type);
      rest = cutter.takeRest();
    });
    expect(seen).toEqual([1]);
    expect(rest).toEqual(Buffer.concat([frame(2, Buffer.alloc(0)), Buffer.from('tls')]));
    expect(cutter.takeRest()).toHaveLength(0);
  });

  test('frames after the one whose handler threw wait for the next push', () => {
    const cutter = new FrameCutter(100);
    const seen: number[] = [];
    const both = Buffer.concat([frame(1, Buffer.alloc(0)), frame(2, Buffer.alloc(0))]);
    expect(() =>
      cutter.push(both, () => {
        throw new Error('no');
      }),
    ).toThrow('no');
    cutter.push(frame(3, Buffer.alloc(0)), (type) => seen.push(type));
    expect(seen).toEqual([2, 3]);
  });
});

describe('readStartupPacket', () => {
  const text = fc.string({ unit: 'binary' }).map((each) => each.replaceAll('\0', ''));
  const parameters = fc.dictionary(
    text.filter((name) => name !== ''),
    text,
    { maxKeys: 8, noNullPrototype: true },
  );

  test('reads what encodeStartup wrote, and every shorter prefix is incomplete', () => {
    fc.assert(
      fc.property(parameters, fc.nat(), fc.uint8Array({ maxLength: 5 }), (record, at, after) => {
        const wanted = new Map(
          Object.entries(record).map(([name, value]) => [toWellFormed(name), toWellFormed(value)]),
        );
        const bytes = encodeStartup(wanted);
        expect(readStartupPacket(Buffer.concat([bytes, after]))).toEqual({
          kind: 'complete',
          packet: { kind: 'startup', protocol: 196608, parameters: wanted },
          bytes: bytes.length,
        });
        expect(readStartupPacket(bytes.subarray(0, at % bytes.length))).toEqual({ kind: 'incomplete' });
      }),
    );
  });

  test('tells requests for SSL and cancelling from a startup', () => {
    expect(readStartupPacket(encodeSslRequest())).toMatchObject({ packet: { kind: 'ssl' }, bytes: 8 });
    const secret = Buffer.alloc(256, 7);
    const packet = { kind: 'cancel', processId: -5, secret };
    expect(readStartupPacket(encodeCancelRequest(-5, secret))).toMatchObject({ packet });
  });

  test.each([
    ['a length below 8', Buffer.from([0, 0, 0, 7])],
    ['a length above the bound', lengthWord(limits.maxStartupBytes + 1)],
    ['HTTP', Buffer.from('GET / HTTP/1.1\r\n')],
    ['an SSL request with a tail', Buffer.from([0, 0, 0, 9, 4, 210, 22, 47, 0])],
    ['a cancel request with 3 bytes of secret', encodeCancelRequest(1, Buffer.alloc(3))],
    ['a cancel request with 257 bytes of secret', encodeCancelRequest(1, Buffer.alloc(257))],
    ['no terminator', startup('user\0me\0')],
    ['a name without value', startup('user\0')],
    ['bytes after the terminator', startup('user\0me\0\0x')],
    ['no parameters at all', startup('')],
  ])('%s is a protocol violation', (_what, bytes) => {
    expect(codeOf(() => readStartupPacket(bytes))).toBe('08P01');
  });

  test('another major is refused, another minor is not', () => {
    expect(codeOf(() => readStartupPacket(encodeStartup([['user', 'me']], 0x20000)))).toBe('0A000');
    const grease = readStartupPacket(encodeStartup([['user', 'me']], 0x3270f));
    expect(grease).toMatchObject({ packet: { protocol: 0x3270f } });
  });

  test('a NUL in a value can not smuggle in another parameter', () => {
    expect(codeOf(() => encodeStartup([['user', 'me\0database\0other']]))).toBe('22021');
  });
});

function lengthWord(length: number): Buffer {
  const bytes = Buffer.alloc(4);
  bytes.writeUInt32BE(length);
  return bytes;
}

function startup(tail: string): Buffer {
  return Buffer.concat([lengthWord(8 + Buffer.byteLength(tail)), Buffer.from([0, 3, 0, 0]), Buffer.from(tail)]);
}

/** Lone surrogates have no UTF-8. */
function toWellFormed(text: string): string {
  return Buffer.from(text).toString();
}
