import type { ColumnRef, Node } from '@pgsql/types';
import { PgError, pgError } from '../core/errors.ts';
import type { RawStatement } from '../sql/parse.ts';
import { quoteIdentifier } from '../sql/quote.ts';
import { type Renamed, renamed } from '../sql/renamed.ts';
import { segmentFunction } from '../sql/segment-function.ts';
import { type Edit, positionOf, type SqlSource, textBetween } from '../sql/source.ts';
import { nameParts } from '../sql/walk.ts';
import { analyze } from './analyze.ts';
import type { PlanContext } from './context.ts';
import { tokenAt } from './edits.ts';
import { type Block, type LeafItem, leavesOf, type Model, type RelationItem } from './model.ts';
import { blockOutputs, columnsOf, findAlias } from './resolve.ts';

/** The statement with `gp_segment_id`, where it is Greenplum's column of a table, as a call of pgherd's function; null: it is nowhere. */
export function withSegmentCalls(statement: RawStatement, context: PlanContext): Renamed | null {
  const query = queryOf(statement.node);
  if (query === null) return null;
  const model = analyzed(query, statement, context);
  if (model === null) return null;
  const edits = model.blocks.flatMap((block) => {
    if (block.source !== model.source) return [];
    const outputs = sortNames(block);
    return block.columnRefs.flatMap((ref) => segmentEdit(ref, block, model, outputs) ?? []);
  });
  return edits.length === 0 ? null : renamed(model.source, edits);
}

function queryOf(node: Node): Node | null {
  if ('ExplainStmt' in node) return node.ExplainStmt.query ? queryOf(node.ExplainStmt.query) : null;
  if ('DeclareCursorStmt' in node) return node.DeclareCursorStmt.query ?? null;
  if ('CreateTableAsStmt' in node) return node.CreateTableAsStmt.query ?? null;
  if ('CopyStmt' in node) return node.CopyStmt.query ?? null;
  if ('ViewStmt' in node) return node.ViewStmt.query ?? null;
  return ['SelectStmt', 'InsertStmt', 'UpdateStmt', 'DeleteStmt', 'MergeStmt'].some((kind) => kind in node)
    ? node
    : null;
}

/** What can't be analysed is refused later, when it is planned. */
function analyzed(query: Node, statement: RawStatement, context: PlanContext): Model | null {
  try {
    return analyze(query, statement, context);
  } catch (error) {
    if (error instanceof PgError) return null;
    throw error;
  }
}

/** References that are an item of ORDER BY or DISTINCT ON by themselves mean an output of that name before any column. */
function sortNames(block: Block): ReadonlySet<ColumnRef> {
  if (block.kind !== 'select') return new Set();
  const { sortClause = [], distinctClause = [], targetList = [] } = block.node;
  const isOutput = targetList.some((target) => 'ResTarget' in target && target.ResTarget.name === segmentFunction);
  if (!isOutput) return new Set();
  const items = [...sortClause.map((sort) => ('SortBy' in sort ? sort.SortBy.node : undefined)), ...distinctClause];
  return new Set(items.flatMap((item) => (item && 'ColumnRef' in item ? [item.ColumnRef] : [])));
}

function segmentEdit(ref: ColumnRef, block: Block, model: Model, outputs: ReadonlySet<ColumnRef>): Edit<never> | null {
  const names = nameParts(ref.fields);
  if (names.at(-1) !== segmentFunction || (names.length === 1 && outputs.has(ref))) return null;
  const owner = ownerOf(names, block, model);
  return owner && callInstead(block.source, ref, names.length, owner);
}

/** `t.gp_segment_id` → `pgherd.gp_segment_id(t.tableoid)`: the qualifier stays as it is written. */
function callInstead(source: SqlSource, ref: ColumnRef, width: number, owner: RelationItem): Edit<never> {
  const tokens = source.tokens();
  const first = tokenAt(tokens, positionOf(source, ref.location));
  const [start, last] = [tokens[first]!.start, tokens[first + 2 * (width - 1)]!];
  const qualifier = width > 1 ? textBetween(source, start, last.start) : `${quoteIdentifier(owner.name)}.`;
  return { start, end: last.end, parts: [`pgherd.${segmentFunction}(${qualifier}tableoid)`] };
}

/** The table whose column it is; null: somebody else's, or nobody's. */
function ownerOf(names: readonly (string | null)[], block: Block, model: Model): RelationItem | null {
  const [qualifier, schema] = [names.at(-2), names.at(-3)];
  for (let scope: Block | null = block; scope; scope = scope.scopeParent) {
    const leaves = scope.from.flatMap(leavesOf);
    if (typeof qualifier === 'string') {
      const item = findAlias(scope.from, qualifier);
      if (item === null) continue;
      const isMeant = item.kind === 'relation' && (schema === undefined || item.relation?.schema === schema);
      return isMeant && hasSegments(item) ? item : null;
    }
    if (leaves.some((leaf) => hasOwnColumn(leaf, model))) return null;
    const tables = leaves.filter((leaf) => leaf.kind === 'relation').filter(hasSegments);
    if (tables.length > 1) {
      throw pgError('ambiguousColumn', `column reference "${segmentFunction}" is ambiguous`);
    }
    if (tables[0]) return tables[0];
  }
  return null;
}

/** Tables that the catalog knows; a column of the user's of that name is what it is. */
function hasSegments({ relation, columns }: RelationItem): boolean {
  return (relation?.kind === 'table' || relation?.kind === 'materialized view') && !columns?.includes(segmentFunction);
}

function hasOwnColumn(leaf: LeafItem, model: Model): boolean {
  const columns = columnsOf(leaf) ?? cteColumns(leaf, model);
  return columns?.includes(segmentFunction) ?? false;
}

function cteColumns(leaf: LeafItem, model: Model): readonly string[] | null {
  if (leaf.kind !== 'other' || leaf.what !== 'cte' || !('RangeVar' in leaf.node)) return null;
  const { relname } = leaf.node.RangeVar;
  const children = model.blocks.flatMap((block) => block.children);
  const found = children.flatMap((child) => (child.via === 'cte' && child.name === relname ? [child.block] : []));
  return found.flatMap((block) => blockOutputs(block)?.map(({ name }) => name) ?? []);
}
