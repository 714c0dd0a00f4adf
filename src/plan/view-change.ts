import type { ColumnRef, InsertStmt, MergeWhenClause, Node, ReturningClause } from '@pgsql/types';
import { unsupported } from '../core/errors.ts';
import { deparseChecked } from '../sql/deparse.ts';
import { parseStatements, type RawStatement } from '../sql/parse.ts';
import { columnRef, mapNodes, nameParts } from '../sql/walk.ts';
import { mergeActions } from './change-checks.ts';
import type { PlanContext } from './context.ts';
import { type Block, leavesOf, type Model, type RelationItem } from './model.ts';
import { bind, wholeRow } from './resolve.ts';
import { type UpdatableView, updatableView, type ViewColumn } from './updatable-view.ts';

/** A statement that changes a view, as one that changes what the view is made of. */
export interface ThroughView {
  readonly statement: RawStatement;
  /** The last item of RETURNING says whether a row is one of the view's, which WITH CHECK OPTION demands. */
  readonly isChecked: boolean;
  readonly hadReturning: boolean;
  /** What the view's users, and the view's owner on these tables, need. */
  readonly privileges: readonly ViewPrivilege[];
  readonly tables: readonly number[];
}

export type ViewPrivilege = 'SELECT' | 'INSERT' | 'UPDATE' | 'DELETE';

/**
 * As PostgreSQL's rewriter does for automatically updatable views: names of the view's columns become what they stand for, and the view's
 * condition joins that of the statement. Null: PostgreSQL itself has to say what it makes of the statement.
 */
export function throughView({ model, node, target, mustCheck }: ViewTarget, context: PlanContext): ThroughView | null {
  const { relation, block } = target;
  const view = relation && updatableView(relation, target.name, context);
  if (!view) return null;
  if (block.kind === 'merge' && context.snapshot.lowestServerVersion < 170000) return null;
  const change: Change = { view, target, block, references: referencesOf(model, target, view) };
  if (assignedNames(block).some((name) => !columnOf(change, name)?.baseColumn)) return null;
  const isChecked = mustCheck && view.where !== null && block.kind !== 'delete';
  if (isChecked && block !== model.root) throw refused(target, 'in WITH, where the view has a CHECK OPTION');
  const hadReturning = 'returningClause' in block.node && block.node.returningClause !== undefined;
  const rewritten = mapNodes(node, (kind, fields) =>
    (fields as unknown) === block.node
      ? ({ [kind]: changed(change, isChecked) } as unknown as Node)
      : replaced(change, kind, fields),
  );
  const text = deparseChecked(rewritten);
  const [statement] = parseStatements(text);
  if (!statement) throw refused(target, 'that can not be written anew');
  return {
    ...{ statement, isChecked, hadReturning, tables: view.tables },
    privileges: privilegesOf(block, hadReturning || change.references.size > 0),
  };
}

function privilegesOf(block: Block, reads: boolean): ViewPrivilege[] {
  const read: ViewPrivilege[] = reads ? ['SELECT'] : [];
  switch (block.kind) {
    case 'insert': {
      const updates = block.node.onConflictClause?.action === 'ONCONFLICT_UPDATE';
      return updates ? ['INSERT', 'UPDATE', ...read] : ['INSERT', ...read];
    }
    case 'update':
      return ['UPDATE', ...read];
    case 'delete':
      return ['DELETE', ...read];
    default: {
      const commands = mergeActions(block.kind === 'merge' ? block.node.mergeWhenClauses : []);
      const needed = commands.map(({ commandType }) => commandType.replace('CMD_', '')) as (
        | ViewPrivilege
        | 'NOTHING'
      )[];
      return ['SELECT', ...new Set(needed.filter((each) => each !== 'NOTHING'))];
    }
  }
}

export interface ViewTarget {
  readonly model: Model;
  readonly node: Node;
  readonly target: RelationItem;
  /** Rows must be the view's own after the change. */
  readonly mustCheck: boolean;
}

interface Change {
  readonly view: UpdatableView;
  readonly target: RelationItem;
  readonly block: Block;
  /** What stands in the place of references to the view's columns. */
  readonly references: ReadonlyMap<object, Node>;
}

function refused(target: RelationItem, what: string) {
  return unsupported('PH060', `a change through the view ${target.relation?.name} ${what}`);
}

function columnOf({ view }: Change, name: string): ViewColumn | undefined {
  return view.columns.find((column) => column.name === name);
}

function referencesOf(model: Model, target: RelationItem, view: UpdatableView): Map<object, Node> {
  const references = new Map<object, Node>();
  const shownAs = (name: string) => view.columns.find((column) => column.name === name)?.value;
  for (const block of model.blocks) {
    if (block.source !== model.source) continue;
    for (const ref of block.columnRefs) {
      const bound = bind(ref, block);
      const value = bound
        ? bound.item === target
          ? shownAs(bound.column)
          : undefined
        : unbound(ref, block, target, view);
      if (value) references.set(ref, value);
    }
  }
  return references;
}

/** Stars are seen to where they stand, in RETURNING. What may mean the view and isn't certain to is refused. */
function unbound(ref: ColumnRef, block: Block, target: RelationItem, view: UpdatableView): Node | undefined {
  const names = nameParts(ref.fields);
  const name = names.at(-1);
  const qualifier = names.at(-2);
  if (typeof name !== 'string') {
    if (qualifier === target.name && block !== target.block) throw refused(target, 'with its whole row');
    return undefined;
  }
  if (names.length === 1 && wholeRow(ref, block) === target) throw refused(target, 'with its whole row');
  const column = view.columns.find((each) => each.name === name);
  if (!column) return undefined;
  if (names.length === 2 && (qualifier === 'excluded' || qualifier === 'old' || qualifier === 'new')) {
    return mapNodes(column.value, (kind, fields: never) => {
      const parts = kind === 'ColumnRef' ? nameParts((fields as ColumnRef).fields) : [];
      return parts.length === 2 && parts[0] === target.name ? columnRef(qualifier, parts[1]!) : undefined;
    });
  }
  if (qualifier === undefined || qualifier === target.name)
    throw refused(target, `whose ${name} may mean something else`);
  return undefined;
}

function replaced({ references }: Change, kind: string, fields: object): Node | undefined {
  return kind === 'ColumnRef' ? references.get(fields) : undefined;
}

function mapped<T>(change: Change, tree: T): T {
  return mapNodes(tree, (kind, fields) => replaced(change, kind, fields));
}

/** The change itself, over the view's table. */
function changed(change: Change, isChecked: boolean): object {
  const { block, view, target } = change;
  const relation = view.base;
  switch (block.kind) {
    case 'update': {
      const { targetList, whereClause, returningClause, ...rest } = block.node;
      return {
        ...mapped(change, rest),
        relation,
        targetList: renamed(change, mapped(change, targetList)),
        ...whereOf(change, whereClause),
        ...returningOf(change, returningClause, isChecked),
      };
    }
    case 'delete': {
      const { whereClause, returningClause, ...rest } = block.node;
      const returning = returningOf(change, returningClause, false);
      return { ...mapped(change, rest), relation, ...whereOf(change, whereClause), ...returning };
    }
    case 'insert':
      return {
        ...insertion(change, block.node),
        relation,
        ...returningOf(change, block.node.returningClause, isChecked),
      };
    case 'merge': {
      const { joinCondition, mergeWhenClauses, returningClause, ...rest } = block.node;
      return {
        ...mapped(change, rest),
        relation,
        joinCondition: both(view.where, joinCondition ? mapped(change, joinCondition) : null),
        mergeWhenClauses: (mergeWhenClauses ?? []).map((clause) => mergeAction(change, clause)),
        ...returningOf(change, returningClause, isChecked),
      };
    }
    default:
      throw refused(target, 'of this kind');
  }
}

function whereOf(change: Change, where: Node | undefined): { whereClause?: Node } {
  const whole = both(change.view.where, where ? mapped(change, where) : null);
  return whole ? { whereClause: whole } : {};
}

function both(a: Node | null, b: Node | null): Node | undefined {
  if (a && b) return { BoolExpr: { boolop: 'AND_EXPR', args: [...conditionsOf(a), ...conditionsOf(b)] } };
  return a ?? b ?? undefined;
}

/** One list, as the parser reads it: nested ones would be written without parentheses. */
function conditionsOf(condition: Node): readonly Node[] {
  const isList = 'BoolExpr' in condition && condition.BoolExpr.boolop === 'AND_EXPR';
  return isList ? (condition.BoolExpr.args ?? []).flatMap(conditionsOf) : [condition];
}

function insertion(change: Change, node: InsertStmt): object {
  const { cols, onConflictClause, returningClause: _, ...rest } = node;
  const names = cols ?? (node.selectStmt ? firstColumns(change, node.selectStmt) : undefined);
  return {
    ...mapped(change, rest),
    ...(names ? { cols: renamed(change, mapped(change, names)) } : {}),
    ...(onConflictClause ? { onConflictClause: conflictOf(change, mapped(change, onConflictClause)) } : {}),
  };
}

/** The columns that an INSERT without a list fills: as many as it has values. */
function firstColumns({ view }: Change, source: Node): Node[] {
  const select = 'SelectStmt' in source ? source.SelectStmt : undefined;
  const [row] = select?.valuesLists ?? [];
  const items = row && 'List' in row ? row.List.items : select?.targetList;
  const isStar = JSON.stringify(items ?? []).includes('A_Star');
  const width = items && !isStar ? items.length : view.columns.length;
  return view.columns.slice(0, width).map(({ name }) => ({ ResTarget: { name } }));
}

function conflictOf(change: Change, clause: NonNullable<InsertStmt['onConflictClause']>): object {
  const infer = clause.infer?.indexElems?.map((node) => {
    const name = 'IndexElem' in node ? node.IndexElem.name : undefined;
    const own = name === undefined ? undefined : columnOf(change, name)?.baseColumn;
    return own && 'IndexElem' in node ? { IndexElem: { ...node.IndexElem, name: own } } : node;
  });
  return {
    ...clause,
    ...(clause.targetList ? { targetList: renamed(change, clause.targetList) } : {}),
    ...(infer ? { infer: { ...clause.infer, indexElems: infer } } : {}),
  };
}

function mergeAction(change: Change, node: Node): Node {
  if (!('MergeWhenClause' in node)) return node;
  const clause: MergeWhenClause = mapped(change, node.MergeWhenClause);
  const bySource = clause.matchKind === 'MERGE_WHEN_NOT_MATCHED_BY_SOURCE';
  const condition = bySource ? both(change.view.where, clause.condition ?? null) : clause.condition;
  const inserts = clause.commandType === 'CMD_INSERT';
  const all = change.view.columns.slice(0, clause.values?.length ?? 0).map(({ name }) => ({ ResTarget: { name } }));
  const targets = clause.targetList ?? (inserts && clause.values ? all : undefined);
  return {
    MergeWhenClause: {
      ...clause,
      ...(condition ? { condition } : {}),
      ...(targets ? { targetList: renamed(change, targets) } : {}),
    },
  };
}

/** Names of columns that are assigned, as the table has them. */
function renamed(change: Change, targets: readonly Node[] | undefined): Node[] {
  return (targets ?? []).map((node) => {
    if (!('ResTarget' in node)) return node;
    const own = columnOf(change, node.ResTarget.name ?? '')?.baseColumn;
    if (!own) throw refused(change.target, `which assigns ${node.ResTarget.name}`);
    return { ResTarget: { ...node.ResTarget, name: own } };
  });
}

function assignedNames(block: Block): string[] {
  const names = (targets: readonly Node[] | undefined) =>
    (targets ?? []).flatMap((node) => ('ResTarget' in node ? [node.ResTarget.name ?? ''] : []));
  if (block.kind === 'update') return names(block.node.targetList);
  if (block.kind === 'insert') return [...names(block.node.cols), ...names(block.node.onConflictClause?.targetList)];
  if (block.kind !== 'merge') return [];
  return (block.node.mergeWhenClauses ?? []).flatMap((node) =>
    'MergeWhenClause' in node ? names(node.MergeWhenClause.targetList) : [],
  );
}

function returningOf(
  change: Change,
  clause: ReturningClause | undefined,
  isChecked: boolean,
): { returningClause?: ReturningClause } {
  const own = (clause?.exprs ?? []).flatMap((node) => returnedItems(change, node));
  const checked: Node[] = isChecked ? [{ ResTarget: { name: 'pgherd_checked', val: checkOf(change) } }] : [];
  if (!clause && checked.length === 0) return {};
  return { returningClause: { ...clause, exprs: [...own, ...checked] } };
}

/** Whether the row as it has become is one of the view's. */
function checkOf({ view, block }: Change): Node {
  const inside: Node = { BooleanTest: { arg: view.where!, booltesttype: 'IS_TRUE' } };
  if (block.kind !== 'merge') return inside;
  const isDeleted: Node = {
    A_Expr: {
      kind: 'AEXPR_OP',
      name: [{ String: { sval: '=' } }],
      lexpr: { MergeSupportFunc: {} as never },
      rexpr: { A_Const: { sval: { sval: 'DELETE' } } },
    },
  };
  return { BoolExpr: { boolop: 'OR_EXPR', args: [isDeleted, inside] } };
}

function returnedItems(change: Change, node: Node): Node[] {
  const { target, block, view } = change;
  if (!('ResTarget' in node) || !node.ResTarget.val) return [node];
  const { val, name } = node.ResTarget;
  const own = () => view.columns.map((column): Node => ({ ResTarget: { name: column.name, val: column.value } }));
  if ('ColumnRef' in val && nameParts(val.ColumnRef.fields).at(-1) === null) {
    const qualifier = nameParts(val.ColumnRef.fields).at(-2);
    if (qualifier === target.name) return own();
    if (typeof qualifier === 'string') {
      if (qualifier === 'old' || qualifier === 'new') throw refused(target, 'with its whole row');
      return [node];
    }
    const stars = block.from.map((item): Node[] => {
      if (item === target) return own();
      if (item.kind === 'join' && (item.using.length > 0 || item.natural || item.name !== null)) {
        throw refused(target, 'that returns all columns of a join');
      }
      return leavesOf(item).map(({ name: other }) => {
        if (other === null) throw refused(target, 'that returns all columns of what has no name');
        return { ResTarget: { val: { ColumnRef: { fields: [{ String: { sval: other } }, { A_Star: {} }] } } } };
      });
    });
    return (block.kind === 'merge' ? stars.reverse() : stars).flat();
  }
  const shown =
    'ColumnRef' in val && change.references.has(val.ColumnRef) ? nameParts(val.ColumnRef.fields).at(-1) : null;
  const named = name ?? shown ?? undefined;
  return [{ ResTarget: { ...node.ResTarget, val: mapped(change, val), ...(named ? { name: named } : {}) } }];
}
