import fc from 'fast-check';
import { expect, test } from 'vitest';
import { BindView } from './bind-view.ts';
import { decodeBind, encodeBind } from './frontend.ts';

const format = fc.constantFrom(0, 1);
const value = fc.option(
  fc.uint8Array({ maxLength: 12 }).map((bytes) => Buffer.from(bytes)),
  { nil: null },
);
const binds = fc
  .record({
    portal: fc.constantFrom('', '', '', 'p'),
    statement: fc.constantFrom('', 's', 'größe'),
    parameters: fc.array(value, { maxLength: 5 }),
    some: fc.constantFrom('none', 'one', 'all'),
    formats: fc.array(format, { minLength: 5, maxLength: 5 }),
    resultFormats: fc.array(format, { maxLength: 4 }),
  })
  .map(({ some, formats, ...bind }) => {
    const count = some === 'none' ? 0 : some === 'one' ? 1 : bind.parameters.length;
    return { ...bind, parameterFormats: formats.slice(0, count) };
  });

test('a Bind reads in place as it decodes', () => {
  const view = new BindView();
  fc.assert(
    fc.property(binds, (bind) => {
      const frame = encodeBind(bind);
      expect(view.read(frame)).toBe(bind.portal === '');
      if (bind.portal !== '') return;
      expect(frame.toString('utf8', view.nameStart, view.nameEnd)).toBe(bind.statement);
      expect(view.parameterCount).toBe(bind.parameters.length);
      for (const [i, bytes] of bind.parameters.entries()) {
        expect(view.isNull(i)).toBe(bytes === null);
        if (bytes !== null) expect(view.bytesOf(i)).toEqual(bytes);
        const formats = bind.parameterFormats;
        expect(view.formatOf(i)).toBe((formats.length === 1 ? formats[0] : formats[i]) ?? 0);
      }
      expect(view.resultFormatCount).toBe(bind.resultFormats.length);
      for (const [i, each] of bind.resultFormats.entries()) expect(view.resultFormatOf(i)).toBe(each);
    }),
  );
});

test('what does not decode is not read', () => {
  const view = new BindView();
  fc.assert(
    fc.property(binds, fc.nat(), fc.integer({ min: 0, max: 255 }), (bind, at, byte) => {
      const frame = Buffer.from(encodeBind(bind));
      frame[5 + (at % (frame.length - 5))] = byte;
      if (!view.read(frame)) return;
      expect(() => decodeBind(frame)).not.toThrow(/format|data left|invalid string/);
    }),
    { numRuns: 2_000 },
  );
});
