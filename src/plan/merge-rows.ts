import type { MergeStmt, Node } from '@pgsql/types';
import { isKeyed } from '../catalog/snapshot.ts';
import { unsupported } from '../core/errors.ts';
import { quoteIdentifier, quoteQualified } from '../sql/quote.ts';
import { positionOf } from '../sql/source.ts';
import type { Token } from '../sql/tokens.ts';
import { fingerprint, nameParts } from '../sql/walk.ts';
import { assignedColumns } from './assignment.ts';
import { hasDefaults, type MergeAction, mergeActions } from './change-checks.ts';
import { nodePartObstacle, partOfBlock, pieceOf, withoutChanges } from './change-pieces.ts';
import type { ChangeQuestion } from './change-question.ts';
import { neededColumns } from './columns.ts';
import { closing, type Extent, type PlanEdit, relationExtent } from './edits.ts';
import { conjuncts } from './facts.ts';
import { systemColumnsOf } from './functions.ts';
import { gather, isWrittenBefore } from './gather.ts';
import { probeSql, unmatchedRows } from './merge-probe.ts';
import { type Block, isChange, isInside, type LeafItem, leavesOf, type RelationItem } from './model.ts';
import type { Motion, MotionColumn, Plan, ShippedColumn, SqlTemplate } from './plan.ts';
import { bind, blockOutputs, columnEntry, columnsOf } from './resolve.ts';
import { createConstantPool } from './rewrite.ts';
import { segmentItems } from './segments.ts';
import { equalitySides, nodesOf, shardsOf } from './shards.ts';
import { allBlocks, evaluateSublink } from './sublink.ts';
import { baseTypeName, castName, motionColumn } from './type-name.ts';

/**
 * MERGE into a distributed table from rows that are elsewhere, or that inserts. The source's rows are computed on the coordinator. Each
 * goes to the node where ON, and the rows it may insert, have their key; without INSERT it may go to all of them: a target row is on
 * one node only, and meets every source row there.
 */
export function planMerge(question: ChangeQuestion, obstacle: string): Plan {
  const { model, facts, context, target, table, reason } = question;
  const { root } = model;
  if (root.kind !== 'merge' || table.distribution.kind !== 'distributed') throw unsupported('PH002', obstacle);
  const text = mergeText(question);
  const source = root.from[1];
  checkForm(question, text, obstacle);
  const onNodes = model.relations.filter((item) => item === target || item.role === 'reference');
  if (onNodes.some((item) => isWrittenBefore(model, item.relation)))
    throw refusal(question, 'tables that another part changes');
  if (!source || source.kind === 'join' || source.name === null) throw refusal(question, 'a source without a name');
  const actions = mergeActions(root.node.mergeWhenClauses);
  const inserts = actions.filter(({ commandType }) => commandType === 'CMD_INSERT');
  if (inserts.some((action) => !hasDefaults(action, table))) throw refusal(question, 'defaults that nodes do not have');
  const columns = sourceColumns(source, question);
  const keys = inserts.length === 0 ? [] : keyValues(inserts, question);
  const constants = createConstantPool();
  // Nothing in ON says where a row without a match belongs.
  const unmatched = keys === null ? unmatchedRows(question, constants) : null;
  const motions: Motion[] = [];
  const request = { model, facts, context, constants, motions };
  const piece = (extent: Extent): SqlTemplate => {
    const edits = [
      { start: 0, end: extent.start, parts: [] },
      { start: extent.end, end: model.source.bytes.length, parts: [] },
    ];
    return gather({ ...request, edits }).sql;
  };
  const alias = quoteIdentifier(source.name);
  const before = text.before.end > 0 ? piece(text.before) : [];
  const from: SqlTemplate = [' FROM ', ...piece(text.source)];
  const keySql = (keys ?? []).map(({ extent, column }, i) => ({
    source: piece(extent),
    typed: ['((', ...piece(extent), `)::${column.typeName})::text AS pgherd_k${i}`] as SqlTemplate,
  }));
  const list = columns.map(({ name, shipped }) => [`${alias}.${quoteIdentifier(name)} AS ${shipped.name}`]);
  const placing = unmatched ? [...unmatched.keySql, unmatched.insertsSql] : keySql.map(({ typed }) => typed);
  const items = [...placing, ...list];
  const rows: SqlTemplate = [...before, 'SELECT ', ...commaList(items), ...from];
  const keySources: SqlTemplate = [
    ...before,
    'SELECT ',
    ...commaList(keySql.map((each, i) => ['(', ...each.source, `) AS pgherd_k${i}`])),
    ...from,
  ];
  const head = `MERGE INTO ${quoteQualified(table.schema, table.name)} AS ${quoteIdentifier(target.name)} USING `;
  const evaluated = laterConstants(question, text, request);
  const ownPiece = (extent: Extent) => pieceOf({ model, context, constants, extent, edits: evaluated });
  const rest = ownPiece(text.rest);
  const shards = shardsOf(target, facts.get(target) ?? [], context);
  const bySource = root.node.mergeWhenClauses?.some(
    (node) => 'MergeWhenClause' in node && node.MergeWhenClause.matchKind === 'MERGE_WHEN_NOT_MATCHED_BY_SOURCE',
  );
  return {
    ...{ rung: 'rows to shards', reason: `${reason}; ${obstacle}`, constants: constants.list, motions },
    final: {
      ...{ kind: 'merge rows', table, rows, alias: source.name, keySources: unmatched ? null : keySources },
      sites: nodesOf(table, inserts.length > 0 ? null : shards.indexes),
      keys: unmatched?.keys ?? keySql.map((_, i) => keys![i]!.column),
      probe: unmatched && probeSql(question, source.name, ownPiece(text.on)),
      columns: columns.map(({ name, shipped }) => ({ ...shipped, name })),
      sql: [head, { motion: -1 }, ' ', ...rest],
      bySource: bySource ?? false,
      checked: withoutChanges(model, context),
    },
    ...{ writes: true, returnsRows: root.node.returningClause !== undefined, valueIndependent: false },
  };
}

function commaList(items: readonly SqlTemplate[]): SqlTemplate {
  return items.flatMap((item, i) => (i === 0 ? item : [', ', ...item]));
}

function refusal({ target }: ChangeQuestion, what: string) {
  return unsupported('PH002', `MERGE into ${target.name} from rows that are elsewhere, with ${what}`);
}

interface MergeText {
  readonly before: Extent;
  readonly source: Extent;
  /** ON … to the end. */
  readonly rest: Extent;
  /** ON alone. */
  readonly on: Extent;
}

function mergeText({ target }: ChangeQuestion): MergeText {
  const { source } = target.block;
  const tokens = source.tokens();
  const relation = relationExtent(source, target.node);
  let verb = tokens.findIndex((token) => token.start === relation.start);
  while (tokens[verb]?.text !== 'merge') verb--;
  const using = wordAt(
    tokens,
    'using',
    tokens.findIndex((token) => token.start >= relation.end),
  );
  const when = wordAt(tokens, 'when', using);
  let on = using;
  for (let next = wordAt(tokens, 'on', using + 1); next < when; next = wordAt(tokens, 'on', next + 1)) on = next;
  return {
    before: { start: 0, end: tokens[verb]!.start },
    source: { start: tokens[using]!.end, end: tokens[on - 1]!.end },
    rest: { start: tokens[on]!.start, end: tokens.at(-1)!.end },
    on: { start: tokens[on]!.start, end: tokens[when - 1]!.end },
  };
}

/** The next such word outside parentheses; behind the last token when there is none. */
function wordAt(tokens: readonly Token[], word: string, from: number): number {
  for (let i = from; i < tokens.length; i++) {
    const { text, kind } = tokens[i]!;
    if (text === '(' || text === '[') i = closing(tokens, i);
    else if (kind === 'word' && text === word && tokens[i - 1]?.text !== '.') return i;
  }
  return tokens.length;
}

/** What runs on the nodes may read reference tables, and call what nodes may call. */
function checkForm(question: ChangeQuestion, text: MergeText, obstacle: string): void {
  const { model, context } = question;
  const { root } = model;
  if (model.blocks.some((block) => block !== root && isChange(block))) throw refusal(question, 'a data-modifying CTE');
  const near = laterSublinks(question, text).filter((child) => !readsElsewhere(child.block, question));
  const blocks = near.flatMap((child) => allBlocks(child.block));
  const obstacleThere = nodePartObstacle([partOfBlock(root, text.rest), ...blocks], context);
  if (obstacleThere) throw unsupported('PH002', `${obstacle}, and ${obstacleThere}`);
  if (segmentItems(model).size > 0) throw refusal(question, 'gp_segment_id');
  const [address] = systemColumnsOf(root);
  if (address) throw unsupported('PH007', `${address} in a change over several nodes`);
}

/** Subqueries in ON and behind it. */
function laterSublinks({ model }: ChangeQuestion, text: MergeText) {
  const isLater = (location: number | undefined) => positionOf(model.source, location) >= text.rest.start;
  return model.root.children.flatMap((child) =>
    child.via === 'sublink' && child.link && isLater(child.link.location) ? [child] : [],
  );
}

function readsElsewhere(query: Block, { model }: ChangeQuestion): boolean {
  return usesCte(query) || model.relations.some((item) => item.role !== 'reference' && isInside(item.block, query));
}

function usesCte(query: Block): boolean {
  return allBlocks(query).some((block) =>
    block.from.flatMap(leavesOf).some((leaf) => leaf.kind === 'other' && leaf.what === 'cte'),
  );
}

/** Those that read what nodes don't have are evaluated beforehand. */
function laterConstants(
  question: ChangeQuestion,
  text: MergeText,
  request: Parameters<typeof evaluateSublink>[1],
): PlanEdit[] {
  const far = laterSublinks(question, text).filter((child) => readsElsewhere(child.block, question));
  return far.map((child) => {
    const evaluated = usesCte(child.block) ? null : evaluateSublink(child, request);
    if (!evaluated) throw refusal(question, 'subqueries on other tables in ON or WHEN that depend on its rows');
    return evaluated.edit;
  });
}

interface SourceColumn {
  readonly name: string;
  readonly shipped: ShippedColumn;
}

/** Every column of the source, under the names they have in the statement. */
function sourceColumns(source: LeafItem, question: ChangeQuestion): SourceColumn[] {
  const names =
    source.kind === 'relation'
      ? relationColumns(source, question)
      : (columnsOf(source) ?? cteColumns(source, question));
  if (!names || new Set(names).size < names.length) throw refusal(question, 'a source whose columns are not certain');
  return names.map((name, i) => {
    const entry = columnEntry({ item: source, column: name });
    const typeName = entry ? castName(entry.typeOid, entry.typeName) : null;
    return { name, shipped: { name: `pgherd_x${i}`, typeName, collation: entry?.collation ?? null } };
  });
}

/** Those that are needed, by the names they have here. */
function relationColumns(source: RelationItem, { model }: ChangeQuestion): string[] | null {
  const needed = neededColumns(model)(source).names;
  return source.columns?.filter((_, i) => needed.includes(source.relation?.columns[i]?.name ?? '')) ?? null;
}

function cteColumns(source: LeafItem, { model }: ChangeQuestion): readonly string[] | null {
  if (source.kind !== 'other' || source.what !== 'cte' || !('RangeVar' in source.node)) return null;
  const { relname, alias } = source.node.RangeVar;
  const child = model.root.children.find((each) => each.via === 'cte' && each.name === relname);
  const clause = (model.root.node as MergeStmt).withClause?.ctes?.find(
    (node) => 'CommonTableExpr' in node && node.CommonTableExpr.ctename === relname,
  );
  const renamed = clause && 'CommonTableExpr' in clause ? nameParts(clause.CommonTableExpr.aliascolnames) : [];
  const outputs = child ? blockOutputs(child.block)?.map(({ name }, i) => renamed[i] ?? name) : undefined;
  if (!outputs || alias?.colnames) return null;
  return outputs;
}

interface KeyValue {
  readonly column: MotionColumn;
  readonly extent: Extent;
}

/** Where the rows that may be inserted have their keys: the same expressions of the source that ON compares the keys with; null: others. */
function keyValues(inserts: readonly MergeAction[], question: ChangeQuestion): KeyValue[] | null {
  const { model, table, target, context } = question;
  const { root } = model;
  if (root.kind !== 'merge' || table.distribution.kind !== 'distributed' || !isKeyed(table.distribution)) return null;
  const joined = conjuncts(root.node.joinCondition ?? null, root).flatMap((fact) => {
    const sides = equalitySides(fact.expression, context);
    return sides ? [sides, [sides[1], sides[0]] as [Node, Node]] : [];
  });
  const found: KeyValue[] = [];
  for (const key of table.distribution.keys) {
    const entry = table.columns.find(({ name }) => name === key.name);
    const values = inserts.map((action) => insertedValue(action, key.name, question));
    const [value] = values;
    const same = value && values.every((each) => each && fingerprint(each) === fingerprint(value));
    const compared = joined.some(([own, other]) => {
      const bound = 'ColumnRef' in own ? bind(own.ColumnRef, root) : null;
      return bound?.item === target && bound.column === key.name && same && fingerprint(other) === fingerprint(value);
    });
    if (!entry || !compared || !('ColumnRef' in value!) || entry.typmod >= 0) return null;
    if (bind(value.ColumnRef, root)?.item === target) return null;
    const start = positionOf(model.source, value.ColumnRef.location);
    const width = nameParts(value.ColumnRef.fields).length;
    const tokens = model.source.tokens();
    const first = tokens.findIndex((token) => token.start === start);
    const column = { ...motionColumn(key.name, entry), typeName: baseTypeName(entry), viaText: true };
    found.push({ column, extent: { start, end: tokens[first + 2 * (width - 1)]!.end } });
  }
  return found;
}

function insertedValue(action: MergeAction, name: string, { table }: ChangeQuestion): Node | undefined {
  const named = action.targets.length > 0 ? assignedColumns(action.targets) : table.columns.map((each) => each.name);
  return action.values[named.indexOf(name)];
}
