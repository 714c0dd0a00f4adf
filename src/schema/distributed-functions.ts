import { delegateNameSql, delegateSchema } from '../catalog/delegate-sql.ts';
import { pgError, unsupported } from '../core/errors.ts';
import type { SqlRunner } from '../core/runner.ts';
import { quoteIdentifier, quoteQualified } from '../sql/quote.ts';
import { withPinnedSettings } from './describe-table.ts';
import { notice } from './distribute.ts';
import { nodeGuardSql } from './guard-sql.ts';
import type { HerdTransaction } from './herd.ts';
import { onNodesIfKnown } from './object-ddl.ts';
import { ownerOf } from './owner.ts';

export interface FunctionWish {
  /** As regprocedure writes it. */
  readonly name: string;
  /** A parameter's name, or `$2`; null: calls are not delegated. */
  readonly argument: string | null;
  /** A table, or `default`. */
  readonly colocateWith: string;
  /** An error, where a call could not be delegated for what the function does. */
  readonly force: boolean;
}

/** create_distributed_function(): from now on, calls go to the node of the argument, if that is proven to give the same. */
export async function createDistributedFunction(tx: HerdTransaction, wish: FunctionWish): Promise<void> {
  const { oid, names } = await ownFunction(tx.coordinator, wish.name);
  const catalog = ownerOf(tx.coordinator);
  tx.changed();
  if (wish.argument === null) {
    notice(
      tx,
      'functions are on every node already; without a distribution argument calls of it run on the coordinator',
    );
    await forget(tx, oid);
    return;
  }
  const argument = placeOf(wish.argument, names, wish.name);
  const table = wish.colocateWith === 'default' ? null : await tableNamed(tx.coordinator, wish.colocateWith);
  await catalog.query(
    `INSERT INTO pgherd.dist_function (function, argument, colocated_with, force) VALUES ($1::oid, $2::smallint, $3::oid, $4::boolean)
    ON CONFLICT (function) DO UPDATE SET argument = excluded.argument, colocated_with = excluded.colocated_with, force = excluded.force`,
    [String(oid), String(argument), table, String(wish.force)],
  );
  await settleDelegates(tx);
  await sayWhether(tx, oid, wish);
}

async function sayWhether(tx: HerdTransaction, oid: number, { name, argument, force }: FunctionWish): Promise<void> {
  const obstacle = await tx.delegationObstacle(oid);
  if (obstacle === null) {
    notice(tx, `calls of ${name} with a constant or parameter for ${argument} run on its node`);
    return;
  }
  if (force) throw unsupported('PH058', `${name} can't be delegated to nodes: ${obstacle}`);
  tx.notice({ severity: 'NOTICE', code: '00000', message: `${name} stays on the coordinator: ${obstacle}`, hint });
}

const hint =
  'What is delegated is LANGUAGE sql or plpgsql, and each statement of it reads and changes co-located tables by equality of their distribution column with the argument itself; reference tables are only read.';

async function ownFunction(runner: SqlRunner, name: string): Promise<{ oid: number; names: readonly string[] }> {
  const { rows } = await runner.query(
    `SELECT p.oid, pg_catalog.pg_has_role(p.proowner, 'USAGE'), p.prokind,
      (SELECT coalesce(json_agg(coalesce(p.proargnames[i], '') ORDER BY i), '[]') FROM generate_series(1, coalesce(cardinality(p.proallargtypes), p.pronargs)) i)
    FROM pg_catalog.pg_proc p WHERE p.oid = $1::regprocedure`,
    [name],
  );
  const [oid, isOwn, kind, names] = rows[0] ?? [];
  if (isOwn !== 't') throw pgError('insufficientPrivilege', `must be owner of function ${name}`);
  if (kind !== 'f' && kind !== 'p') throw pgError('wrongObjectType', `${name} is an aggregate or window function`);
  return { oid: Number(oid), names: JSON.parse(names!) as string[] };
}

/** From 1. */
function placeOf(argument: string, names: readonly string[], name: string): number {
  const number = /^\$(\d+)$/.exec(argument)?.[1];
  const place = number === undefined ? names.indexOf(argument) + 1 : Number(number);
  if (place >= 1 && place <= names.length) return place;
  throw pgError('invalidParameterValue', `${name} has no argument "${argument}"`, {
    hint: "Name one of its parameters, or its place: '$1'.",
  });
}

async function tableNamed(runner: SqlRunner, name: string): Promise<string> {
  const { rows } = await runner.query(
    'SELECT t.relation FROM pgherd.dist_table t WHERE t.relation = $1::regclass AND cardinality(t.key_columns) = 1',
    [name],
  );
  const [oid] = rows[0] ?? [];
  if (oid != null) return oid;
  throw pgError('invalidParameterValue', `"${name}" is no table distributed by one column`, {
    hint: "colocate_with names a distributed table, or is 'default'.",
  });
}

interface Copy {
  readonly oid: string;
  readonly known: string | null;
  /** null: the function is no more. */
  readonly wanted: string | null;
  readonly createSql: string | null;
}

/** Nodes get the copies of functions that have changed, or lose those of functions that are gone. */
export async function settleDelegates(tx: HerdTransaction): Promise<void> {
  const copies = await staleCopies(tx.coordinator);
  if (copies.length === 0) return;
  const catalog = ownerOf(tx.coordinator);
  for (const { oid, known, wanted, createSql } of copies) {
    const isThere = await onNodesIfKnown(tx, await tx.snapshot(), async (node, { name }) => {
      if (wanted !== null) await prepareNode(tx, node, name);
      const old =
        known === null || known === wanted ? [] : [`DROP ROUTINE IF EXISTS ${quoteQualified(delegateSchema, known)}`];
      for (const sql of [...old, ...(createSql === null ? [] : (JSON.parse(createSql) as string[]))]) {
        await ownerOf(node).query(sql);
      }
    });
    if (wanted === null) await catalog.query('DELETE FROM pgherd.dist_function WHERE function = $1::oid', [oid]);
    else {
      const copy = isThere ? wanted : null;
      await catalog.query('UPDATE pgherd.dist_function SET copy = $2 WHERE function = $1::oid', [oid, copy]);
    }
  }
  tx.changed();
}

/** A node that has come to the herd has none yet. */
export async function renewDelegates(tx: HerdTransaction): Promise<void> {
  await ownerOf(tx.coordinator).query('UPDATE pgherd.dist_function SET copy = NULL');
  await settleDelegates(tx);
}

async function forget(tx: HerdTransaction, oid: number): Promise<void> {
  const { rows } = await tx.coordinator.query('SELECT copy FROM pgherd.dist_function WHERE function = $1::oid', [
    String(oid),
  ]);
  const [copy] = rows[0] ?? [];
  if (copy != null) {
    const drop = `DROP ROUTINE IF EXISTS ${quoteQualified(delegateSchema, copy)}`;
    await onNodesIfKnown(tx, await tx.snapshot(), (node) => ownerOf(node).query(drop));
  }
  await ownerOf(tx.coordinator).query('DELETE FROM pgherd.dist_function WHERE function = $1::oid', [String(oid)]);
}

/** The schema of the copies, and a guard that knows them. Unqualified names are to mean there what they mean on the coordinator. */
async function prepareNode(tx: HerdTransaction, node: SqlRunner, name: string): Promise<void> {
  const pathSql = "SELECT reset_val FROM pg_catalog.pg_settings WHERE name = 'search_path'";
  const [{ rows: own }, { rows: other }] = await Promise.all([tx.coordinator.query(pathSql), node.query(pathSql)]);
  if (own[0]?.[0] !== other[0]?.[0]) {
    throw pgError(
      'objectNotInPrerequisiteState',
      `node "${name}" has another search_path by default than the coordinator`,
    );
  }
  await node.query('SET LOCAL check_function_bodies = off');
  const { rows } = await node.query('SELECT FROM pg_catalog.pg_namespace WHERE nspname = $1', [delegateSchema]);
  if (rows.length > 0) return;
  const schema = quoteIdentifier(delegateSchema);
  for (const sql of [`CREATE SCHEMA ${schema}`, `GRANT USAGE ON SCHEMA ${schema} TO PUBLIC`, nodeGuardSql]) {
    await ownerOf(node).query(sql);
  }
}

async function staleCopies(coordinator: SqlRunner): Promise<Copy[]> {
  const { rows: any } = await coordinator.query('SELECT FROM pgherd.dist_function LIMIT 1');
  if (any.length === 0) return [];
  return withPinnedSettings(coordinator, async () => {
    const { rows } = await coordinator.query(copiesSql);
    return rows.map(([oid, known, wanted, createSql]) => ({
      ...{ oid: oid!, known: known ?? null, wanted: wanted ?? null, createSql: createSql ?? null },
    }));
  });
}

/** The definition under the copy's name, its owner and who may call it. */
const copiesSql = `SELECT d.function, d.copy, w.wanted, CASE WHEN w.wanted IS NOT NULL THEN to_json(array_remove(ARRAY[
    concat('CREATE OR REPLACE ', k.kind, ' ${delegateSchema}.', w.wanted, '(',
      substr(pg_get_functiondef(p.oid), length(concat('CREATE OR REPLACE ', k.kind, ' ', quote_ident(n.nspname), '.', quote_ident(p.proname), '(')) + 1)),
    format('ALTER ROUTINE ${delegateSchema}.%I OWNER TO %I', w.wanted, pg_get_userbyid(p.proowner)),
    CASE WHEN p.proacl IS NOT NULL THEN format('REVOKE ALL ON ROUTINE ${delegateSchema}.%I FROM PUBLIC', w.wanted) END]
    || ARRAY(SELECT format('GRANT EXECUTE ON ROUTINE ${delegateSchema}.%I TO %s', w.wanted,
        CASE x.grantee WHEN 0 THEN 'PUBLIC' ELSE quote_ident(pg_get_userbyid(x.grantee)) END) FROM aclexplode(p.proacl) x), NULL)) END
FROM pgherd.dist_function d
LEFT JOIN pg_catalog.pg_proc p ON p.oid = d.function
LEFT JOIN pg_catalog.pg_namespace n ON n.oid = p.pronamespace
CROSS JOIN LATERAL (SELECT CASE p.prokind WHEN 'p' THEN 'PROCEDURE' ELSE 'FUNCTION' END AS kind) k
CROSS JOIN LATERAL (SELECT CASE WHEN p.oid IS NOT NULL THEN ${delegateNameSql} END AS wanted) w
WHERE d.copy IS DISTINCT FROM w.wanted`;
