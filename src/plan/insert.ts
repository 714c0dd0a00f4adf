import { assert } from '../core/assert.ts';
import { unsupported } from '../core/errors.ts';
import { quoteIdentifier, quoteQualified } from '../sql/quote.ts';
import { positionOf } from '../sql/source.ts';
import { isAssignable } from './assignable.ts';
import { checkConflictAction } from './assignment.ts';
import { pieceOf, withoutChanges } from './change-pieces.ts';
import { copySites } from './change-question.ts';
import { conflictUpdate } from './conflict-update.ts';
import type { PlanContext } from './context.ts';
import type { PlanEdit } from './edits.ts';
import type { FactsByRelation } from './facts.ts';
import { nodeObstacle, spreadObstacle, systemColumnsOf } from './functions.ts';
import { conflictHandling } from './insert-conflict.ts';
import { nodesThatInsert } from './insert-query.ts';
import { insertEdits, type RowsQuestion, rowColumns, rowsOf } from './insert-rows.ts';
import { insertShape } from './insert-shape.ts';
import { type InsertText, insertText } from './insert-text.ts';
import { isChange, isInside, type Model, type RelationItem } from './model.ts';
import type { ChangeStep, Motion, NodeId, Plan, SqlTemplate } from './plan.ts';
import { type ConstantPool, createConstantPool, rewriteStatement } from './rewrite.ts';
import { placeOnNode } from './single-shard.ts';
import { type Evaluated, evaluateSublink, type SublinkRequest } from './sublink.ts';

/**
 * INSERT into a distributed or reference table: the coordinator computes the rows, with the defaults that nodes can't give, and
 * the router sends each to its shard (or all of them to every copy).
 */
export function planInsert(model: Model, facts: FactsByRelation, context: PlanContext, reason: string): Plan {
  const { root } = model;
  const target = model.relations.find((item) => item.isTarget && item.block === root);
  assert(target?.table && root.kind === 'insert', 'an INSERT has a target');
  const { table } = target;
  const shape = insertShape(target);
  const text = insertText(target);
  const constants = createConstantPool();
  const motions: Motion[] = [];
  const evaluated = evaluateTail(text, { model, facts, context, constants, motions });
  checkTail(model, target, { text, evaluated }, context);
  const columns = rowColumns(shape);
  const names = columns.map(({ column }) => quoteIdentifier(column.name)).join(', ');
  const place = `${quoteQualified(table.schema, table.name)} (${names})`;
  const head = `INSERT INTO ${quoteQualified(table.schema, table.name)} AS ${quoteIdentifier(target.name)} (${names}) OVERRIDING SYSTEM VALUE`;
  const question = { model, facts, context, constants, target, shape, text, columns, motions };
  const asked = isAssignable(shape, context) ? {} : { describedFirst: true as const };
  const nodes = context.force === 'gather' ? null : nodesThatInsert(model, facts, context, question);
  if (nodes !== null) return { ...insertOnNodes(question, { nodes, head, evaluated, reason }), ...asked };
  const { rows, sites, dependsOnParameters } = rowsOf(question);
  const handling = conflictHandling(
    target,
    columns.map(({ motion }) => motion),
  );
  const tail = tailOf({ model, text, context, constants, evaluated }, handling.clauseDropped);
  const update =
    handling.updates === null
      ? null
      : conflictUpdate(target, text.tailStart, handling.updates, {
          columns: columns.map(({ motion }) => motion),
          part: (extent) => pieceOf({ model, context, constants, extent, edits: evaluated.map(({ edit }) => edit) }),
          checked: withoutChanges(model, context),
        });
  const conflict = handling.conflict === null ? null : { ...handling.conflict, update };
  const step = { table, rows, columns: columns.map(({ motion }) => motion), head, tail };
  const final: ChangeStep =
    table.distribution.kind === 'reference'
      ? { kind: 'insert copies', sites: copySites(context), ...step }
      : { kind: 'insert rows', ...step, conflict, sites, copiedInto: sites[0] === 'coordinator' ? null : place };
  return {
    rung: final.kind === 'insert rows' ? 'rows to shards' : 'all copies',
    ...{ reason, constants: constants.list, motions, final, writes: true },
    returnsRows: root.node.returningClause !== undefined,
    ...{ valueIndependent: !dependsOnParameters, ...asked },
  };
}

/** Each node inserts what it selects. */
function insertOnNodes(
  question: RowsQuestion,
  how: {
    readonly nodes: readonly NodeId[];
    readonly head: string;
    readonly evaluated: readonly Evaluated[];
    readonly reason: string;
  },
): Plan {
  const { model, context, constants, motions, target } = question;
  const edits = [...insertEdits(question, how.head), ...how.evaluated.map(({ edit }) => edit)];
  const sql = rewriteStatement({
    ...{ model, context, constants },
    replace: (item) => (item.isTarget ? null : placeOnNode(item, null, context)),
    edits: edits.map((edit) => ({ source: model.source, edit })),
  });
  const { root } = model;
  return {
    rung: 'rows to shards',
    reason: `${how.reason}; its rows stay on the nodes that select them`,
    ...{ constants: constants.list, motions, writes: true, valueIndependent: false },
    final: { kind: 'change shards', table: target.table!, command: 'INSERT', sites: how.nodes, sql },
    returnsRows: root.kind === 'insert' && root.node.returningClause !== undefined,
  };
}

interface Tail {
  readonly model: Model;
  readonly text: InsertText;
  readonly context: PlanContext;
  readonly constants: ConstantPool;
  readonly evaluated: readonly Evaluated[];
}

/** Subqueries in ON CONFLICT and RETURNING that read what nodes don't have are evaluated beforehand, if they can be. */
function evaluateTail(text: InsertText, request: SublinkRequest): Evaluated[] {
  const { model } = request;
  return model.root.children.flatMap((child) => {
    if (child.via !== 'sublink' || !child.link || positionOf(model.source, child.link.location) < text.tailStart)
      return [];
    const far = model.relations.some(({ role, block }) => role !== 'reference' && isInside(block, child.block));
    const evaluated = far ? evaluateSublink(child, request) : null;
    return evaluated ? [evaluated] : [];
  });
}

/** ON CONFLICT … RETURNING …, as nodes get it. */
function tailOf({ model, text, context, constants, evaluated }: Tail, clauseDropped: boolean): SqlTemplate {
  const start = clauseDropped ? returningStart(model, text.tailStart) : text.tailStart;
  const end = model.source.bytes.length;
  const cut: PlanEdit = { start: 0, end: start, parts: [] };
  const edits = [cut, ...evaluated.map(({ edit }) => edit)].map((edit) => ({ source: model.source, edit }));
  const within = { start, end };
  return rewriteStatement({
    model,
    context,
    replace: (item) => placeOnNode(item, null, context),
    constants,
    edits,
    within,
  });
}

/** Where RETURNING stands after ON CONFLICT … DO NOTHING; the end without one. */
function returningStart({ source }: Model, tailStart: number): number {
  const token = source
    .tokens()
    .find(({ start, text, kind }) => start >= tailStart && kind === 'word' && text === 'returning');
  return token?.start ?? source.bytes.length;
}

/** The rest of the statement runs on nodes: it may read reference tables, and call what nodes may call. */
function checkTail(
  model: Model,
  target: RelationItem,
  { text, evaluated }: Pick<Tail, 'text' | 'evaluated'>,
  context: PlanContext,
): void {
  const { root, source } = model;
  if (root.kind !== 'insert') return;
  const stranger = model.relations.find(
    (item) =>
      item.block.source === source &&
      !item.isTarget &&
      item.role !== 'reference' &&
      !evaluated.some((each) => isInside(item.block, each.block)) &&
      positionOf(source, item.node.location) >= text.tailStart,
  );
  const expanded = model.views.some((item) => item.owner === root);
  if (stranger || expanded) throw unsupported('PH002', 'a subquery on other tables in ON CONFLICT or RETURNING');
  const obstacle = nodeObstacle([root], context);
  if (obstacle) throw unsupported('PH002', `ON CONFLICT or RETURNING of an INSERT on several nodes: ${obstacle}`);
  const [address] = systemColumnsOf(root);
  if (address) throw unsupported('PH007', `RETURNING ${address} of an INSERT on several nodes`);
  checkConflictAction(target);
  if (target.role === 'reference' && root.node.onConflictClause && spreadObstacle([root], context)) {
    throw unsupported('PH002', 'a volatile function in ON CONFLICT of a reference table: its copies would differ');
  }
  const change = model.blocks.find((block) => block !== root && isChange(block));
  if (change) throw unsupported('PH002', 'a data-modifying CTE before an INSERT on several nodes');
}
