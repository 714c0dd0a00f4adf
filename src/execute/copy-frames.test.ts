import fc from 'fast-check';
import { expect, test } from 'vitest';
import { CopyFrames, FramePool } from './copy-frames.ts';

type Piece = { readonly kind: 'slice' | 'line'; readonly bytes: Buffer; readonly from: number };

const bytes = fc
  .oneof({ weight: 30, arbitrary: fc.nat(300) }, { weight: 3, arbitrary: fc.nat(70_000) })
  .chain((length) => fc.nat(255).map((seed) => Buffer.from(Array.from({ length }, (_, i) => (i * 7 + seed) & 255))));
const piece: fc.Arbitrary<Piece> = fc.record({ kind: fc.constantFrom('slice', 'line'), bytes, from: fc.nat(9) });

test('what was appended stands in the messages, one after the other, though their space is used again', () => {
  fc.assert(
    fc.property(fc.array(piece, { maxLength: 400 }), fc.nat(3), (pieces, keptCount) => {
      const pool = new FramePool();
      const found: Buffer[] = [];
      const waiting: (() => void)[] = [];
      const frames = new CopyFrames(pool, (message, frame) => {
        waiting.push(() => {
          expect(message.readUInt32BE(1)).toBe(message.length - 1);
          found.push(Buffer.from(message.subarray(5)));
          if (frame !== null) {
            frame.bytes.fill(0, 5);
            pool.giveBack(frame);
          }
        });
        while (waiting.length > keptCount) waiting.shift()!();
      });
      const expected: Buffer[] = [];
      for (const { kind, bytes, from } of pieces) {
        const start = Math.min(from, bytes.length);
        if (kind === 'slice') frames.appendSlice(bytes, start, bytes.length);
        else frames.appendLine(bytes.subarray(0, start), bytes.subarray(start));
        expected.push(kind === 'slice' ? bytes.subarray(start) : Buffer.concat([bytes, Buffer.from('\n')]));
      }
      frames.flush();
      for (const take of waiting) take();
      expect(Buffer.concat(found).equals(Buffer.concat(expected))).toBe(true);
    }),
    { numRuns: 100 },
  );
});
