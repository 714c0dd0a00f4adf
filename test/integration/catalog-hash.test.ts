import fc from 'fast-check';
import pg from 'pg';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { partitionHashSql } from '../../src/catalog/ask.ts';
import type { KeyValue } from '../../src/catalog/hash/datum.ts';
import { hashKey } from '../../src/catalog/hash/hash-key.ts';
import { toSignedBigInt } from '../../src/catalog/hash/hash64.ts';
import { typeOids } from '../../src/catalog/hash/key-types.ts';
import { shardIndex } from '../../src/catalog/route.ts';
import type { ColocationGroup, KeyColumn } from '../../src/catalog/snapshot.ts';
import { startPostgres, type TestServer } from '../harness/postgres.ts';

/** Texts that PostgreSQL reads as values of the type, and how often TypeScript may say 'ask' about its output form. */
interface TypeCase {
  readonly type: keyof typeof typeOids;
  readonly sqlName?: string;
  readonly send: string;
  readonly edges: readonly string[];
  /** Values that exist from PostgreSQL 17 on. */
  readonly newEdges?: readonly string[];
  readonly random: fc.Arbitrary<string>;
  /** Some outputs need PostgreSQL: years beyond 9999 or before 1, negative intervals, IPv6. */
  readonly outputMayBeAsked?: true;
}

const integers = (bits: bigint) =>
  fc.oneof(
    fc.bigInt({ min: -(1n << (bits - 1n)), max: (1n << (bits - 1n)) - 1n }),
    fc.bigInt({ min: -20n, max: 20n }).map((n) => n * 7n),
  );
const decimals = fc
  .tuple(
    fc.bigInt({ min: -(10n ** 40n), max: 10n ** 40n }),
    fc.integer({ min: 0, max: 45 }),
    fc.integer({ min: -60, max: 60 }),
    fc.boolean(),
  )
  .map(([digits, scale, exponent, plain]) => {
    const negative = digits < 0n;
    const text = String(negative ? -digits : digits).padStart(scale + 1, '0');
    const point = text.length - scale;
    return `${negative ? '-' : ''}${text.slice(0, point)}.${text.slice(point)}${plain ? '' : `e${exponent}`}`;
  });
const smallDecimals = fc
  .tuple(fc.integer({ min: -99999, max: 99999 }), fc.integer({ min: 0, max: 6 }))
  .map(([n, s]) => (n / 10 ** s).toFixed(s));
const days = fc.integer({ min: -730_000, max: 2_900_000 }).map((n) => new Date(Date.UTC(2000, 0, 1) + n * 86_400_000));
const isoDay = days
  .filter((day) => day.getUTCFullYear() >= 1 && day.getUTCFullYear() <= 9999)
  .map((day) => day.toISOString().slice(-24, -14));
const two = (max: number) => fc.integer({ min: 0, max }).map((n) => String(n).padStart(2, '0'));
const fraction = fc.oneof(fc.constant(''), fc.stringMatching(/^\.\d{1,6}$/));
const clock = fc.oneof(
  fc.tuple(two(23), two(59), two(59), fraction).map(([h, m, s, f]) => `${h}:${m}:${s}${f}`),
  fc.tuple(two(23), two(59)).map(([h, m]) => `${h}:${m}`),
);
const zone = fc.oneof(
  fc.constantFrom('+00', '-00', '+05:30', '-03:30', '+0545', '+15:59', '-15'),
  fc.tuple(fc.constantFrom('+', '-'), two(14), two(59)).map(([sign, h, m]) => `${sign}${h}:${m}`),
);
const hex = (bytes: number) => fc.stringMatching(new RegExp(`^[0-9a-fA-F]{${bytes * 2}}$`));
const words = fc
  .oneof(
    fc.string({ unit: 'grapheme', maxLength: 60 }),
    fc.string({ unit: 'binary-ascii', maxLength: 40 }),
    fc.string({ unit: fc.constantFrom('a', ' ', 'é', '漢', '😀'), maxLength: 30 }),
  )
  .map((text) => text.replaceAll('\0', ''))
  .filter((text) => Buffer.from(text).toString() === text);
const octets = fc.tuple(...[0, 1, 2, 3].map(() => fc.integer({ min: 0, max: 255 })));
const everyLength = Array.from({ length: 40 }, (_, n) => 'abcdefghijklmnopqrstuvwxyzäöüßéèêçñABCDEFG'.slice(0, n));

const cases: readonly TypeCase[] = [
  {
    type: 'int2',
    send: 'int2send',
    edges: ['0', '-1', '32767', '-32768', ' 7 ', '+8', '-0', '0007'],
    random: integers(16n).map(String),
  },
  {
    type: 'int4',
    send: 'int4send',
    edges: ['0', '-1', '2147483647', '-2147483648', '\t7\n', '+8', '-0', '00000000000000000000007'],
    random: integers(32n).map(String),
  },
  {
    type: 'int8',
    send: 'int8send',
    edges: [
      '0',
      '-1',
      '9223372036854775807',
      '-9223372036854775808',
      '4294967295',
      '4294967296',
      '-4294967296',
      '-4294967297',
      '-2147483649',
      '9007199254740993',
      '1000000',
      '999999999999',
      '+8',
    ],
    random: integers(64n).map(String),
  },
  {
    type: 'oid',
    send: 'oidsend',
    edges: ['0', '4294967295', '2147483648'],
    random: fc.bigInt({ min: 0n, max: 4294967295n }).map(String),
  },
  {
    type: 'bool',
    send: 'boolsend',
    edges: ['t', 'f', 'true', 'false', 'yes', 'no', 'on', 'off', '1', '0', 'TRUE', 'FALSE'],
    random: fc.constantFrom('t', 'f'),
  },
  {
    type: 'char',
    sqlName: '"char"',
    send: 'charsend',
    edges: ['', 'a', '\\', '~', ' '],
    random: fc.stringMatching(/^[\x21-\x7e]$/),
  },
  {
    type: 'float4',
    send: 'float4send',
    edges: [
      '0',
      '-0',
      '0.0',
      'NaN',
      'Infinity',
      '-Infinity',
      '0.1',
      '-1.5e10',
      '3.4028235e38',
      '1.17549435e-38',
      '16777217',
      '16777219',
      '1e-40',
      '.5',
      '5.',
    ],
    random: fc.oneof(
      fc.float({ noNaN: true, noDefaultInfinity: true }).map(String),
      smallDecimals,
      fc.integer().map(String),
    ),
  },
  {
    type: 'float8',
    send: 'float8send',
    edges: [
      '0',
      '-0',
      '0.0',
      'NaN',
      'Infinity',
      '-Infinity',
      '0.1',
      '-1.5e10',
      '1.7976931348623157e308',
      '2.2250738585072014e-308',
      '5e-324',
      '9007199254740993',
      '.5',
      '5.',
      '1E5',
    ],
    random: fc.oneof(
      fc.double({ noNaN: true, noDefaultInfinity: true }).map(String),
      smallDecimals,
      fc.bigInt({ min: -(1n << 70n), max: 1n << 70n }).map(String),
    ),
  },
  {
    type: 'numeric',
    send: 'numeric_send',
    edges: [
      '0',
      '-0',
      '0.000',
      '1',
      '1.0',
      '1.000',
      '01',
      '10',
      '100',
      '1000',
      '10000',
      '10000.0000',
      '0.1',
      '0.01',
      '0.001',
      '0.0001',
      '0.00001',
      '-123.456',
      '1e10',
      '1E-10',
      '.5',
      '5.',
      'NaN',
      'Infinity',
      '-Infinity',
      '+7',
      ' 7 ',
      '9999',
      '99999999',
      '1e100',
      '-1e-100',
      '12345678901234567890.12345678901234567890',
    ],
    random: fc.oneof(decimals, smallDecimals),
  },
  { type: 'text', send: 'textsend', edges: everyLength, random: words },
  { type: 'varchar', send: 'varcharsend', edges: ['', 'a', 'a ', ' a'], random: words },
  { type: 'bpchar', send: 'bpcharsend', edges: ['', ' ', 'a', 'a ', 'a   ', ' a', 'a\t '], random: words },
  {
    type: 'name',
    send: 'namesend',
    edges: ['', 'a', 'x'.repeat(63), 'x'.repeat(64), 'x'.repeat(80), 'é'.repeat(40)],
    random: words,
  },
  {
    type: 'bytea',
    send: 'byteasend',
    edges: ['', '\\x', '\\x00', '\\xDEADbeef', 'abc', '\\x 00', '\\001', '\\\\'],
    random: fc.oneof(
      fc.stringMatching(/^(?:[0-9a-f]{2}){0,40}$/).map((text) => `\\x${text}`),
      words.filter((text) => !text.includes('\\')),
    ),
  },
  {
    type: 'uuid',
    send: 'uuid_send',
    edges: [
      '00000000-0000-0000-0000-000000000000',
      'FFFFFFFF-ffff-FFFF-ffff-FFFFFFFFFFFF',
      '{550e8400-e29b-41d4-a716-446655440000}',
      '550e8400e29b41d4a716446655440000',
      '550e-8400-e29b-41d4-a716-4466-5544-0000',
    ],
    random: fc.oneof(fc.uuid(), hex(16)),
  },
  {
    type: 'macaddr',
    send: 'macaddr_send',
    edges: ['08:00:2b:01:02:03', '08-00-2b-01-02-03', '08002b010203', 'FF:ff:FF:ff:FF:ff'],
    random: hex(6).map((text) => text.match(/../g)!.join(':')),
  },
  {
    type: 'macaddr8',
    send: 'macaddr8_send',
    edges: ['08:00:2b:01:02:03:04:05', '08:00:2b:01:02:03'],
    random: hex(8).map((text) => text.match(/../g)!.join(':')),
  },
  {
    type: 'inet',
    send: 'inet_send',
    edges: [
      '0.0.0.0',
      '255.255.255.255',
      '10.1.2.3/8',
      '10.1.2.3/32',
      '1.2.3.4/0',
      '::1',
      '2001:db8::/32',
      '::ffff:1.2.3.4',
    ],
    random: fc
      .tuple(octets, fc.option(fc.integer({ min: 0, max: 32 })))
      .map(([ip, bits]) => ip.join('.') + (bits === null ? '' : `/${bits}`)),
    outputMayBeAsked: true,
  },
  {
    type: 'cidr',
    send: 'cidr_send',
    edges: ['10.0.0.0/8', '10', '10.1', '192.168', '1.2.3.4', '::1/128', '0.0.0.0/0'],
    random: octets.map((ip) => `${ip.join('.')}/32`),
    outputMayBeAsked: true,
  },
  {
    type: 'date',
    send: 'date_send',
    edges: [
      '2000-01-01',
      '1999-12-31',
      '2000-02-29',
      '1900-02-28',
      '2400-02-29',
      '0001-01-01',
      '9999-12-31',
      'infinity',
      '-infinity',
      '1970-01-01',
    ],
    random: isoDay,
  },
  {
    type: 'time',
    send: 'time_send',
    edges: [
      '00:00:00',
      '00:00',
      '23:59:59.999999',
      '24:00:00',
      '23:59:60',
      '12:34:56.7',
      '10:00:00.1234567',
      '04:05 PM',
    ],
    random: clock,
    outputMayBeAsked: true,
  },
  {
    type: 'timetz',
    send: 'timetz_send',
    edges: ['00:00:00+00', '23:59:59.999999-15:59', '10:00:00+05:30', '24:00:00+00', '12:00-03:30:15'],
    random: fc.tuple(clock, zone).map((pair) => pair.join('')),
    outputMayBeAsked: true,
  },
  {
    type: 'timestamp',
    send: 'timestamp_send',
    edges: [
      '2000-01-01',
      '2000-01-01 00:00',
      '1999-12-31 23:59:59.999999',
      '2000-01-01T00:00:00.000001',
      '0001-01-01 00:00:00',
      '9999-12-31 23:59:59.999999',
      'infinity',
      '-infinity',
      '1969-12-31 23:59:59',
      '2024-02-29T12:00',
      '294276-12-31',
      '2024-01-01 24:00:00',
      '2024-01-01 10:00:00+02',
    ],
    random: fc.tuple(isoDay, fc.constantFrom(' ', 'T'), clock).map((parts) => parts.join('')),
    outputMayBeAsked: true,
  },
  {
    type: 'timestamptz',
    send: 'timestamptz_send',
    edges: [
      '2000-01-01 00:00:00Z',
      '2000-01-01T00:00:00+00',
      '1999-12-31 23:59:59.999999-15:59',
      '0001-01-02 00:00:00+00',
      '9999-12-30 23:59:59.999999-03:30',
      'infinity',
      '-infinity',
      '2024-06-01 12:00',
      '2024-06-01',
      '2024-06-01 12:00 Europe/Berlin',
    ],
    random: fc.tuple(isoDay, fc.constantFrom(' ', 'T'), clock, zone).map((parts) => parts.join('')),
    outputMayBeAsked: true,
  },
  {
    type: 'interval',
    send: 'interval_send',
    edges: [
      '0',
      '00:00:00',
      '1 day',
      '24:00:00',
      '1 mon',
      '30 days',
      '1 year 2 mons 3 days 04:05:06.789',
      '-1 days',
      '-1 days +02:00:00',
      'PT36H',
      '1.5 days',
      '178000000 years',
      '-178000000 years',
      '2 years',
      '720:00:00',
      '1 day 2 hours',
      '-00:00:01',
    ],
    newEdges: ['infinity', '-infinity'],
    random: fc
      .tuple(
        fc.integer({ min: -3000, max: 3000 }),
        fc.integer({ min: -90000, max: 90000 }),
        fc.bigInt({ min: -(10n ** 13n), max: 10n ** 13n }),
      )
      .map(([months, dayCount, micros]) => `${months} months ${dayCount} days ${micros} microseconds`),
    outputMayBeAsked: true,
  },
];

const randomCount = 3000;

describe.each([18, 15] as const)('the partition hash against PostgreSQL %i', (version) => {
  let server: TestServer;
  let client: pg.Client;
  const rows = async (sql: string, values: unknown[] = []): Promise<(string | null)[][]> => {
    const types = { getTypeParser: () => (value: unknown) => value };
    const result: unknown = await client.query({ text: sql, values, rowMode: 'array', types } as never);
    return (result as { rows: (string | null)[][] }).rows;
  };

  beforeAll(async () => {
    server = await startPostgres({ version });
    client = new pg.Client({ host: server.host, port: server.port, user: 'postgres', database: 'postgres' });
    await client.connect();
    // A zone of odd history, to catch what depends on it.
    await client.query("SET timezone = 'Asia/Kathmandu'");
  });
  afterAll(async () => {
    await client?.end();
    await server?.stop();
  });

  const ours = (type: keyof typeof typeOids, format: 0 | 1, bytes: Buffer): string => {
    const hash = hashKey(typeOids[type], { format, bytes });
    return hash === 'ask' ? 'ask' : String(toSignedBigInt(hash));
  };

  test.each(cases)(
    'of $type is the same in text, in output form and in binary',
    async ({ type, sqlName = type, send, edges, newEdges = [], random, outputMayBeAsked }) => {
      const known = [...edges, ...(version >= 17 ? newEdges : []), ...fc.sample(random, randomCount)];
      const given = await rows(
        `SELECT v.t, ${partitionHashSql(`v.t::${sqlName}`)}, v.t::${sqlName}::text, encode(${send}(v.t::${sqlName}), 'hex')
       FROM unnest($1::text[]) WITH ORDINALITY AS v(t, place) ORDER BY place`,
        [known],
      );
      expect(given.length).toBe(known.length);
      const wrong = { text: [] as unknown[], output: [] as unknown[], binary: [] as unknown[] };
      let asked = 0;
      for (const [text, hash, output, binary] of given) {
        const byText = ours(type, 0, Buffer.from(text!));
        const byOutput = ours(type, 0, Buffer.from(output!));
        const byBinary = ours(type, 1, Buffer.from(binary!, 'hex'));
        if (byText === 'ask') asked++;
        if (byText !== hash && byText !== 'ask') wrong.text.push([text, byText, hash]);
        if (byOutput !== hash && !(byOutput === 'ask' && outputMayBeAsked)) wrong.output.push([output, byOutput, hash]);
        if (byBinary !== hash) wrong.binary.push([text, binary, byBinary, hash]);
      }
      expect(wrong).toEqual({ text: [], output: [], binary: [] });
      // The random values of most types are all plain; intervals here are spelt as only PostgreSQL reads them.
      if (type !== 'interval') expect(asked).toBeLessThanOrEqual(edges.length + randomCount / 50);
    },
  );

  test('integers of all widths hash alike, and text and varchar', () => {
    for (const text of ['0', '-1', '-32768', '32767', '77']) {
      const bytes = Buffer.from(text);
      expect(ours('int2', 0, bytes)).toBe(ours('int8', 0, bytes));
      expect(ours('int4', 0, bytes)).toBe(ours('int8', 0, bytes));
      expect(ours('varchar', 0, bytes)).toBe(ours('text', 0, bytes));
    }
  });

  /** Strings near the grammars: where TypeScript ventures an answer, PostgreSQL refuses the text or agrees. */
  test.runIf(version === 18).each(cases)(
    'of $type is never guessed',
    async ({ type, sqlName = type, edges, random }) => {
      const mutated = fc
        .tuple(
          fc.oneof(fc.constantFrom(...edges), random),
          fc.integer({ min: 0, max: 40 }),
          fc.constantFrom(...' +-.:_/eExXT0123456789fZn,\t'),
          fc.integer({ min: 0, max: 2 }),
        )
        .map(([text, at, character, cut]) => text.slice(0, at) + character + text.slice(at + cut))
        .filter((text) => Buffer.from(text).toString() === text);
      const answered = fc.sample(mutated, randomCount).filter((text) => ours(type, 0, Buffer.from(text)) !== 'ask');
      const given = await rows(
        `SELECT v.t, CASE WHEN pg_input_is_valid(v.t, '${sqlName}') THEN ${partitionHashSql(`v.t::${sqlName}`)} END
       FROM unnest($1::text[]) AS v(t)`,
        [answered],
      );
      const wrong = given.filter(([text, hash]) => hash !== null && ours(type, 0, Buffer.from(text!)) !== hash);
      expect(wrong).toEqual([]);
    },
  );

  const column = (type: keyof typeof typeOids, n = 1): KeyColumn => ({
    ...{ name: `k${n}`, attnum: n, typeOid: typeOids[type], typeName: type, family: type, collation: null },
  });
  const group = (modulus: number): ColocationGroup => ({
    ...{ id: 1, method: 'hash', families: [] },
    shards: Array.from({ length: modulus }, (_, k) => ({
      index: k,
      nodeId: 1,
      bounds: { kind: 'hash', modulus, remainder: k },
    })),
  });
  const value = (text: string | null): KeyValue => (text === null ? null : { format: 0, bytes: Buffer.from(text) });

  test('several columns and NULLs land where satisfies_hash_partition says', async () => {
    const keys = [column('int4', 1), column('text', 2), column('numeric', 3)];
    await client.query('CREATE TABLE many (k1 int, k2 text, k3 numeric) PARTITION BY HASH (k1, k2, k3)');
    const maybe = (arbitrary: fc.Arbitrary<string>) => fc.option(arbitrary, { freq: 2 });
    const samples = fc.sample(
      fc.tuple(maybe(integers(32n).map(String)), maybe(words), maybe(smallDecimals)),
      randomCount,
    );
    for (const modulus of [1, 2, 3, 7, 32, 4096]) {
      const shards = samples.map((sample) => String(shardIndex(group(modulus), keys, sample.map(value))));
      const bad = await rows(
        `SELECT a, b, c, s FROM unnest($1::int[], $2::text[], $3::numeric[], $4::int[]) AS v(a, b, c, s)
         WHERE NOT satisfies_hash_partition('many'::regclass, ${modulus}, s, a, b, c)`,
        [samples.map((s) => s[0]), samples.map((s) => s[1]), samples.map((s) => s[2]), shards],
      );
      expect(bad).toEqual([]);
    }
  });

  test.each(cases)('rows of $type land in the partition that is named', async ({ type, sqlName = type, edges }) => {
    const table = `landed_${type}`;
    await client.query(`CREATE TABLE ${table} (k ${sqlName}) PARTITION BY HASH (k)`);
    for (let k = 0; k < 5; k++)
      await client.query(
        `CREATE TABLE ${table}_${k} PARTITION OF ${table} FOR VALUES WITH (MODULUS 5, REMAINDER ${k})`,
      );
    await client.query(`INSERT INTO ${table} SELECT t::${sqlName} FROM unnest($1::text[]) t`, [[...edges, null]]);
    const landed = await rows(`SELECT DISTINCT k::text, right(tableoid::regclass::text, 1) FROM ${table}`);
    expect(landed.length).toBeGreaterThan(1);
    for (const [text, k] of landed) {
      const shard = shardIndex(group(5), [column(type)], [value(text!)]);
      if (shard !== 'ask') expect([text, String(shard)]).toEqual([text, k]);
    }
  });
});
