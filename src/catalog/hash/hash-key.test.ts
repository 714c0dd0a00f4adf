import fc from 'fast-check';
import { expect, test } from 'vitest';
import { hashKey } from './hash-key.ts';
import { toSignedBigInt } from './hash64.ts';
import { typeOids } from './key-types.ts';

type TypeName = keyof typeof typeOids;

function hashText(type: TypeName, text: string): bigint | 'ask' {
  const hash = hashKey(typeOids[type], { format: 0, bytes: Buffer.from(text) });
  return hash === 'ask' ? hash : toSignedBigInt(hash);
}

/** What PostgreSQL 15 and 18 answer; test/integration/catalog-hash.test.ts compares thousands. */
test.each([
  ['int4', '42', 7363975540656877951n],
  ['int8', '-5000000000', -4482100988868492312n],
  ['text', 'hello, world of shards', -7258904317298237629n],
  ['uuid', '550e8400-e29b-41d4-a716-446655440000', -3467891652331307802n],
  ['numeric', '123.4500', 2906717616349633485n],
  ['float8', '0.1', 8245503238132018451n],
  ['timestamptz', '2024-01-01 00:00+00', -3362462900486840680n],
  ['date', '2024-01-01', 3451063793814536532n],
] as const)('%s %s has the hash that PostgreSQL gives it', (type, text, hash) => {
  expect(hashText(type, text)).toBe(hash);
});

test('numerics that differ in trailing zeros only hash equal', () => {
  fc.assert(
    fc.property(fc.integer(), fc.nat(6), fc.nat(8), (digits, scale, zeros) => {
      const text = (digits / 10 ** scale).toFixed(scale);
      const longer = `${text}${scale === 0 ? '.' : ''}${'0'.repeat(zeros)}`;
      expect(hashText('numeric', longer)).toBe(hashText('numeric', text));
    }),
  );
});

test('integers hash alike whatever their width and form', () => {
  fc.assert(
    fc.property(fc.integer(), (n) => {
      const binary = Buffer.alloc(8);
      binary.writeBigInt64BE(BigInt(n));
      const wide = hashKey(typeOids.int8, { format: 1, bytes: binary });
      expect(hashText('int4', String(n))).toBe(hashText('int8', String(n)));
      expect(wide === 'ask' ? wide : toSignedBigInt(wide)).toBe(hashText('int8', String(n)));
    }),
  );
});

test.each([
  ['int2', '32768'],
  ['int4', '2147483648'],
  ['int8', '9223372036854775808'],
  ['int8', '-9223372036854775809'],
  ['int8', '99999999999999999999999999'],
  ['int4', '0x1F'],
  ['int4', '1_000'],
  ['int4', ''],
  ['int4', '1.0'],
  ['int4', '\u00a01'],
  ['date', '01/02/2024'],
  ['date', '2023-02-29'],
  ['date', '24-01-01'],
  ['timestamptz', '2024-01-01 10:00:00'],
  ['timestamp', '2024-01-01 10:00:00+02'],
  ['timestamp', '2024-01-01 10:00:00.1234567'],
  ['timetz', '10:00'],
  ['interval', '-1 days +02:00:00'],
  ['interval', ''],
  ['float8', '1e999'],
  ['float8', '1e-999'],
  // Halfway between two float4s as a float8, but not in decimal.
  ['float4', '1.000000059604644775390626'],
  ['inet', '10.1'],
  ['inet', '010.1.2.3'],
  ['bytea', '\\001'],
  ['uuid', '{550e8400-e29b-41d4-a716-446655440000}'],
  ['bool', 'o'],
  ['char', 'é'],
] as const)('%s "%s" is left to PostgreSQL', (type, text) => {
  expect(hashText(type, text)).toBe('ask');
});

test('a binary value of the wrong length is left to PostgreSQL', () => {
  for (const [name, oid] of Object.entries(typeOids)) {
    if (['text', 'varchar', 'bpchar', 'name', 'bytea'].includes(name)) continue;
    expect([name, hashKey(oid, { format: 1, bytes: Buffer.alloc(3) })]).toEqual([name, 'ask']);
  }
});

test('a type that TypeScript does not know is left to PostgreSQL', () => {
  expect(hashKey(3802, { format: 0, bytes: Buffer.from('{}') })).toBe('ask');
});
