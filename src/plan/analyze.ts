import type { Node, SelectStmt, WithClause } from '@pgsql/types';
import { assert } from '../core/assert.ts';
import { unsupported } from '../core/errors.ts';
import type { RawStatement } from '../sql/parse.ts';
import { createSource } from '../sql/source.ts';
import { analyzeFrom, analyzeTarget } from './analyze-from.ts';
import type { PlanContext } from './context.ts';
import type { Block, Model } from './model.ts';
import { scan } from './scan.ts';
import type { Collector, CteNames, Surroundings } from './surroundings.ts';

/** The model of a SELECT, VALUES, INSERT, UPDATE, DELETE or MERGE; `node` is the statement or the query inside a utility. */
export function analyze(node: Node, statement: RawStatement, context: PlanContext): Model {
  const collector: Collector = { context, blocks: [], relations: [], views: [] };
  const source = createSource(statement);
  const root = analyzeQuery(node, { analyzeQuery, collector, source, ctes: null, scopeParent: null, lock: null });
  return { source, root, ...collector };
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
  const { onConflictClause: clause } = node;
  const conflict = clause && { ...clause, targetList: assignedOnce(clause.targetList) };
  scan([node.cols, conflict, node.returningClause], block, inside);
  return block;
}

function analyzeUpdate(head: BlockHead & { kind: 'update' }, around: Surroundings): Block {
  const { node } = head;
  const block = createBlock(head, around);
  const inside = analyzeWith(node.withClause, block, around);
  block.from.push(analyzeTarget(node.relation, block, inside));
  for (const item of node.fromClause ?? []) block.from.push(analyzeFrom(item, block, inside));
  scan([assignedOnce(node.targetList), node.whereClause, node.returningClause], block, inside);
  return block;
}

/** `(a, b) = (SELECT …)` repeats its source in each target: it counts once. */
function assignedOnce(targets: readonly Node[] = []): Node[] {
  return targets.filter((target) => !isLaterMultiAssign(target));
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
  const clauses = (node.mergeWhenClauses ?? []).map((clause): Node => {
    if (!('MergeWhenClause' in clause) || clause.MergeWhenClause.commandType !== 'CMD_UPDATE') return clause;
    return {
      MergeWhenClause: { ...clause.MergeWhenClause, targetList: assignedOnce(clause.MergeWhenClause.targetList) },
    };
  });
  scan([node.joinCondition, clauses, node.returningClause], block, inside);
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
