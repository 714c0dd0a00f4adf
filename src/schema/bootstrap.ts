import { nextIdentitySql } from '../catalog/column-default.ts';
import { installCatalog } from '../catalog/schema-sql.ts';
import { signalSql } from '../catalog/signal-sql.ts';
import { installStatementStatistics, installStatistics } from '../catalog/statistics-install.ts';
import type { SqlRunner } from '../core/runner.ts';
import { coordinatorSegmentSql } from '../sql/segment-function.ts';
import { adminStubsSql } from './admin-stubs.ts';
import {
  coordinatorGuardsSql,
  firingGateSql,
  inHerdSql,
  makeSecretSql,
  nodeGuardSql,
  referenceGuardSql,
  secretTableSql,
} from './guard-sql.ts';
import { keyWatchTableSql } from './key-watches.ts';
import { insertBackFunctionSql, insertsBackFunctionSql } from './loop-insert-sql.ts';
import { loopsBackFunctionSql } from './loop-sql.ts';
import { ownerFunctionSql } from './owner.ts';

/** Prepares the coordinator's database; changes nothing when it is prepared. Run at every start of a router. */
export async function bootstrapCoordinator(runner: SqlRunner): Promise<void> {
  await installCatalog(runner);
  await installStatistics(runner);
  await runner.query(
    [
      joinableSql,
      expressionsSql,
      keyWatchTableSql,
      ...secretTableSql,
      loopsBackFunctionSql,
      insertsBackFunctionSql,
      ...coordinatorGuardsSql,
      makeSecretSql,
      inHerdSql,
      referenceGuardSql,
      ownerFunctionSql,
      nextIdentitySql,
      coordinatorSegmentSql,
      ...signalSql,
    ].join(';\n'),
  );
  const superuser = await isSuperuser(runner);
  await pinMessageLanguage(runner, superuser, ['shell_guard(regclass)', 'shell_write_guard()']);
  if (superuser) await runner.query(`${insertBackFunctionSql};\n${firingGateSql}`);
  await runner.query(adminStubsSql(superuser ? 'pg_catalog' : 'pgherd').join(';\n'));
}

/** Groups made with `colocate_with := 'none'` are not joined by tables that come later. */
const joinableSql =
  'ALTER TABLE pgherd.colocation_group ADD COLUMN IF NOT EXISTS joinable boolean NOT NULL DEFAULT true';

/** Of global unique indexes: for each column SQL, or null where it is one of the table's. */
const expressionsSql = 'ALTER TABLE pgherd.global_index ADD COLUMN IF NOT EXISTS expressions json';

/** The same for a node, when it joins the herd. */
export async function bootstrapNode(runner: SqlRunner): Promise<void> {
  await installStatementStatistics(runner);
  const schema = ['CREATE SCHEMA IF NOT EXISTS pgherd', 'GRANT USAGE ON SCHEMA pgherd TO PUBLIC'];
  await runner.query(
    [...schema, nodeGuardSql, referenceGuardSql, ...secretTableSql, makeSecretSql, inHerdSql, ownerFunctionSql].join(
      ';\n',
    ),
  );
}

async function isSuperuser(runner: SqlRunner): Promise<boolean> {
  const { rows } = await runner.query("SELECT current_setting('is_superuser')");
  return rows[0]?.[0] === 'on';
}

/** PG_CONTEXT speaks the session's lc_messages, and the guards read it. Only a superuser's function may set that. */
async function pinMessageLanguage(runner: SqlRunner, superuser: boolean, guards: readonly string[]): Promise<void> {
  if (!superuser) return;
  await runner.query(guards.map((guard) => `ALTER FUNCTION pgherd.${guard} SET lc_messages = 'C'`).join(';\n'));
}
