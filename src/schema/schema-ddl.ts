import type { CatalogSnapshot } from '../catalog/snapshot.ts';
import type { QueryResult, SqlRunner } from '../core/runner.ts';
import { quoteIdentifier } from '../sql/quote.ts';
import { changeTables } from './change-tables.ts';
import type { HerdTransaction } from './herd.ts';
import { dropLoopSql } from './loop-sql.ts';
import { schemaGrantsSql } from './node-table.ts';
import { onNodesIfKnown } from './object-ddl.ts';
import { byOwner, ownerOf, runAll } from './owner.ts';
import { onNodes } from './place-table.ts';
import { granteeSql } from './relation-sql.ts';
import { describeSchemas } from './schema-shape.ts';

/** Leaf schemas of a user's schema on a node. */
const leafSchemasSql = `SELECT n.nspname FROM pg_catalog.pg_namespace n
  WHERE n.nspname ~ '^pgherd_s[0-9]+_' AND regexp_replace(n.nspname, '^pgherd_s[0-9]+_', '') = $1 ORDER BY 1`;

/** ALTER SCHEMA … RENAME: the leaves' schemas are called after it. Those of global unique indexes keep their names. */
export async function renameSchema(
  tx: HerdTransaction,
  snapshot: CatalogSnapshot,
  run: () => Promise<QueryResult>,
  { from, to }: { readonly from: string; readonly to: string },
): Promise<QueryResult> {
  const result = await run();
  await onNodes(tx, snapshot, async (node) => {
    const exists = await node.query('SELECT FROM pg_catalog.pg_namespace WHERE nspname = $1', [from]);
    if (exists.rows.length > 0)
      await node.query(`ALTER SCHEMA ${quoteIdentifier(from)} RENAME TO ${quoteIdentifier(to)}`);
    for (const leaf of await leafSchemas(node, from)) {
      const renamed = leaf.slice(0, leaf.length - from.length) + to;
      await ownerOf(node).query(`ALTER SCHEMA ${quoteIdentifier(leaf)} RENAME TO ${quoteIdentifier(renamed)}`);
    }
  });
  tx.changed();
  return result;
}

async function leafSchemas(node: SqlRunner, schema: string): Promise<string[]> {
  const { rows } = await node.query(leafSchemasSql, [schema]);
  return rows.map(([name]) => name!);
}

/** DROP SCHEMA: the coordinator has decided that everything in it may go. */
export async function dropSchemas(
  tx: HerdTransaction,
  snapshot: CatalogSnapshot,
  run: () => Promise<QueryResult>,
  { names, scope }: { readonly names: readonly string[]; readonly scope: readonly number[] },
): Promise<QueryResult> {
  const loops = scope.filter((oid) => names.includes(snapshot.relationsByOid.get(oid)?.schema ?? ''));
  const runAlone = async () => {
    await runAll(tx.coordinator, loops.flatMap(dropLoopSql));
    return run();
  };
  const result = await changeTables(tx, snapshot, { scope, run: runAlone, columns: () => new Map() });
  await onNodes(tx, snapshot, async (node) => {
    for (const name of names) {
      const leaves = await leafSchemas(node, name);
      if (leaves.length > 0) {
        await ownerOf(node).query(`DROP SCHEMA ${leaves.map(quoteIdentifier).join(', ')} CASCADE`);
      }
      await node.query(`DROP SCHEMA IF EXISTS ${quoteIdentifier(name)} CASCADE`);
    }
  });
  tx.changed();
  return result;
}

/** GRANT and REVOKE ON SCHEMA: who may use a schema may use the schemas of its leaves, no more and no fewer. */
export async function changeSchemaPrivileges(
  tx: HerdTransaction,
  snapshot: CatalogSnapshot,
  run: () => Promise<QueryResult>,
  text: string,
): Promise<QueryResult> {
  const before = new Map((await describeSchemas(tx.coordinator)).map((schema) => [schema.name, schema.usage.join()]));
  const result = await run();
  const changed = (await describeSchemas(tx.coordinator)).filter(
    (schema) => before.get(schema.name) !== schema.usage.join(),
  );
  await onNodesIfKnown(tx, snapshot, (node) => node.query(text));
  await onNodes(tx, snapshot, async (node) => {
    for (const schema of changed) {
      for (const leaf of await leafSchemas(node, schema.name)) {
        const quoted = quoteIdentifier(leaf);
        const { rows } = await node.query(grantedSql, [leaf]);
        const revoke = [...rows.map(([role]) => role ?? null), null].map(granteeSql).join(', ');
        await runAll(node, [
          byOwner(`REVOKE ALL ON SCHEMA ${quoted} FROM ${revoke}`),
          ...schemaGrantsSql(quoted, schema),
        ]);
      }
    }
  });
  tx.changed();
  return result;
}

const grantedSql = `SELECT pg_catalog.pg_get_userbyid(g.grantee) FROM pg_catalog.pg_namespace n, pg_catalog.aclexplode(n.nspacl) g
  WHERE n.nspname = $1 AND g.grantee <> 0 AND g.grantee <> n.nspowner`;
