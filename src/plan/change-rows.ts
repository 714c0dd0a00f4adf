import type { ColumnRef } from '@pgsql/types';
import type { ColumnEntry } from '../catalog/snapshot.ts';
import { pgError, unsupported } from '../core/errors.ts';
import { quoteIdentifier, quoteQualified } from '../sql/quote.ts';
import { nameParts } from '../sql/walk.ts';
import { assignedColumns, changesKey } from './assignment.ts';
import { isInPart, nodePartObstacle, partOfBlock, pieceOf, withoutChanges } from './change-pieces.ts';
import { allCopies, type ChangeQuestion, verbOf } from './change-question.ts';
import { type Assignment, assignmentsOf, type ChangeText, changeText } from './change-text.ts';
import { neededNames } from './columns.ts';
import { callExtent, type Extent, type PlanEdit } from './edits.ts';
import { placementOf, systemColumnsOf } from './functions.ts';
import { gather, type LockedTarget, lockTarget } from './gather.ts';
import { storedKey } from './insert-rows.ts';
import { isChange, type LeafItem, leavesOf } from './model.ts';
import type { ChangeStep, Motion, MotionColumn, Plan, RowMove, ShippedColumn, SqlPart, SqlTemplate } from './plan.ts';
import { type Bound, bind, columnEntry, columnsOf, findAlias } from './resolve.ts';
import { createConstantPool } from './rewrite.ts';
import { segmentItems } from './segments.ts';
import { nodesOf, shardsOf } from './shards.ts';
import { allBlocks, evaluateSublink } from './sublink.ts';
import { baseTypeName, castName, motionColumn } from './type-name.ts';

type ChangeRows = Extract<ChangeStep, { kind: 'change rows' }>;

/**
 * UPDATE and DELETE in the general way: the rows that may be concerned are locked where they are and travel to the coordinator, which
 * finds those that are and computes what they are set to; then each node changes its own, named by their addresses.
 */
export function planRowChange(question: ChangeQuestion, obstacle: string): Plan {
  const { model, target, table, facts, context, reason } = question;
  const { root } = model;
  if (root.kind !== 'update' && root.kind !== 'delete') throw unsupported('PH002', obstacle);
  checkForm(question, obstacle);
  const text = changeText(target);
  const isMoved = root.kind === 'update' && changesKey(root.node.targetList ?? [], target, facts.get(target) ?? []);
  if (isMoved) checkMove(question);
  checkRepeats(question);
  const constants = createConstantPool();
  const motions: Motion[] = [];
  const within = isMoved ? table.columns.map(({ name }) => name) : neededBefore(question, text);
  const locked = lockTarget({
    ...{ item: target, names: within, facts: facts.get(target) ?? [], context, constants, motions },
    strength: root.kind === 'update' && !isMoved ? 'NO KEY UPDATE' : 'UPDATE',
  });
  const request = { model, facts, context, constants, motions };
  const returned = returningOf({ ...question, text, isMoved }, request);
  const rest = { ...question, text, request, locked, returned };
  const computed = root.kind === 'delete' ? [] : isMoved ? storedValues(rest) : assignedValues(rest);
  const extras = returned.extras.map(({ sql, shipped }) => ({ parts: [sql], shipped }));
  const columns = [...computed, ...extras];
  const addresses = locked.addressColumns;
  const alias = quoteIdentifier(target.name);
  const match = addresses.flatMap(({ name }, i) => {
    const own = addressColumn(table, i);
    return own === null ? [] : [`${alias}.${own} = pgherd_r.${quoteIdentifier(name)}`];
  });
  const where = ` WHERE ${match.join(' AND ')}`;
  const relation = `${quoteQualified(table.schema, table.name)} AS ${quoteIdentifier(target.name)}`;
  const own: SqlPart = { motion: -1 };
  const tail: SqlTemplate = returned.sql === null ? [] : [' RETURNING ', ...returned.sql];
  const deletes: SqlTemplate = [`DELETE FROM ${relation} USING `, own, where];
  const sets = root.kind === 'update' ? setList(assignmentsOf(target, text), table.columns, isMoved) : '';
  const sql: SqlTemplate =
    root.kind === 'delete' ? [...deletes, ...tail] : [`UPDATE ${relation} SET ${sets} FROM `, own, where, ...tail];
  const depends = shardsOf(target, facts.get(target) ?? [], context);
  const step: ChangeRows = {
    ...{ kind: 'change rows', table, command: root.kind === 'update' ? 'UPDATE' : 'DELETE' },
    sites: table.distribution.kind === 'reference' ? allCopies(context) : nodesOf(table, depends.indexes),
    rows: rowsQuery(rest, columns),
    address: addresses,
    columns: columns.map(({ shipped }) => shipped),
    ...{ sql, alias: target.name, checked: withoutChanges(model, context) },
    move: isMoved ? moveOf(rest, deletes, relation, tail) : null,
  };
  return {
    rung: target.role === 'reference' ? 'all copies' : 'rows to shards',
    ...{
      reason: reason === obstacle ? reason : `${reason}; ${obstacle}`,
      constants: constants.list,
      motions,
      final: step,
      writes: true,
    },
    ...{ returnsRows: returned.sql !== null, valueIndependent: false },
  };
}

interface Parts extends ChangeQuestion {
  readonly text: ChangeText;
  readonly request: Parameters<typeof evaluateSublink>[1];
  readonly locked: LockedTarget;
}

function checkForm({ model, target, table }: ChangeQuestion, obstacle: string): void {
  const { root } = model;
  const refused = (what: string) =>
    unsupported('PH002', `${verbOf(root)} of ${target.name} with ${what} (${obstacle})`);
  if (model.blocks.some((block) => block !== root && isChange(block))) throw refused('a data-modifying CTE');
  const [address] = model.blocks.flatMap((block) => (block === root ? systemColumnsOf(block) : []));
  if (address) throw unsupported('PH007', `${address} in a change over several nodes`);
  if (segmentItems(model).has(target)) {
    throw unsupported('PH042', `gp_segment_id of ${target.name}, whose rows are changed by rows that are elsewhere`);
  }
  if (root.kind === 'delete' && table.hasRowSecurity) throw refused('row security');
  if (table.distribution.kind === 'distributed') return;
  if (table.primaryKey.length === 0) throw refused('no primary key to tell its rows by');
  const assigned = root.kind === 'update' ? assignedColumns(root.node.targetList ?? []) : [];
  if (assigned.some((name) => table.primaryKey.includes(name))) throw refused('its primary key assigned');
}

function checkMove({ table, target }: ChangeQuestion): void {
  const refused = (what: string) => unsupported('PH006', `moving rows of ${target.name}, which has ${what}`);
  if (table.hasRowTriggers) throw refused('row triggers');
  if (table.hasRowSecurity) throw refused('row security');
}

/** A subquery for several columns is evaluated for each of them: it must not differ from one time to the next. */
function checkRepeats({ model, target, context }: ChangeQuestion): void {
  const { root } = model;
  if (root.kind !== 'update') return;
  for (const node of root.node.targetList ?? []) {
    const value = 'ResTarget' in node ? node.ResTarget.val : undefined;
    const assigned = value && 'MultiAssignRef' in value ? value.MultiAssignRef : undefined;
    // The others repeat the first one's source.
    const source = assigned?.colno === 1 ? assigned.source : undefined;
    if (!source || !('SubLink' in source)) continue;
    const child = root.children.find((each) => each.via === 'sublink' && each.link === source.SubLink);
    const calls = child ? allBlocks(child.block).flatMap((block) => block.functions) : [];
    const unsteady = calls.some((call) => !['anywhere', 'constant'].includes(placementOf(call, context)));
    if (!child || unsteady) {
      throw unsupported('PH002', `columns of ${target.name} set to a subquery that may differ each time`);
    }
  }
}

/** What a part of a row's address is in the table itself; null: the node, which is known where it runs. */
function addressColumn(table: ChangeQuestion['table'], index: number): string | null {
  if (table.distribution.kind === 'reference') return quoteIdentifier(table.primaryKey[index]!);
  return [null, 'tableoid', 'ctid'][index] ?? null;
}

/** The table's columns that are mentioned in front of RETURNING. */
function neededBefore({ model, target }: ChangeQuestion, text: ChangeText): string[] {
  const limit = text.returning?.start ?? Number.POSITIVE_INFINITY;
  const found = neededNames(
    model,
    target,
    (ref, block) => block.source !== model.source || (ref.location ?? 0) - block.source.offsetBytes < limit,
  );
  if (found === null) {
    throw unsupported('PH002', `the whole row of ${target.name} in a change by rows that are elsewhere`);
  }
  return found;
}

interface Computed {
  readonly parts: SqlTemplate;
  readonly shipped: ShippedColumn;
}

/** The expressions of SET, each as its column's type, the modifier left out: the node's UPDATE applies that by assignment. */
function assignedValues(parts: Parts): Computed[] {
  const { target, table, text } = parts;
  return assignmentsOf(target, text).flatMap((assignment, i): Computed[] => {
    if (assignment.value.kind === 'default') return [];
    const column = table.columns.find(({ name }) => name === assignment.column);
    if (!column) throw undefinedColumn(assignment.column, parts);
    const type = baseTypeName(column);
    const value = valueSql(assignment, parts);
    return [
      { parts: ['(', ...value, `)::${type}`], shipped: { name: `pgherd_s${i}`, typeName: type, collation: null } },
    ];
  });
}

function undefinedColumn(name: string, { table }: Parts) {
  return pgError('undefinedColumn', `column "${name}" of relation "${table.name}" does not exist`);
}

function valueSql({ value }: Assignment, { request, target, locked }: Parts): SqlTemplate {
  if (value.kind === 'default') return ['NULL'];
  const sql = piece(value.extent, request, target, locked);
  if (value.kind === 'expression') return sql;
  const names = Array.from({ length: value.width }, (_, i) => `v${i}`);
  return [`SELECT pgherd_v.v${value.column} FROM `, ...sql, ` AS pgherd_v(${names.join(', ')})`];
}

function piece(extent: Extent, request: Parts['request'], target: Parts['target'], locked: LockedTarget): SqlTemplate {
  const { source } = request.model;
  const edits: PlanEdit[] = [
    { start: 0, end: extent.start, parts: [] },
    { start: extent.end, end: source.bytes.length, parts: [] },
  ];
  return gather({ ...request, edits, target: { item: target, replacement: locked.replacement } }).sql;
}

/** All columns that are stored, with their new values. */
function storedValues(parts: Parts): Computed[] {
  const { table, target, text } = parts;
  const assignments = assignmentsOf(target, text);
  const keys = table.distribution.kind === 'distributed' ? table.distribution.keys.map(({ name }) => name) : [];
  return storedColumns(table.columns).map((column, i) => {
    const assignment = assignments.find((each) => each.column === column.name);
    const type = baseTypeName(column);
    const own = `${quoteIdentifier(target.name)}.${quoteIdentifier(column.name)}`;
    const fallback = column.default.kind === 'constant' ? column.default.expression : 'NULL';
    const value: SqlTemplate =
      assignment === undefined ? [own] : assignment.value.kind === 'default' ? [fallback] : valueSql(assignment, parts);
    const typed: SqlTemplate = ['(', ...value, `)::${type}`];
    const isKey = keys.includes(column.name) && assignment !== undefined;
    return {
      parts: isKey ? wrapped(typed, (sql) => storedKey(sql, column)) : typed,
      shipped: { name: `pgherd_s${i}`, typeName: type, collation: null },
    };
  });
}

/** A function of SQL text around SQL with holes; the text may stand in it several times. */
function wrapped(value: SqlTemplate, around: (sql: string) => string): SqlTemplate {
  const mark = '\u0000';
  return around(mark)
    .split(mark)
    .flatMap((text, i): SqlPart[] => (i === 0 ? [text] : [...value, text]));
}

/** Generated columns are computed anew where the row is stored. */
function storedColumns(columns: readonly ColumnEntry[]): ColumnEntry[] {
  return columns.filter(({ default: { kind } }) => kind !== 'generated');
}

function setList(assignments: readonly Assignment[], columns: readonly ColumnEntry[], isMoved: boolean): string {
  const stored = storedColumns(columns).map(({ name }) => name);
  return assignments
    .map(({ column, value }, i) => {
      const place = isMoved ? stored.indexOf(column) : i;
      const isDefault = value.kind === 'default';
      return `${quoteIdentifier(column)} = ${isDefault ? 'DEFAULT' : `pgherd_r.pgherd_s${place}`}`;
    })
    .join(', ');
}

function moveOf({ table }: Parts, deleteSql: SqlTemplate, relation: string, tail: SqlTemplate): RowMove {
  const columns = storedColumns(table.columns);
  const stored = columns.map(
    (column): MotionColumn => ({
      ...motionColumn(column.name, column),
      typeName: baseTypeName(column),
      collation: null,
    }),
  );
  const names = columns.map(({ name }) => quoteIdentifier(name)).join(', ');
  const values = columns.map((_, i) => `pgherd_r.pgherd_s${i}`).join(', ');
  const head = `INSERT INTO ${relation} (${names}) OVERRIDING SYSTEM VALUE SELECT ${values} FROM `;
  return { stored, deleteSql, insertSql: [head, { motion: -1 }, ...tail] };
}

/** `[WITH …] SELECT DISTINCT ON (address) address, columns FROM …, the target WHERE …`: each row to change once. */
function rowsQuery(parts: Parts, columns: readonly Computed[]): SqlTemplate {
  const { text, request, target, locked } = parts;
  const alias = quoteIdentifier(target.name);
  const address = locked.addressColumns.map(({ name }) => `${alias}.${quoteIdentifier(name)}`).join(', ');
  const own = (extent: Extent) => piece(extent, request, target, locked);
  const list = columns.flatMap(({ parts: value, shipped }) => [', ', ...value, ` AS ${quoteIdentifier(shipped.name)}`]);
  return [
    ...(text.before.end > 0 ? own(text.before) : []),
    `SELECT ${text.from === null ? '' : `DISTINCT ON (${address}) `}${address}`,
    ...list,
    ' FROM ',
    ...(text.from === null ? [] : [...own(text.from), ', ']),
    ...locked.replacement.parts,
    ` AS ${alias}`,
    ...(text.where === null ? [] : [' WHERE ', ...own(text.where)]),
  ];
}

interface Extra {
  readonly key: string;
  readonly sql: string;
  readonly shipped: ShippedColumn;
}

interface Returned {
  readonly sql: SqlTemplate | null;
  /** Columns of other relations that RETURNING names: they travel with the rows. */
  readonly extras: readonly Extra[];
}

/** The RETURNING list as nodes run it: columns of other relations are taken from the rows that were sent along. */
function returningOf(
  question: ChangeQuestion & { readonly text: ChangeText; readonly isMoved: boolean },
  request: Parts['request'],
): Returned {
  const { model, target, context, text, isMoved } = question;
  const { returning } = text;
  const { root, source } = model;
  const none: Returned = { sql: null, extras: [] };
  if (returning === null || !('returningClause' in root.node)) return none;
  const refused = (what: string) => unsupported('PH002', `RETURNING ${what} in a change by rows that are elsewhere`);
  if (root.node.returningClause?.options) throw refused('WITH (OLD or NEW AS a name)');
  const edits: PlanEdit[] = [];
  const inside = new Set<unknown>();
  for (const child of root.children) {
    if (child.via !== 'sublink' || !child.link || !isInPart(source, child.link.location, returning)) continue;
    const blocks = allBlocks(child.block);
    const isHere = model.relations.every((item) => !blocks.includes(item.block) || item.role === 'reference');
    const usesCte = blocks.some((block) =>
      block.from.flatMap(leavesOf).some((leaf) => leaf.kind === 'other' && leaf.what === 'cte'),
    );
    const evaluated = usesCte ? null : evaluateSublink(child, request);
    if (evaluated) edits.push(evaluated.edit);
    else if (usesCte || !isHere) throw refused('a subquery on rows of other servers');
    if (evaluated) for (const block of blocks) inside.add(block);
  }
  const blocks = model.blocks.filter((block) => block.source === source && !inside.has(block));
  const parts = blocks.map((block) => partOfBlock(block, returning));
  const obstacle = nodePartObstacle(parts, context);
  if (obstacle) throw refused(`where ${obstacle}`);
  const extras: Extra[] = [];
  const extraOf = ({ item, column }: Bound): string => {
    if (item.name === null) throw refused('columns of a subquery without a name');
    const sql = `${quoteIdentifier(item.name)}.${quoteIdentifier(column)}`;
    const known = extras.find((each) => each.key === sql);
    const name = known?.shipped.name ?? `pgherd_x${extras.length}`;
    if (!known) extras.push({ key: sql, sql, shipped: { name, ...typeOf({ item, column }) } });
    return `pgherd_r.${name}`;
  };
  for (const block of parts) {
    for (const ref of block.columnRefs) {
      const found = referenced(ref, block, question);
      if (found === 'unclear') throw refused('what has no certain meaning');
      if (found === 'stays') continue;
      const list = found.map((each) => (each === 'target' ? `${quoteIdentifier(target.name)}.*` : extraOf(each)));
      edits.push({ ...callExtent(source, ref.location), parts: [list.join(', ')] });
    }
  }
  if (isMoved && (extras.length > 0 || mentionsOld(parts))) throw refused('more than the new row, where rows move');
  return { sql: pieceOf({ model, context, constants: request.constants, extent: returning, edits }), extras };
}

function mentionsOld(blocks: readonly { readonly columnRefs: readonly ColumnRef[] }[]): boolean {
  return blocks.some((block) => block.columnRefs.some(({ fields }) => nameParts(fields).at(-2) === 'old'));
}

function typeOf(bound: Bound): { typeName: string | null; collation: string | null } {
  const entry = columnEntry(bound);
  return { typeName: entry ? castName(entry.typeOid, entry.typeName) : null, collation: entry?.collation ?? null };
}

/** What stands for a reference in RETURNING: columns of others, the target's columns, or the reference itself. */
function referenced(
  ref: ColumnRef,
  block: Parameters<typeof bind>[1],
  { model, target }: ChangeQuestion,
): 'stays' | 'unclear' | (Bound | 'target')[] {
  const { root } = model;
  const names = nameParts(ref.fields);
  const qualifier = names.at(-2);
  const isOuter = (item: LeafItem) => root.from.flatMap(leavesOf).includes(item);
  if (names.at(-1) !== null) {
    if (root.from.length === 1) return 'stays';
    const bound = bind(ref, block);
    if (bound) return bound.item === target || !isOuter(bound.item) ? 'stays' : [bound];
    if (names.length !== 2 || block.kind === 'select' || typeof qualifier !== 'string') return 'unclear';
    if (isOldOrNew(qualifier, root)) return 'stays';
    // Of a relation that only PostgreSQL knows.
    const item = findAlias(root.from, qualifier);
    return item && item.kind !== 'join' && columnsOf(item) === null ? [{ item, column: names[1]! }] : 'unclear';
  }
  if (block.kind === 'select') return 'stays';
  if (typeof qualifier === 'string') {
    if (qualifier === target.name || isOldOrNew(qualifier, root)) return 'stays';
    const item = findAlias(root.from, qualifier);
    return item && item.kind !== 'join' ? columnsOfLeaf(item) : 'unclear';
  }
  const all: (Bound | 'target')[] = [];
  for (const item of root.from) {
    if (item === target) all.push('target');
    else {
      const columns = item.kind === 'join' ? 'unclear' : columnsOfLeaf(item);
      if (columns === 'unclear') return 'unclear';
      all.push(...columns);
    }
  }
  return all;
}

function columnsOfLeaf(item: LeafItem): Bound[] | 'unclear' {
  return columnsOf(item)?.map((column) => ({ item, column })) ?? 'unclear';
}

/** PostgreSQL 18's `old.column` and `new.column`, unless something in FROM is called that. */
function isOldOrNew(
  qualifier: string | null | undefined,
  root: { readonly from: Parameters<typeof findAlias>[0] },
): boolean {
  return (qualifier === 'old' || qualifier === 'new') && findAlias(root.from, qualifier) === null;
}
