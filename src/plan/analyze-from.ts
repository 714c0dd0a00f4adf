import type { Alias, LockingClause, Node, RangeVar } from '@pgsql/types';
import type { RelationEntry } from '../catalog/snapshot.ts';
import { assert } from '../core/assert.ts';
import { parseStatements } from '../sql/parse.ts';
import { createSource } from '../sql/source.ts';
import { nameParts, walk } from '../sql/walk.ts';
import type { PlanContext } from './context.ts';
import type { Block, FromItem, JoinItem, QueryItem, RelationItem } from './model.ts';
import { findRelation, roleOf } from './relation-role.ts';
import { lockOf } from './row-locks.ts';
import { scan } from './scan.ts';
import { type Collector, isCte, type Surroundings } from './surroundings.ts';

/** The table that a statement changes. */
export function analyzeTarget(node: RangeVar | undefined, block: Block, around: Surroundings): FromItem {
  assert(node, 'a change has a target');
  const relation = findRelation(node, around.collector.context);
  const item = relationItem(node, block, around, { isTarget: true, relation });
  const isView = relation?.kind === 'view' && readsElsewhere(relation, around);
  return addRelation(isView ? { ...item, isChangedView: true } : item, around);
}

/** A FROM item; what its expressions and subqueries hold is filed with the block. */
export function analyzeFrom(node: Node, block: Block, around: Surroundings): FromItem {
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
    const child = around.analyzeQuery(subquery, { ...around, scopeParent, lock: lockOf(name, block, around) });
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
  const definition = relation && readDefinition(relation, item.lock, around);
  if (!definition) return null;
  const { body, collector } = definition;
  if (!collector.relations.some(({ role }) => role === 'distributed' || role === 'virtual')) return null;
  const view: QueryItem = {
    ...{ kind: 'query', block: body, owner: block, name: item.name, aliasColumns: aliasNames(node.alias) },
    ...{ lateral: false, view: { node, relation }, node: null },
  };
  block.children.push({ via: 'from', block: body });
  around.collector.blocks.push(...collector.blocks);
  around.collector.relations.push(...collector.relations);
  around.collector.views.push(...collector.views, view);
  return view;
}

/** Also of a reference table: the view would change one copy of it. */
function readsElsewhere(relation: RelationEntry, around: Surroundings): boolean {
  const relations = readDefinition(relation, null, around)?.collector.relations ?? [];
  return relations.some(
    (item) => item.role !== 'local' || (item.relation?.kind === 'view' && readsElsewhere(item.relation, around)),
  );
}

/** A definition was written under an empty search_path: it sees neither CTEs nor temporary tables around it. */
function readDefinition({ viewDefinition }: RelationEntry, lock: LockingClause | null, around: Surroundings) {
  const [statement] = viewDefinition ? parseStatements(viewDefinition) : [];
  if (!statement) return null;
  const { context: outer } = around.collector;
  const context: PlanContext = { ...outer, inView: true, searchPath: ['pg_catalog'], temporaryNames: new Set() };
  const collector: Collector = { context, blocks: [], relations: [], views: [] };
  const source = createSource(statement);
  const inside: Surroundings = { ...around, collector, source, ctes: null, scopeParent: null, lock };
  return { body: around.analyzeQuery(statement.node, inside), collector };
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
