import type { SqlRunner } from '../core/runner.ts';
import { keyFamily } from './key-family.ts';
import { hashFunctionSql, isBytewiseSql } from './load-sql.ts';
import type { KeyedMethod, KeyFamily } from './snapshot.ts';

/** What PostgreSQL says of the type of a column that is to be a distribution column. */
export interface KeyTypeFacts {
  /** The type itself, domains replaced by what they are over, and then whatever it contains (elements, fields, bounds). */
  readonly parts: readonly KeyTypePart[];
  readonly deterministicCollation: boolean;
  /** The collation orders by bytes, as "C" does; true also for types without collation. */
  readonly bytewiseCollation: boolean;
}

export interface KeyTypePart {
  readonly typeName: string;
  /** Enum, reg*, aclitem: the binary value holds an OID of an object, and so does its hash. */
  readonly holdsOid: boolean;
  readonly hasHash: boolean;
  readonly hasOrder: boolean;
}

export type KeyTypeClass =
  | { readonly kind: 'key'; readonly family: KeyFamily }
  /** Refused with PH003 */
  | { readonly kind: 'refused'; readonly reason: string; readonly hint: string };

/** Whether a column of such a type can be the distribution column (DESIGN 2). */
export function classifyKeyType(method: KeyedMethod, facts: KeyTypeFacts): KeyTypeClass {
  const reason = method === 'hash' ? whyNotHash(facts) : whyNotOrdered(method, facts);
  if (reason === null) return { kind: 'key', family: keyFamily(facts.parts[0]!.typeName) };
  return { kind: 'refused', reason, hint: hints[method] };
}

const hints: Readonly<Record<KeyedMethod, string>> = {
  hash: "Distribute by LIST or RANGE instead: distribution_type := 'list'.",
  range: 'Declare the column with COLLATE "C", or distribute by HASH or LIST.',
  list: 'Distribute by HASH instead.',
};

function whyNotHash({ parts, deterministicCollation }: KeyTypeFacts): string | null {
  const type = parts[0]!.typeName;
  const inside = (part: KeyTypePart) => (part === parts[0] ? '' : `, which contains ${part.typeName}`);
  const withOid = parts.find((part) => part.holdsOid);
  if (withOid) return `the hash of type ${type}${inside(withOid)} differs between servers`;
  const withoutHash = parts.find((part) => !part.hasHash);
  if (withoutHash) return `type ${type}${inside(withoutHash)} has no default hash operator class`;
  return deterministicCollation ? null : 'a nondeterministic collation may hash differently on another server';
}

function whyNotOrdered(method: 'range' | 'list', facts: KeyTypeFacts): string | null {
  const [type] = facts.parts;
  if (!type?.hasOrder) return `type ${type?.typeName} has no default btree operator class`;
  if (method === 'range' && !facts.bytewiseCollation) return 'RANGE on a text column needs COLLATE "C"';
  return null;
}

/** `collationOid` is the column's `attcollation`, 0 for none. */
export async function describeKeyType(runner: SqlRunner, typeOid: number, collationOid: number): Promise<KeyTypeFacts> {
  const { rows } = await runner.query(keyTypeSql, [String(typeOid), String(collationOid)]);
  return {
    parts: rows.map(([typeName, holdsOid, hasHash, hasOrder]) => ({
      typeName: typeName ?? '',
      holdsOid: holdsOid === 't',
      hasHash: hasHash === 't',
      hasOrder: hasOrder === 't',
    })),
    deterministicCollation: rows[0]?.[4] === 't',
    bytewiseCollation: rows[0]?.[5] === 't',
  };
}

/** Arrays, composites, ranges and multiranges are taken apart; of a domain only what it is over is given. */
const keyTypeSql = `WITH RECURSIVE part(oid, depth) AS (
  SELECT $1::oid, 0
  UNION
  SELECT inner_type.oid, part.depth + (ty.typtype <> 'd')::int
  FROM part JOIN pg_catalog.pg_type ty ON ty.oid = part.oid
  CROSS JOIN LATERAL (
    SELECT ty.typbasetype WHERE ty.typtype = 'd'
    UNION ALL SELECT ty.typelem WHERE ty.typcategory = 'A' AND ty.typelem <> 0
    UNION ALL SELECT a.atttypid FROM pg_catalog.pg_attribute a
      WHERE ty.typtype = 'c' AND a.attrelid = ty.typrelid AND a.attnum > 0 AND NOT a.attisdropped
    UNION ALL SELECT r.rngsubtype FROM pg_catalog.pg_range r WHERE r.rngtypid = ty.oid
    UNION ALL SELECT r.rngtypid FROM pg_catalog.pg_range r WHERE r.rngmultitypid = ty.oid) inner_type(oid)
  WHERE part.depth < 16
)
SELECT pg_catalog.format_type(ty.oid, NULL),
  ty.typtype = 'e' OR ty.oid = ANY (ARRAY['regproc', 'regprocedure', 'regoper', 'regoperator', 'regclass', 'regtype',
    'regrole', 'regnamespace', 'regconfig', 'regdictionary', 'regcollation', 'aclitem']::regtype[]),
  ${hashFunctionSql('ty.oid')} IS NOT NULL,
  EXISTS (SELECT FROM pg_catalog.pg_opclass o JOIN pg_catalog.pg_am am ON am.oid = o.opcmethod AND am.amname = 'btree'
    LEFT JOIN pg_catalog.pg_cast ca ON ca.castsource = ty.oid AND ca.casttarget = o.opcintype
      AND ca.castmethod = 'b' AND ca.castcontext = 'i'
    WHERE o.opcdefault AND (o.opcintype = ty.oid OR ca.oid IS NOT NULL
      OR o.opcintype = 'anyarray'::regtype AND ty.typcategory = 'A' OR o.opcintype = 'anyenum'::regtype AND ty.typtype = 'e'
      OR o.opcintype = 'anyrange'::regtype AND ty.typtype = 'r' OR o.opcintype = 'record'::regtype AND ty.typtype = 'c'
      OR o.opcintype = 'anymultirange'::regtype AND ty.typtype = 'm')),
  coalesce((SELECT co.collisdeterministic FROM pg_catalog.pg_collation co WHERE co.oid = $2::oid), true),
  ${isBytewiseSql('$2::oid')}
FROM (SELECT part.oid, min(part.depth) AS depth FROM part GROUP BY part.oid) part
JOIN pg_catalog.pg_type ty ON ty.oid = part.oid
WHERE ty.typtype <> 'd'
ORDER BY part.depth, ty.oid`;
