/*
 * A function that create_distributed_function() has given a distribution argument runs on nodes as a copy, which no text of a user's names: so
 * what its guard-free reads have been proven for, one call by the router, is all that it is called by.
 */

/** On nodes. */
export const delegateSchema = 'pgherd_delegated';

/** Begins the name of every copy; function and definition follow. SQL functions are known to the node guard by it. */
export const delegatePrefix = 'pgherd_delegate_';

/**
 * What the copy of the function of row `p` of pg_proc is called as it is now: another definition, owner or right, another name. Under an
 * empty search_path.
 */
export const delegateNameSql = `'${delegatePrefix}' || p.oid || '_' || pg_catalog.substr(pg_catalog.md5(pg_catalog.concat_ws(E'\\n',
    pg_catalog.pg_get_functiondef(p.oid), pg_catalog.pg_get_userbyid(p.proowner),
    (SELECT pg_catalog.string_agg(pg_catalog.concat(x.grantee::regrole, x.privilege_type), ',') FROM pg_catalog.aclexplode(p.proacl) x))), 1, 8)`;

export interface DelegationRow {
  readonly oid: number;
  readonly version: string;
  readonly schema: string;
  readonly name: string;
  readonly language: string;
  readonly kind: string;
  readonly volatility: string;
  /** All, in order, those that only come out as well. */
  readonly argumentNames: readonly string[];
  readonly argumentModes: readonly string[];
  readonly argumentTypes: readonly { readonly oid: number; readonly name: string }[];
  readonly defaults: number;
  readonly variadic: boolean;
  /** Place among all arguments, from 1. */
  readonly distributionArgument: number;
  readonly colocatedWith: number | null;
  readonly force: boolean;
  /** SQL that stands in BEGIN ATOMIC … END or behind RETURN is null here. */
  readonly body: string | null;
  readonly definition: string;
  readonly settings: readonly string[];
  readonly copy: string | null;
  readonly wantedCopy: string;
}

export const delegationsSql = `SELECT p.oid::bigint AS oid, p.xmin::text AS version, n.nspname AS schema, p.proname AS name, l.lanname AS language, p.prokind AS kind,
  p.provolatile AS volatility, a.names AS "argumentNames", a.modes AS "argumentModes", a.types AS "argumentTypes",
  p.pronargdefaults AS defaults, p.provariadic <> 0 AS variadic, d.argument AS "distributionArgument",
  d.colocated_with::bigint AS "colocatedWith", d.force, CASE WHEN to_jsonb(p)->>'prosqlbody' IS NULL THEN p.prosrc END AS body,
  pg_catalog.pg_get_functiondef(p.oid) AS definition, coalesce(p.proconfig, '{}') AS settings,
  d.copy, ${delegateNameSql} AS "wantedCopy"
FROM pgherd.dist_function d
JOIN pg_catalog.pg_proc p ON p.oid = d.function AND p.prokind IN ('f', 'p')
JOIN pg_catalog.pg_namespace n ON n.oid = p.pronamespace
JOIN pg_catalog.pg_language l ON l.oid = p.prolang
CROSS JOIN LATERAL (SELECT coalesce(json_agg(coalesce(p.proargnames[i], '') ORDER BY i), '[]') AS names,
    coalesce(json_agg(coalesce(p.proargmodes[i], 'i') ORDER BY i), '[]') AS modes,
    coalesce(json_agg(json_build_object('oid', y.type::bigint, 'name', pg_catalog.format_type(y.type, NULL)) ORDER BY i), '[]') AS types
  FROM unnest(coalesce(p.proallargtypes, p.proargtypes::oid[])) WITH ORDINALITY AS y(type, i)) a`;
