import type { Node } from '@pgsql/types';
import { runAdminCall } from '../schema/admin.ts';
import { type AdminCall, argumentsSql, matchAdminCall } from '../schema/admin-call.ts';
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
    classify: ({ node }, snapshot) => {
      const kind = Object.keys(node)[0] ?? '';
      const everywhere = ['CreateEnumStmt', 'CreateDomainStmt', 'CompositeTypeStmt', 'CreateFunctionStmt'];
      if (everywhere.includes(kind))
        return { kind: 'everywhere', changesCatalog: true, outsideTransaction: false, nodes: snapshot.nodes } as never;
      return { kind: 'local', changesCatalog: true, outsideTransaction: false };
    },
    runAction: async (action, statement, transaction) => {
      const { tag } = await transaction.coordinator.query(statement.text);
      for (const node of (action as never as { nodes: { id: number }[] }).nodes)
        await (await transaction.node(node.id)).query(statement.text);
      transaction.changed();
      return tag;
    },
  };
}
