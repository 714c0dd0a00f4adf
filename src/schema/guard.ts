import { insertBackName } from '../catalog/loop-names.ts';
import type { SqlRunner } from '../core/runner.ts';
import { quoteIdentifier, quoteLiteral, quoteQualified } from '../sql/quote.ts';
import { arrayText } from './array-text.ts';
import { closeShellsSql, openShellsSql, shellGuardName } from './guard-sql.ts';
import { createLoopSql, dropLoopSql } from './loop-sql.ts';
import { byOwner, ownerOf, runAll } from './owner.ts';

export interface GuardedTable {
  /** OID of the shell on the coordinator: names the statistics objects on all servers. */
  readonly oid: number;
  readonly schema: string;
  readonly name: string;
}

/** Makes every read and write of the shell raise, but for the router's own. */
export function guardShellSql(table: GuardedTable): string[] {
  return [...readGuardSql(table, 'shell_guard'), ...writeGuardSql(table, 'shell_write_guard'), ...createLoopSql(table)];
}

export function unguardShellSql(table: GuardedTable): string[] {
  return [
    ...dropLoopSql(table.oid),
    byOwner(`DROP STATISTICS IF EXISTS pgherd.${guardStatistics(table)}`),
    ...dropWriteGuardSql(table),
  ];
}

/** On the parent on a node: reads by functions raise. */
export function guardParentSql(table: GuardedTable): string[] {
  return readGuardSql(table, 'node_guard');
}

/** On every copy of a reference table: writes by functions raise. */
export function guardReferenceSql(table: GuardedTable): string[] {
  return writeGuardSql(table, 'reference_write_guard');
}

export function dropWriteGuardSql(table: GuardedTable): string[] {
  return [`DROP TRIGGER IF EXISTS ${shellGuardName} ON ${quoteQualified(table.schema, table.name)}`];
}

function readGuardSql(table: GuardedTable, guard: string): string[] {
  const name = quoteQualified(table.schema, table.name);
  // The argument is the relation's OID in disguise: it survives renames.
  const expression = `pgherd.${guard}(${quoteLiteral(name)}::regclass)`;
  return [byOwner(`CREATE STATISTICS pgherd.${guardStatistics(table)} ON (${expression}) FROM ${name}`)];
}

function writeGuardSql(table: GuardedTable, guard: string): string[] {
  const name = quoteQualified(table.schema, table.name);
  return [
    `CREATE TRIGGER ${shellGuardName} BEFORE INSERT OR UPDATE OR DELETE OR TRUNCATE ON ${name}
  FOR EACH STATEMENT EXECUTE FUNCTION pgherd.${guard}()`,
    `ALTER TABLE ${name} ENABLE ALWAYS TRIGGER ${shellGuardName}`,
  ];
}

function guardStatistics(table: GuardedTable): string {
  return quoteIdentifier(`t${table.oid}_guard`);
}

/** After DDL that may have taken a guard away or switched it off (DROP STATISTICS, DISABLE TRIGGER USER). */
export async function restoreGuards(
  runner: SqlRunner,
  tables: readonly { readonly table: GuardedTable; readonly kind: 'distributed' | 'reference' }[],
): Promise<void> {
  const { rows } = await runner.query(guardStateSql, [arrayText(tables.map(({ table }) => table.oid))]);
  const repairs = tables.flatMap(({ table, kind }) => {
    const [, trigger, statistics, loop] = rows.find(([oid]) => Number(oid) === table.oid) ?? [];
    const write = kind === 'distributed' ? writeGuardSql(table, 'shell_write_guard') : guardReferenceSql(table);
    return [
      ...(trigger === 'A' ? [] : [...dropWriteGuardSql(table), ...write]),
      ...(kind === 'reference' || statistics === '1' ? [] : readGuardSql(table, 'shell_guard')),
      ...(kind === 'reference' || loop === 't' ? [] : createLoopSql(table)),
    ];
  });
  await runAll(runner, repairs);
}

const guardStateSql = `SELECT c.oid,
  (SELECT g.tgenabled FROM pg_catalog.pg_trigger g WHERE g.tgrelid = c.oid AND g.tgname = '${shellGuardName}'),
  (SELECT count(*) FROM pg_catalog.pg_statistic_ext s WHERE s.stxrelid = c.oid AND s.stxnamespace = 'pgherd'::regnamespace),
  EXISTS (SELECT FROM pg_catalog.pg_inherits i WHERE i.inhparent = c.oid)
    AND (SELECT count(*) = 2 FROM pg_catalog.pg_trigger g
      WHERE g.tgrelid = c.oid AND starts_with(g.tgname, '${insertBackName}') AND g.tgenabled = 'A')
FROM unnest($1::oid[]) c(oid)`;

/**
 * Runs one of the router's own statements on the coordinator that must look into (empty) shells: validating a foreign
 * key, TRUNCATE. No user code may run in it: it would see the shells empty.
 */
export async function withShellAccess<T>(runner: SqlRunner, work: () => Promise<T>): Promise<T> {
  // The token is made where the secret is: it takes no parameter that an error could show.
  await ownerOf(runner).query(openShellsSql);
  const result = await work();
  await runner.query(closeShellsSql);
  return result;
}
