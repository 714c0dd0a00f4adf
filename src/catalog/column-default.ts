import { quoteText } from './quote.ts';
import type { ColumnDefault } from './snapshot.ts';

/** What the system catalog says of a column's default. */
export interface DefaultFacts {
  /** `pg_get_expr` of the default, of the generation expression, or of the domain's default; null: none. */
  readonly expression: string | null;
  /** `pg_attribute.attidentity` and `attgenerated`: '' when it is neither. */
  readonly identity: '' | 'a' | 'd';
  readonly generated: '' | 's' | 'v';
  /** The sequence of an identity column, schema-qualified and quoted. */
  readonly sequence: string | null;
  /** `format_type` without the type modifier. */
  readonly baseTypeName: string;
}

/** Where it is not certain that an expression is immutable it counts as volatile, which is slower and never wrong. */
export function classifyDefault(facts: DefaultFacts): ColumnDefault {
  const { expression, identity, generated, sequence } = facts;
  if (identity !== '' && sequence !== null) {
    return { kind: 'sequence', sequence, identity: identity === 'a' ? 'always' : 'by default' };
  }
  if (expression === null) return { kind: 'none' };
  if (generated !== '') return { kind: 'generated', expression, stored: generated === 's' };
  const ownSequence = sequenceOfNextval(expression);
  if (ownSequence !== null) return { kind: 'sequence', sequence: ownSequence, identity: null };
  return isConstant(expression, facts.baseTypeName)
    ? { kind: 'constant', expression }
    : { kind: 'volatile', expression };
}

/**
 * The SQL that draws the next value. An identity column's sequence asks for no right of its own, only for INSERT on the table:
 * pgherd.next_identity() sees to it for those who have no more.
 */
export function drawSql({ sequence, identity }: Extract<ColumnDefault, { kind: 'sequence' }>): string {
  const named = `${quoteText(sequence)}::pg_catalog.regclass`;
  const plain = `pg_catalog.nextval(${named})`;
  if (identity === null) return plain;
  return `CASE WHEN pg_catalog.has_sequence_privilege(${named}, 'USAGE') THEN ${plain} ELSE pgherd.next_identity(${named}) END`;
}

/** On the coordinator. The caller is who the session is, its role included. */
export const nextIdentitySql = `CREATE OR REPLACE FUNCTION pgherd.next_identity(sequence regclass) RETURNS bigint
  LANGUAGE plpgsql STRICT SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $pgherd$
DECLARE caller name := coalesce(nullif(current_setting('role'), 'none'), session_user);
BEGIN
  IF EXISTS (SELECT FROM pg_depend d WHERE d.classid = 'pg_class'::regclass AND d.objid = sequence AND d.deptype = 'i'
      AND d.refclassid = 'pg_class'::regclass AND has_any_column_privilege(caller, d.refobjid, 'INSERT')) THEN
    RETURN nextval(sequence);
  END IF;
  RAISE EXCEPTION USING errcode = '42501', message = format('permission denied for sequence %s', sequence);
END $pgherd$`;

/** `nextval('public.t_id_seq'::regclass)`, as PostgreSQL writes it under an empty search_path. */
function sequenceOfNextval(expression: string): string | null {
  const match = /^nextval\('((?:[^'\\]|'')+)'::regclass\)$/.exec(expression);
  return match ? match[1]!.replaceAll("''", "'") : null;
}

const plainLiteral = /^(?:true|false|NULL|\(?-?\d+(?:\.\d+)?\)?)$/;
const castLiteral = /^(?:NULL|E?'(?:[^'\\]|''|\\.)*')::(.+)$/s;

/**
 * A literal, or one cast of a literal to the column's own type: PostgreSQL has folded it to a value. Another type means a
 * hidden conversion, which may depend on settings (date to timestamptz).
 */
function isConstant(expression: string, baseTypeName: string): boolean {
  if (plainLiteral.test(expression)) return expression === 'NULL' || plainTypes.has(baseTypeName);
  const castTo = castLiteral.exec(expression)?.[1]?.replace(/\(\d+(?:,\d+)?\)/, '');
  if (castTo === undefined) return false;
  return castTo === baseTypeName || immutableCasts.some((family) => family.has(castTo) && family.has(baseTypeName));
}

const numberTypes = new Set(['smallint', 'integer', 'bigint', 'numeric', 'real', 'double precision']);
const plainTypes = new Set([...numberTypes, 'boolean']);
const immutableCasts = [numberTypes, new Set(['text', 'character varying', 'character', 'bpchar'])];
