import type { Node, RangeVar, SelectStmt } from '@pgsql/types';
import type { RelationEntry } from '../catalog/snapshot.ts';
import { assert } from '../core/assert.ts';
import { unsupported } from '../core/errors.ts';
import { parseStatements } from '../sql/parse.ts';
import { columnRef, mapNodes, nameParts } from '../sql/walk.ts';
import { analyze } from './analyze.ts';
import type { PlanContext } from './context.ts';
import { candidates, isAggregate } from './functions.ts';
import { leavesOf, type Model, type RelationItem } from './model.ts';
import { bind, wholeRow } from './resolve.ts';

/** A view that PostgreSQL changes the table of, when it is changed (the manual's "Updatable Views"). */
export interface UpdatableView {
  readonly base: RangeVar;
  /** OID of the base, unless it is a view too. */
  readonly tables: readonly number[];
  readonly columns: readonly ViewColumn[];
  /** Over the base table, called by the alias. */
  readonly where: Node | null;
}

export interface ViewColumn {
  readonly name: string;
  /** Over the base table, called by the alias. */
  readonly value: Node;
  /** The base table's column, when it is nothing else: only then can it be assigned. */
  readonly baseColumn: string | null;
}

/**
 * What a change of the view, in a statement that calls it `alias`, means for its table. Null: PostgreSQL does not change such a view by
 * itself.
 */
export function updatableView(relation: RelationEntry, alias: string, context: PlanContext): UpdatableView | null {
  const { viewOptions, viewDefinition } = relation;
  const [statement] = viewDefinition ? parseStatements(viewDefinition) : [];
  assert(statement, 'a view has a definition');
  const refused = (why: string) => unsupported('PH060', `a change through the view ${relation.name}, which ${why}`);
  if (!viewOptions) throw refused('is temporary');
  if (viewOptions.hasActions) throw refused('has a trigger or rule of its own');
  if (viewOptions.isBarrier) throw refused('is a security barrier');
  const model = analyze(statement.node, statement, { ...context, ...viewNames });
  const { root } = model;
  const [base, ...others] = root.from;
  if (root.kind !== 'select' || !isSimple(root.node, context)) return null;
  if (!base || others.length > 0 || base.kind === 'other' || base.kind === 'join') return null;
  // A view beneath is expanded, since it is read; what is changed is the view itself.
  const range = root.node.fromClause?.[0];
  if (!range || !('RangeVar' in range)) return null;
  if (base.kind === 'relation' && base.sample) return null;
  const uses = usesOf(model, base, alias);
  if (uses === null) throw refused('has whole rows, system columns or ambiguous names in its definition');
  const embed = (node: Node): Node =>
    mapNodes(node, (kind, fields) => {
      const name = kind === 'ColumnRef' ? uses.get(fields) : undefined;
      return name === undefined ? undefined : columnRef(alias, name);
    });
  const columns = relation.columns.map(({ name }, i): ViewColumn => {
    const target = root.node.targetList?.[i];
    const value = target && 'ResTarget' in target ? target.ResTarget.val : undefined;
    assert(value, `column ${name} of a view has a value`);
    const own = 'ColumnRef' in value ? uses.get(value.ColumnRef) : undefined;
    return { name, value: embed(value), baseColumn: own ?? null };
  });
  const { alias: _, ...bare } = range.RangeVar;
  return {
    base: { ...bare, alias: { aliasname: alias } },
    tables: base.kind === 'relation' && base.relation ? [base.relation.oid] : [],
    columns,
    where: root.node.whereClause ? embed(root.node.whereClause) : null,
  };
}

const viewNames = { inView: true as const, searchPath: ['pg_catalog'], temporaryNames: new Set<string>() };

/** view_query_is_auto_updatable. */
function isSimple(node: SelectStmt, context: PlanContext): boolean {
  if (node.distinctClause || node.groupClause || node.havingClause || node.withClause || node.windowClause)
    return false;
  if (node.limitCount || node.limitOffset) return false;
  let simple = true;
  mapNodes(node.targetList, (kind, fields: never) => {
    if (kind === 'SubLink') return { A_Const: {} };
    if (kind === 'FuncCall') {
      const { over, funcname } = fields as { over?: unknown; funcname?: Node[] };
      const [name = '', schema = null] = nameParts(funcname).reverse();
      const returnsSet = candidates(name ?? '', schema, { ...context, ...viewNames }).some((each) => each.returnsSet);
      simple &&= !over && !returnsSet && !isAggregate(fields, { ...context, ...viewNames });
    }
    return undefined;
  });
  return simple;
}

/** Which references mean which column of the base; null: not all of them are certain. */
function usesOf(model: Model, base: Model['root']['from'][number], alias: string): Map<object, string> | null {
  const uses = new Map<object, string>();
  for (const block of model.blocks) {
    if (block.source !== model.source) continue;
    const hides = block.from.flatMap(leavesOf).some((leaf) => leaf !== base && leaf.name === alias);
    if (hides) return null;
    for (const ref of block.columnRefs) {
      const bound = bind(ref, block);
      if (bound?.item === base) uses.set(ref, bound.column);
      else if (bound === null && (block === model.root || wholeRow(ref, block) === (base as RelationItem))) return null;
    }
  }
  return uses;
}
