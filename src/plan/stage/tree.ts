import type { Node, SelectStmt } from '@pgsql/types';
import { type FromItem, leavesOf, type SelectBlock } from '../model.ts';

/** The nodes of FROM, by what the model made of them. */
export function fromNodes(block: SelectBlock): ReadonlyMap<FromItem, Node> {
  const nodes = new Map<FromItem, Node>();
  const visit = (item: FromItem, node: Node | undefined) => {
    if (!node) return;
    nodes.set(item, node);
    if (item.kind !== 'join' || !('JoinExpr' in node)) return;
    visit(item.left, node.JoinExpr.larg);
    visit(item.right, node.JoinExpr.rarg);
  };
  for (const [i, item] of block.from.entries()) visit(item, block.node.fromClause?.[i]);
  return nodes;
}

/** The fields of a wrapped node, by which it is known to `changeTree`. */
export function fieldsOf(node: Node): object {
  return Object.values(node)[0] as object;
}

export interface TreeChanges {
  /** By the fields of the nodes whose places they take; not looked into again. */
  readonly nodes?: ReadonlyMap<object, Node>;
  /** The new fields of queries, by their present ones; what is in them is changed too. */
  readonly queries?: ReadonlyMap<object, SelectStmt>;
}

/** A copy of the tree with these changes. */
export function changeTree<T>(value: T, changes: TreeChanges): T {
  if (Array.isArray(value)) return value.map((item) => changeTree(item, changes)) as T;
  if (typeof value !== 'object' || value === null) return value;
  const entries = Object.entries(changes.queries?.get(value) ?? value);
  const [first] = entries;
  const replacement = first && entries.length === 1 ? changes.nodes?.get(first[1] as object) : undefined;
  if (replacement) return replacement as T;
  return Object.fromEntries(entries.map(([key, child]) => [key, changeTree(child, changes)])) as T;
}

export function selectOf(parts: SelectStmt): Node {
  return { SelectStmt: { limitOption: 'LIMIT_OPTION_DEFAULT', op: 'SETOP_NONE', ...parts } };
}

export function target(name: string, val: Node): Node {
  return { ResTarget: { name, val } };
}

export function rangeVar(schemaname: string, relname: string, aliasname: string): Node {
  return { RangeVar: { schemaname, relname, inh: true, relpersistence: 'p', alias: { aliasname } } };
}

export function conjunction(conditions: readonly Node[]): Node | undefined {
  const [first] = conditions;
  if (!first || conditions.length === 1) return first;
  return { BoolExpr: { boolop: 'AND_EXPR', args: [...conditions] } };
}

export function whereOf(conditions: readonly Node[]): Pick<SelectStmt, 'whereClause'> {
  const whereClause = conjunction(conditions);
  return whereClause ? { whereClause } : {};
}

export function equality(lexpr: Node, rexpr: Node): Node {
  return { A_Expr: { kind: 'AEXPR_OP', name: [{ String: { sval: '=' } }], lexpr, rexpr } };
}

/** The condition in parts joined by AND. */
export function conditionsOf(condition: Node | undefined): Node[] {
  if (!condition) return [];
  if ('BoolExpr' in condition && condition.BoolExpr.boolop === 'AND_EXPR') {
    return (condition.BoolExpr.args ?? []).flatMap(conditionsOf);
  }
  return [condition];
}

export function leavesIn(items: readonly FromItem[]) {
  return items.flatMap(leavesOf);
}

export function integerConstant(value: number): Node {
  return { A_Const: { ival: value === 0 ? {} : { ival: value } } };
}
