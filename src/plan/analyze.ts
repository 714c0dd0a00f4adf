import type { Alias, LockingClause, Node, RangeVar, SelectStmt, WithClause } from '@pgsql/types';
import { assert } from '../core/assert.ts';
import { unsupported } from '../core/errors.ts';
import type { RelationEntry } from '../catalog/snapshot.ts';
import { parseStatements, type RawStatement } from '../sql/parse.ts';
import { createSource, type SqlSource } from '../sql/source.ts';
import { nameParts, walk } from '../sql/walk.ts';
import type { PlanContext } from './context.ts';
import type { Block, Child, FromItem, JoinItem, Model, QueryItem, RelationItem } from './model.ts';
import { findRelation, roleOf } from './relation-role.ts';

/** The model of a SELECT, VALUES, INSERT, UPDATE, DELETE or MERGE; `node` is the statement or the query inside a utility. */
export function analyze(node: Node, statement: RawStatement, context: PlanContext): Model {
  const collector: Collector = { context, blocks: [], relations: [], views: [] };
  const source = createSource(statement);
  const root = analyzeQuery(node, { collector, source, ctes: null, scopeParent: null, lock: null });
  return { source, root, ...collector };
}

interface Collector {
  readonly context: PlanContext;
  readonly blocks: Block[];
  readonly relations: RelationItem[];
  readonly views: QueryItem[];
}

/** The names of CTEs that a block sees, innermost first. */
interface CteNames {
  readonly names: Set<string>;
  readonly outer: CteNames | null;
}

interface Surroundings {
  readonly collector: Collector;
  readonly source: SqlSource;
  readonly ctes: CteNames | null;
  readonly scopeParent: Block | null;
  /** FOR UPDATE of a query around reaches into subqueries in FROM. */
  readonly lock: LockingClause | null;
}

function analyzeQuery(node: Node, around: Surroundings): Block {
  if ('SelectStmt' in node) return analyzeSelect(node.SelectStmt, around);
  if ('InsertStmt' in node) return analyzeInsert({ kind: 'insert', node: node.InsertStmt }, around);
  if ('UpdateStmt' in node) return analyzeUpdate({ kind: 'update', node: node.UpdateStmt }, around);
  if ('DeleteStmt' in node) return analyzeDelete({ kind: 'delete', node: node.DeleteStmt }, around);
  if ('MergeStmt' in node) return analyzeMerge({ kind: 'merge', node: node.MergeStmt }, around);
  throw unsupported('PH002', `a query of kind ${Object.keys(node)[0]}`);
}

type BlockHead = Block extends infer B ? (B extends Block ? Pick<B, 'kind' | 'node'> : never) : never;

function createBlock(head: BlockHead, around: Surroundings): Block {
  const where = 'whereClause' in head.node ? (head.node.whereClause ?? null) : null;
  const { source, scopeParent } = around;
  const block = {
    ...head,
    ...{ source, scopeParent, where, from: [], children: [], columnRefs: [], functions: [], sessionValues: [] },
    ...{ parameters: [], casts: [], operators: [], targets: [], currentOf: false },
  } as Block;
  around.collector.blocks.push(block);
  return block;
}

function analyzeSelect(select: SelectStmt, around: Surroundings): Block {
  if (select.valuesLists) {
    const block = createBlock({ kind: 'values', node: select }, around);
    const inside = analyzeWith(select.withClause, block, around);
    scan([select.valuesLists, select.sortClause, select.limitCount, select.limitOffset], block, inside);
    return block;
  }
  if (select.op !== undefined && select.op !== 'SETOP_NONE') {
    const block = createBlock({ kind: 'set operation', node: select }, around);
    const inside = { ...analyzeWith(select.withClause, block, around), lock: null };
    for (const arm of [select.larg, select.rarg]) {
      if (arm) block.children.push({ via: 'arm', block: analyzeSelect(arm, inside) });
    }
    scan([select.sortClause, select.limitCount, select.limitOffset], block, inside);
    return block;
  }
  const block = createBlock({ kind: 'select', node: select }, around);
  const inside = analyzeWith(select.withClause, block, around);
  for (const item of select.fromClause ?? []) block.from.push(analyzeFrom(item, block, inside));
  scan([select.targetList, select.distinctClause, select.whereClause, select.groupClause], block, inside);
  scan([select.havingClause, select.windowClause, select.sortClause], block, inside);
  scan([select.limitCount, select.limitOffset], block, inside);
  return block;
}

function analyzeInsert(head: BlockHead & { kind: 'insert' }, around: Surroundings): Block {
  const { node } = head;
  const block = createBlock(head, around);
  const inside = analyzeWith(node.withClause, block, around);
  block.from.push(analyzeTarget(node.relation, block, inside));
  if (node.selectStmt) {
    const source = analyzeQuery(node.selectStmt, { ...inside, scopeParent: null, lock: null });
    block.children.push({ via: 'insert source', block: source });
  }
  scan([node.cols, node.onConflictClause, node.returningClause], block, inside);
  return block;
}

function analyzeUpdate(head: BlockHead & { kind: 'update' }, around: Surroundings): Block {
  const { node } = head;
  const block = createBlock(head, around);
  const inside = analyzeWith(node.withClause, block, around);
  block.from.push(analyzeTarget(node.relation, block, inside));
  for (const item of node.fromClause ?? []) block.from.push(analyzeFrom(item, block, inside));
  // (a, b) = (SELECT …) repeats its source in each target: it counts once.
  const targets = (node.targetList ?? []).filter((target) => !isLaterMultiAssign(target));
  scan([targets, node.whereClause, node.returningClause], block, inside);
  return block;
}

function isLaterMultiAssign(target: Node): boolean {
  const value = 'ResTarget' in target ? target.ResTarget.val : undefined;
  return value !== undefined && 'MultiAssignRef' in value && (value.MultiAssignRef.colno ?? 1) > 1;
}

function analyzeDelete(head: BlockHead & { kind: 'delete' }, around: Surroundings): Block {
  const { node } = head;
  const block = createBlock(head, around);
  const inside = analyzeWith(node.withClause, block, around);
  block.from.push(analyzeTarget(node.relation, block, inside));
  for (const item of node.usingClause ?? []) block.from.push(analyzeFrom(item, block, inside));
  scan([node.whereClause, node.returningClause], block, inside);
  return block;
}

function analyzeMerge(head: BlockHead & { kind: 'merge' }, around: Surroundings): Block {
  const { node } = head;
  const block = createBlock(head, around);
  const inside = analyzeWith(node.withClause, block, around);
  block.from.push(analyzeTarget(node.relation, block, inside));
  if (node.sourceRelation) block.from.push(analyzeFrom(node.sourceRelation, block, inside));
  scan([node.joinCondition, node.mergeWhenClauses, node.returningClause], block, inside);
  return block;
}

/** The CTEs of a WITH become children; what is around the rest of the statement is returned. */
function analyzeWith(clause: WithClause | undefined, block: Block, around: Surroundings): Surroundings {
  const lock = block.kind === 'select' ? around.lock : null;
  if (!clause?.ctes) return { ...around, lock };
  let ctes: CteNames = { names: new Set(), outer: around.ctes };
  const names = clause.ctes.map((node) => ('CommonTableExpr' in node ? (node.CommonTableExpr.ctename ?? '') : ''));
  if (clause.recursive) ctes = { names: new Set(names), outer: around.ctes };
  clause.ctes.forEach((node, i) => {
    const query = 'CommonTableExpr' in node ? node.CommonTableExpr.ctequery : undefined;
    assert(query, 'a CTE has a query');
    const child = analyzeQuery(query, { ...around, ctes, scopeParent: block.scopeParent, lock: null });
    block.children.push({ via: 'cte', name: names[i]!, block: child });
    if (!clause.recursive) ctes = { names: new Set([...ctes.names, names[i]!]), outer: around.ctes };
  });
  return { ...around, ctes, lock };
}

function isCte(name: string, ctes: CteNames | null): boolean {
  for (let scope = ctes; scope; scope = scope.outer) if (scope.names.has(name)) return true;
  return false;
}

function analyzeTarget(node: RangeVar | undefined, block: Block, around: Surroundings): FromItem {
  assert(node, 'a change has a target');
  const relation = findRelation(node, around.collector.context);
  if (relation?.kind === 'view' && readsElsewhere(relation, around.collector.context)) {
    throw unsupported('PH002', `a change through the view ${relation.name}`, { hint: 'Change the table itself.' });
  }
  return addRelation(relationItem(node, block, around, { isTarget: true, relation }), around);
}

function analyzeFrom(node: Node, block: Block, around: Surroundings): FromItem {
  if ('RangeVar' in node) return analyzeRangeVar(node.RangeVar, block, around);
  if ('JoinExpr' in node) {
    const { larg, rarg, quals, usingClause, isNatural, alias, jointype, join_using_alias } = node.JoinExpr;
    assert(larg && rarg, 'a join has two sides');
    const join: JoinItem = {
      kind: 'join',
      type: joinTypes[jointype ?? ''] ?? 'inner',
      left: analyzeFrom(larg, block, around),
      right: analyzeFrom(rarg, block, around),
      on: quals ?? null,
      using: nameParts(usingClause).filter((name) => name !== null),
      natural: isNatural ?? false,
      name: alias?.aliasname ?? null,
      renamesColumns: alias?.colnames !== undefined,
      usingName: join_using_alias?.aliasname ?? null,
    };
    scan(quals, block, around, 'on');
    return join;
  }
  if ('RangeSubselect' in node) {
    const { subquery, alias, lateral = false } = node.RangeSubselect;
    assert(subquery, 'a subquery in FROM has a query');
    const name = alias?.aliasname ?? null;
    const scopeParent = lateral ? block : block.scopeParent;
    const child = analyzeQuery(subquery, { ...around, scopeParent, lock: lockOf(name, block, around) });
    const aliasColumns = aliasNames(alias);
    block.children.push({ via: 'from', block: child });
    return {
      kind: 'query',
      block: child,
      owner: block,
      name,
      aliasColumns,
      lateral,
      view: null,
      node: node.RangeSubselect,
    };
  }
  if ('RangeTableSample' in node) {
    const sample = node.RangeTableSample;
    assert(sample.relation && 'RangeVar' in sample.relation, 'TABLESAMPLE follows a relation');
    const range = sample.relation.RangeVar;
    scan([sample.args, sample.repeatable], block, around);
    if (range.schemaname === undefined && isCte(range.relname ?? '', around.ctes)) return cteItem(range);
    const relation = findRelation(range, around.collector.context);
    return addRelation({ ...relationItem(range, block, around, { isTarget: false, relation }), sample }, around);
  }
  const fields = Object.values(node)[0] as { alias?: Alias };
  scan(node, block, around);
  return { kind: 'other', what: 'function', name: fields.alias?.aliasname ?? functionName(node), node };
}

const joinTypes: Readonly<Record<string, JoinItem['type']>> = {
  JOIN_INNER: 'inner',
  JOIN_LEFT: 'left',
  JOIN_RIGHT: 'right',
  JOIN_FULL: 'full',
};

/** `FROM generate_series(1, 3)` is called by the function's name. */
function functionName(node: Node): string | null {
  let name: string | null = null;
  walk(node, (kind, fields: { funcname?: Node[] }) => {
    if (kind === 'FuncCall') name ??= nameParts(fields.funcname).at(-1) ?? null;
    return undefined;
  });
  return name;
}

function analyzeRangeVar(node: RangeVar, block: Block, around: Surroundings): FromItem {
  if (node.schemaname === undefined && isCte(node.relname ?? '', around.ctes)) return cteItem(node);
  const relation = findRelation(node, around.collector.context);
  const item = relationItem(node, block, around, { isTarget: false, relation });
  if (relation?.kind === 'view' && item.role === 'local') {
    const view = expandView(item, around);
    if (view) return view;
  }
  return addRelation(item, around);
}

function cteItem(node: RangeVar): FromItem {
  return { kind: 'other', what: 'cte', name: node.alias?.aliasname ?? node.relname ?? null, node: { RangeVar: node } };
}

/** The definition of a view that reads what is not on the coordinator; null for any other view, which stays. */
function expandView(item: RelationItem, around: Surroundings): QueryItem | null {
  const { relation, block, node } = item;
  const [statement] = relation?.viewDefinition ? parseStatements(relation.viewDefinition) : [];
  if (!relation || !statement) return null;
  // The definition was written under an empty search_path: it sees neither CTEs nor temporary tables around it.
  const context: PlanContext = { ...around.collector.context, searchPath: ['pg_catalog'], temporaryNames: new Set() };
  const collector: Collector = { context, blocks: [], relations: [], views: [] };
  const source = createSource(statement);
  const inside: Surroundings = { collector, source, ctes: null, scopeParent: null, lock: item.lock };
  const body = analyzeQuery(statement.node, inside);
  if (!collector.relations.some(({ role }) => role === 'distributed' || role === 'virtual')) return null;
  const view: QueryItem = {
    ...{
      kind: 'query',
      block: body,
      owner: block,
      name: item.name,
      aliasColumns: aliasNames(node.alias),
      lateral: false,
    },
    ...{ view: { node, relation }, node: null },
  };
  block.children.push({ via: 'from', block: body });
  around.collector.blocks.push(...collector.blocks);
  around.collector.relations.push(...collector.relations);
  around.collector.views.push(...collector.views, view);
  return view;
}

/** Also of a reference table: the view would change one copy of it. */
function readsElsewhere({ viewDefinition }: RelationEntry, context: PlanContext): boolean {
  const [statement] = viewDefinition ? parseStatements(viewDefinition) : [];
  if (!statement) return false;
  const inner: PlanContext = { ...context, searchPath: ['pg_catalog'], temporaryNames: new Set() };
  const { relations } = analyze(statement.node, statement, inner);
  return relations.some((item) => item.role !== 'local' || (item.relation?.kind === 'view' && readsElsewhere(item.relation, inner)));
}

interface RelationFacts {
  readonly isTarget: boolean;
  readonly relation: RelationItem['relation'];
}

function relationItem(node: RangeVar, block: Block, around: Surroundings, facts: RelationFacts): RelationItem {
  const { relation } = facts;
  const name = node.alias?.aliasname ?? node.relname ?? '';
  const renamed = aliasNames(node.alias);
  const columns = relation?.columns.map((column, i) => renamed[i] ?? column.name) ?? null;
  const lock = facts.isTarget ? null : lockOf(name, block, around);
  const table = relation?.distributed ?? null;
  return { kind: 'relation', node, block, name, role: roleOf(relation), table, columns, sample: null, lock, ...facts };
}

function addRelation(item: RelationItem, around: Surroundings): RelationItem {
  around.collector.relations.push(item);
  return item;
}

function aliasNames(alias: Alias | undefined): string[] {
  return nameParts(alias?.colnames).filter((name) => name !== null);
}

const lockStrengths = ['LCS_FORKEYSHARE', 'LCS_FORSHARE', 'LCS_FORNOKEYUPDATE', 'LCS_FORUPDATE'];

/** The strongest row lock that is asked for a FROM item, here or by a query around. */
function lockOf(name: string | null, block: Block, around: Surroundings): LockingClause | null {
  const own = block.kind === 'select' ? (block.node.lockingClause ?? []) : [];
  const clauses = own.flatMap((node) => ('LockingClause' in node ? [node.LockingClause] : []));
  const meant = clauses.filter(({ lockedRels }) => !lockedRels || lockedRels.some((rel) => isNamed(rel, name)));
  const strength = (lock: LockingClause) => lockStrengths.indexOf(lock.strength ?? '');
  const [strongest] = [...meant, ...(around.lock ? [around.lock] : [])].sort((a, b) => strength(b) - strength(a));
  return strongest ?? null;
}

function isNamed(node: Node, name: string | null): boolean {
  return 'RangeVar' in node && node.RangeVar.relname === name;
}

/** Files what the expressions of a block hold, and the blocks inside them. */
function scan(value: unknown, block: Block, around: Surroundings, clause: 'on' | 'other' = 'other'): void {
  const nested = (query: Node): Block => analyzeQuery(query, { ...around, scopeParent: block, lock: null });
  const enter = (kind: string, fields: never): boolean | undefined => {
    switch (kind) {
      case 'SubLink': {
        const link = fields as Extract<Child, { via: 'sublink' }>['link'];
        assert(link?.subselect, 'a sublink has a query');
        walk(link.testexpr, enter);
        block.children.push({ via: 'sublink', link, clause, block: nested(link.subselect) });
        return false;
      }
      case 'SelectStmt':
        block.children.push({ via: 'sublink', link: null, clause, block: nested({ SelectStmt: fields }) });
        return false;
      case 'ColumnRef':
        block.columnRefs.push(fields);
        return false;
      case 'FuncCall':
        block.functions.push(fields);
        return true;
      case 'SQLValueFunction':
        block.sessionValues.push(fields);
        return true;
      case 'ParamRef':
        block.parameters.push(fields);
        return true;
      case 'TypeCast':
        block.casts.push(fields);
        return true;
      case 'A_Expr':
        block.operators.push(fields);
        return true;
      case 'ResTarget':
        block.targets.push(fields);
        return true;
      case 'CurrentOfExpr':
        block.currentOf = true;
        return true;
      default:
        return true;
    }
  };
  walk(value, enter);
}
