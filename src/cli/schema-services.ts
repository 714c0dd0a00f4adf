import type { Node } from '@pgsql/types';
import { runAdminCall } from '../schema/admin.ts';
import { type AdminCall, argumentsSql, matchAdminCall } from '../schema/admin-call.ts';
import { classifyDdl, type DdlAction, runDdl } from '../schema/ddl.ts';
import { distributeSchema, settleSchemas } from '../schema/distributed-schemas.ts';
import { fireTriggers } from '../schema/fire-triggers.ts';
import type { SchemaServices } from '../session/services.ts';

/** The schema room as sessions use it. */
export function schemaServices(): SchemaServices {
  // A statement's tree is cached with its text, so what was found in it may be too.
  const calls = new WeakMap<Node, AdminCall | null>();
  const callIn = (node: Node): AdminCall | null => {
    const known = calls.get(node);
    if (known !== undefined) return known;
    const call = matchAdminCall(node);
    calls.set(node, call);
    return call;
  };
  return {
    isAdminCall: ({ node }) => callIn(node) !== null,
    adminArguments({ node }) {
      const call = callIn(node);
      return call === null ? null : argumentsSql(call);
    },
    async runAdmin({ node }, evaluated, transaction) {
      const { columns, typeOids, rows } = await runAdminCall(transaction, callIn(node)!, evaluated);
      return { columns: columns.map((name, index) => ({ name, typeOid: typeOids[index]! })), rows };
    },
    settleSchemas,
    fireTriggers,
    distributeSchema,
    classify: classifyDdl,
    // Sessions hand back what classify() gave them.
    runAction: (action, statement, transaction) => runDdl(transaction, action as DdlAction, statement),
  };
}
