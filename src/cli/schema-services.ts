import type { HerdTransaction } from '../schema/herd.ts';
import { type AdminCall, argumentsSql, matchAdminCall } from '../schema/admin-call.ts';
import { createDistributedTable } from '../schema/distribute.ts';
import { createReferenceTable } from '../schema/reference.ts';
import type { SchemaServices } from '../session/services.ts';

const int4Oid = 23;
const textOid = 25;

/** The schema room as sessions use it. TEMPORARY until admin.ts */
export function schemaServices(_options: { readonly defaultShardCount: number }): SchemaServices {
  const calls = new WeakMap<object, AdminCall | null>();
  const match = (node: object): AdminCall | null => {
    let call = calls.get(node);
    if (call === undefined) {
      call = matchAdminCall(node as never);
      calls.set(node, call);
    }
    return call;
  };
  return {
    isAdminCall: (statement) => match(statement.node) !== null,
    runAdmin: async (statement, parameters, transaction) => {
      const call = match(statement.node)!;
      const sql = argumentsSql(call);
      const args = sql === null ? [] : (await transaction.coordinator.query(sql, parameters.length ? parameters.map((p) => p.bytes?.toString() ?? null) : undefined)).rows[0]!;
      const tx = transaction as HerdTransaction;
      for (const inv of call.invocations) {
        console.error(inv.name, args);
        if (inv.name === 'create_distributed_table') await createDistributedTable(tx, { table: args[0]!, column: args[1]!, method: (args[2] ?? 'hash') as never, colocateWith: args[3] ?? 'default', shardCount: args[4] ? Number(args[4]) : null, shardBounds: args[5] ?? null });
        else if (inv.name === 'create_reference_table') await createReferenceTable(tx, args[0]!);
      }
      transaction.changed();
      return { columns: call.columns!.map((name) => ({ name, typeOid: textOid })), rows: [call.columns!.map(() => '')] };
    },
    classify: () => ({ kind: 'local', changesCatalog: true, outsideTransaction: false }),
    runAction: async () => '',
  };
}
