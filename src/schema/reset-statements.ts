import { statementSchemaSql } from '../catalog/statistics-install.ts';
import { settled } from '../core/settled.ts';
import { quoteIdentifier } from '../sql/quote.ts';
import type { HerdTransaction } from './herd.ts';
import { activeNodes } from './place-table.ts';

/** pg_stat_statements_reset() on all servers, as the session's role. Roles and databases are named by the coordinator's OIDs; 0: all. */
export async function resetStatements(
  tx: HerdTransaction,
  [user, database, query]: readonly [string, string, string],
): Promise<void> {
  const { rows } = await tx.coordinator.query(
    `SELECT (SELECT r.rolname FROM pg_catalog.pg_roles r WHERE r.oid = $1::oid),
      (SELECT d.datname FROM pg_catalog.pg_database d WHERE d.oid = $2::oid)`,
    [user, database],
  );
  const [role = null, name = null] = rows[0] ?? [];
  // Somebody who isn't there has no statements; 0 would mean everybody.
  if ((user !== '0' && role === null) || (database !== '0' && name === null)) return;
  const nodes = activeNodes(await tx.snapshot()).map(({ id }) => id);
  await settled(
    (['coordinator', ...nodes] as const).map((site) =>
      tx.beside(site, async (runner) => {
        const [found] = (await runner.query(statementSchemaSql)).rows;
        if (!found) return;
        await runner.query(
          `SELECT ${quoteIdentifier(found[0]!)}.pg_stat_statements_reset(
            coalesce((SELECT r.oid FROM pg_catalog.pg_roles r WHERE r.rolname = $1), 0),
            coalesce((SELECT d.oid FROM pg_catalog.pg_database d WHERE d.datname = $2), 0), $3::bigint)`,
          [role, name, query],
        );
      }),
    ),
  );
}
