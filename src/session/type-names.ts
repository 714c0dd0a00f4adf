import type { SessionState } from './session-state.ts';

/** Type names by OID, as `format_type` writes them with an empty search_path. OIDs of built-in types never change. */
const builtinNames = new Map<number, string>([
  [16, 'boolean'],
  [17, 'bytea'],
  [18, '"char"'],
  [19, 'name'],
  [20, 'bigint'],
  [21, 'smallint'],
  [23, 'integer'],
  [25, 'text'],
  [26, 'oid'],
  [114, 'json'],
  [700, 'real'],
  [701, 'double precision'],
  [1042, 'character'],
  [1043, 'character varying'],
  [1082, 'date'],
  [1083, 'time without time zone'],
  [1114, 'timestamp without time zone'],
  [1184, 'timestamp with time zone'],
  [1186, 'interval'],
  [1700, 'numeric'],
  [2950, 'uuid'],
  [3802, 'jsonb'],
  [1007, 'integer[]'],
  [1016, 'bigint[]'],
  [1009, 'text[]'],
]);

/** Of a built-in type. */
export function builtinTypeName(oid: number): string | undefined {
  return builtinNames.get(oid);
}

/** The name of a type, safe to write in a cast. Asked of the coordinator once for those not built in above. */
export async function typeNameOf(session: SessionState, oid: number): Promise<string> {
  const known = builtinNames.get(oid);
  if (known !== undefined) return known;
  const cached = session.typeNames.get(oid);
  if (cached !== undefined) return cached;
  const connection = await session.coordinator();
  const result = await connection.query(
    `SELECT CASE WHEN t.typnamespace = 'pg_catalog'::regnamespace THEN format_type(t.oid, NULL)
                 ELSE format('%I.%I', n.nspname, t.typname) END
       FROM pg_catalog.pg_type t JOIN pg_catalog.pg_namespace n ON n.oid = t.typnamespace WHERE t.oid = ${oid}`,
  );
  const name = result.rows[0]?.[0] ?? 'text';
  session.typeNames.set(oid, name);
  return name;
}
