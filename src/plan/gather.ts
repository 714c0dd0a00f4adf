import { type DistributedTable, shardSchema } from '../catalog/snapshot.ts';
import { assert } from '../core/assert.ts';
import { quoteIdentifier, quoteQualified } from '../sql/quote.ts';
import { segmentFunction } from '../sql/segment-function.ts';
import { joinParts, splice } from '../sql/source.ts';
import { type NeededColumns, neededColumns } from './columns.ts';
import type { PlanContext } from './context.ts';
import { callExtent, nameEdit, type PlanEdit, parameterExtent, sampleExtent } from './edits.ts';
import type { Fact, FactsByRelation } from './facts.ts';
import { fragmentExpression, runsAnywhere } from './fragment.ts';
import { systemColumnsOf } from './functions.ts';
import { groupingEdits } from './grouping.ts';
import { lockedWindow } from './locked-window.ts';
import type { Block, Model, RelationItem } from './model.ts';
import type { GatherMotion, Motion, MotionColumn, SqlPart, SqlTemplate } from './plan.ts';
import { columnEntry, wholeRow } from './resolve.ts';
import {
  type ConstantPool,
  isRenamed,
  parameterParts,
  type Replacement,
  rewriteStatement,
  type SourceEdit,
} from './rewrite.ts';
import { segmentColumn, segmentEdits } from './segments.ts';
import { columnPair, nodesOf, shardsOf } from './shards.ts';
import { motionColumn } from './type-name.ts';

export interface GatherRequest {
  readonly model: Model;
  readonly facts: FactsByRelation;
  readonly context: PlanContext;
  readonly constants: ConstantPool;
  /** Edits of the statement's text besides. */
  readonly edits?: readonly PlanEdit[];
  /** The coordinator's own tables travel too, so that their rows are of the same moment. */
  readonly movesOwn?: boolean;
  /** Relations that are left as they are: false. */
  readonly concerns?: (item: RelationItem) => boolean;
  /** Motions of the plan so far; those that are needed are added. */
  readonly motions?: Motion[];
  /** What stands in the place of the table that is changed; left out: it stays. */
  readonly target?: { readonly item: RelationItem; readonly replacement: Replacement };
}

export interface Gathered {
  readonly motions: readonly Motion[];
  /** The statement, over the motions' rows. */
  readonly sql: SqlTemplate;
  readonly dependsOnParameters: boolean;
  readonly locksRows: boolean;
}

/**
 * The rung that takes any query: every distributed relation's needed columns, with its own filters pushed down, travel to the
 * coordinator, and the statement runs there over them, otherwise as it was written.
 */
export function gather(request: GatherRequest): Gathered {
  const { model, context, motions = [], concerns = () => true } = request;
  const isElsewhere = ({ role, relation }: RelationItem) =>
    role === 'distributed' || role === 'virtual' || isWrittenBefore(model, relation);
  const isOwn = (item: RelationItem) => request.movesOwn === true && !isElsewhere(item) && isMovable(item);
  const moved = (isOne: (item: RelationItem) => boolean) =>
    model.relations.filter((item) => !item.isTarget && isOne(item) && concerns(item));
  // The coordinator's rows come first: its connection is wanted for those of the nodes.
  const items = [...moved(isOwn), ...moved(isElsewhere)];
  const { replacements, edits: besides, dependsOnParameters } = moveRelations({ ...request, motions }, items);
  const target = request.target;
  const own = (request.edits ?? []).map((edit): SourceEdit => ({ source: model.source, edit }));
  const replace = (item: RelationItem) => replacements.get(item) ?? (target?.item === item ? target.replacement : null);
  const edits = [...own, ...besides];
  const sql = rewriteStatement({ model, context, replace, constants: null, edits });
  const locksRows = motions.some((motion) => motion.kind === 'gather' && motion.locksRows);
  return { motions, sql, dependsOnParameters, locksRows };
}

/** A relation of the coordinator's of which nothing is asked but its columns. */
export function isMovable({ relation, block, node, lock, sample, table }: RelationItem): boolean {
  if (relation === null || lock !== null || sample !== null || node.inh === false) return false;
  if (systemColumnsOf(block).length > 0 || hasWholeRow(block)) return false;
  // Of a local table's keys, on which other columns depend, nothing is known here.
  return table !== null || block.kind !== 'select' || block.node.groupClause === undefined;
}

function hasWholeRow(block: Block): boolean {
  return block.columnRefs.some((ref) => wholeRow(ref, block) !== null);
}

export function isWrittenBefore({ readsBefore }: Model, relation: RelationItem['relation']): boolean {
  return relation !== null && readsBefore?.has(relation.oid) === true;
}

export interface MovedRelations {
  readonly replacements: ReadonlyMap<RelationItem, Replacement>;
  /** What else changes in the text because of them. */
  readonly edits: readonly SourceEdit[];
  readonly dependsOnParameters: boolean;
}

/** Motions for relations, and what stands in their place. `toNodes`: in statements that nodes run, so their rows stay in memory. */
export function moveRelations(
  request: GatherRequest & { readonly motions: Motion[] },
  items: readonly RelationItem[],
  toNodes = false,
): MovedRelations {
  const { model, facts, context, constants, motions } = request;
  const needed = neededColumns(model);
  const replacements = new Map<RelationItem, Replacement>();
  let dependsOnParameters = false;
  for (const item of items) {
    const columns = needed(item);
    const movement: Movement = { item, columns, facts: facts.get(item) ?? [], context, constants };
    const found = item.role === 'virtual' ? virtualMotion(item) : gatherMotion(movement);
    const motion: Motion =
      toNodes && found.motion.kind === 'gather'
        ? { ...found.motion, label: found.motion.label.replace('Gather', 'Ship'), toNodes: true }
        : found.motion;
    dependsOnParameters ||= found.depends;
    replacements.set(item, {
      parts: arrival(item, columns, motion, addMotion(motions, motion, item)),
      needsAlias: true,
    });
  }
  const isReplaced = (item: RelationItem) => replacements.has(item);
  const edits = [
    ...groupingEdits(model, isReplaced),
    ...wholeRowEdits(model, isReplaced),
    ...segmentEdits(model, isReplaced),
  ];
  return { replacements, edits, dependsOnParameters };
}

export interface LockedTarget {
  /** Stands in the table's place: its columns, and the address under `addressColumns`' names. */
  readonly replacement: Replacement;
  readonly addressColumns: readonly MotionColumn[];
  readonly dependsOnParameters: boolean;
}

export interface TargetRequest {
  readonly item: RelationItem;
  /** The columns that are needed, by the table's own names. */
  readonly names: readonly string[];
  readonly facts: readonly Fact[];
  readonly context: PlanContext;
  readonly constants: ConstantPool;
  readonly motions: Motion[];
  readonly strength: 'NO KEY UPDATE' | 'UPDATE';
}

/**
 * The rows that a change may concern, locked where they are, with their addresses: node, leaf and ctid, which stay as they are while
 * the lock is held; of a reference table, read on the coordinator, the primary key.
 */
export function lockTarget(request: TargetRequest): LockedTarget {
  const { item, names, motions, strength } = request;
  const { table } = item;
  assert(table, 'a target has its table');
  const columns: NeededColumns = { names, whole: false, tableoid: false, segment: false };
  const { motion, depends } = gatherMotion({ ...request, columns });
  const address = addressOf(table);
  const lists = address.map(({ sql }) => sql);
  const [head, ...rest] = motion.sql;
  assert(typeof head === 'string' && head.startsWith('SELECT'), 'a fragment begins with SELECT');
  const from = head.indexOf(' FROM ');
  const list = head.slice('SELECT'.length, from).trim();
  const sql: SqlPart[] = [
    'SELECT ',
    ...lists.flatMap((parts, i) => (i === 0 ? parts : [', ', ...parts])),
    `${list === '' ? '' : `, ${list}`}${head.slice(from)}`,
    ...rest,
    ` FOR ${strength}`,
  ];
  const locked: GatherMotion = {
    ...motion,
    sql: joinParts(sql),
    columns: [...address.map(({ column }) => column), ...motion.columns],
    locksRows: true,
    label: motion.label.replace('Gather', 'Gather rows to change of'),
  };
  const index = motions.push(locked) - 1;
  const shown = address.map(({ column }) => quoteIdentifier(column.name));
  return {
    replacement: { parts: arrival(item, columns, motion, index, shown), needsAlias: true },
    addressColumns: address.map(({ column }) => column),
    dependsOnParameters: depends,
  };
}

function addressOf(table: DistributedTable): { readonly sql: SqlTemplate; readonly column: MotionColumn }[] {
  const column = (name: string, typeOid: number, typeName: string): MotionColumn => ({
    ...{ name, typeOid, typeName, collation: null, viaText: false },
  });
  if (table.distribution.kind === 'distributed') {
    return [
      { sql: [{ site: true }, '::integer'], column: column('pgherd_node', 23, 'integer') },
      { sql: [`${fragmentAlias}.tableoid::oid`], column: column('pgherd_leaf', 26, 'oid') },
      { sql: [`${fragmentAlias}.ctid::text`], column: column('pgherd_ctid', 25, 'text') },
    ];
  }
  return table.primaryKey.map((name, i) => {
    const entry = table.columns.find((each) => each.name === name);
    assert(entry, 'a primary key is of columns');
    const moved = motionColumn(`pgherd_k${i}`, entry);
    const sql = `${fragmentAlias}.${quoteIdentifier(name)}${moved.viaText ? '::text' : ''}`;
    return { sql: [sql], column: moved };
  });
}

/** Two uses that need the same rows share them, but for a sample, which is drawn for each. */
function addMotion(motions: Motion[], motion: Motion, item: RelationItem): number {
  const identity = (each: Motion) => JSON.stringify({ ...each, label: '' });
  const known = item.sample ? -1 : motions.findIndex((each) => identity(each) === identity(motion));
  return known >= 0 ? known : motions.push(motion) - 1;
}

interface Movement {
  readonly item: RelationItem;
  readonly columns: NeededColumns;
  readonly facts: readonly Fact[];
  readonly context: PlanContext;
  readonly constants: ConstantPool;
}

/** What a relation is called in its own fragment: no column can be meant by it. */
const fragmentAlias = 't';

function gatherMotion(movement: Movement): { motion: GatherMotion; depends: boolean } {
  const { item, facts, context } = movement;
  const { table, relation, lock } = item;
  assert(relation, 'a relation that travels is known');
  const shards = shardsOf(item, facts, context);
  const columns = travelling(movement);
  const list = columns.map(({ sourceName, column }) => {
    const name = `${fragmentAlias}.${quoteIdentifier(sourceName)}`;
    return column.viaText ? `${name}::text` : name;
  });
  if (movement.columns.segment) list.push(`pgherd.${segmentFunction}(${fragmentAlias}.tableoid)`);
  const filters = pushedFilters(movement);
  const where = filters.flatMap((filter, i): SqlPart[] => [i === 0 ? ' WHERE (' : ' AND (', ...filter, ')']);
  const window = lock ? lockedWindow(item, fragmentAlias, context, movement.constants) : null;
  const [only] = shards.indexes?.size === 1 ? shards.indexes : [];
  const schema = only === undefined || !table ? relation.schema : shardSchema(table, only);
  const from = `SELECT ${list.join(', ')} FROM ${quoteQualified(schema, relation.name)} AS ${fragmentAlias}`;
  const motion: GatherMotion = {
    kind: 'gather',
    sites: table?.distribution.kind === 'distributed' ? nodesOf(table, shards.indexes) : ['coordinator'],
    sql: joinParts([from, ...sampleParts(movement), ...where, ...(window?.sql ?? []), lock ? lockText(item) : '']),
    columns: [...columns.map(({ column }) => column), ...(movement.columns.segment ? [travellingSegment] : [])],
    primaryKey: [],
    lookupColumns: lookupColumns(movement, columns),
    locksRows: lock !== null,
    label: `Gather ${item.name}${filters.length > 0 ? ': filter pushed down' : ''}`,
  };
  return { motion, depends: shards.dependsOnParameters || window?.dependsOnParameters === true };
}

function travelling({
  item,
  columns,
}: Pick<Movement, 'item' | 'columns'>): { sourceName: string; column: MotionColumn }[] {
  const entries = (item.relation?.columns ?? []).filter((column) => columns.names.includes(column.name));
  return entries.map((entry, i) => ({ sourceName: entry.name, column: motionColumn(`c${i}`, entry) }));
}

const travellingSegment: MotionColumn = {
  ...{ name: segmentColumn, typeOid: 23, typeName: 'integer', collation: null, viaText: false },
};

/** The columns that equal one of a query around, by the names they travel under. */
function lookupColumns({ item, facts, context }: Movement, columns: ReturnType<typeof travelling>): string[] {
  const correlated = facts.filter(({ semiJoin }) => !semiJoin);
  const pairs = correlated.map((fact) => columnPair(fact, context)).filter((pair) => pair !== null);
  const sides = pairs.flatMap(([a, b]) => [
    [a, b],
    [b, a],
  ]);
  const compared = sides.flatMap(([own, other]) => {
    if (own?.item !== item || !other) return [];
    const around =
      other.item.kind === 'relation' ? other.item.block : other.item.kind === 'query' ? other.item.owner : null;
    return around !== null && around !== item.block ? [columnEntry(own)?.name] : [];
  });
  return columns.flatMap(({ sourceName, column }) => (compared.includes(sourceName) ? [column.name] : []));
}

/** The conditions that concern this relation alone and mean the same on a node. */
function pushedFilters(movement: Movement): SqlTemplate[] {
  const { item, facts, context, constants } = movement;
  const own = facts.filter((fact) => {
    const bounds = [...fact.columns.values()];
    return (
      !fact.nested &&
      bounds.length > 0 &&
      bounds.every((bound) => bound?.item === item) &&
      runsAnywhere(fact.expression, context)
    );
  });
  return own.flatMap((fact) => {
    const column = (ref: Parameters<typeof fact.columns.get>[0]) => {
      const bound = fact.columns.get(ref);
      const entry = bound ? columnEntry(bound) : null;
      assert(entry, 'a column of the relation itself');
      return { ColumnRef: { fields: [{ String: { sval: fragmentAlias } }, { String: { sval: entry.name } }] } };
    };
    try {
      return [fragmentExpression(fact.expression, { context, constants, column })];
    } catch {
      // What can't be written back faithfully stays on the coordinator.
      return [];
    }
  });
}

function sampleParts({ item, context }: Movement): SqlTemplate {
  if (!item.sample) return [];
  const { source, parameters } = item.block;
  const extent = sampleExtent(source, item.sample.location);
  const slice = { ...source, bytes: source.bytes.slice(extent.start, extent.end) };
  const edits = parameters.flatMap((parameter) => {
    const place = parameterExtent(source, parameter.location);
    if (place.start < extent.start || place.end > extent.end) return [];
    const [start, end] = [place.start - extent.start, place.end - extent.start];
    return [{ start, end, parts: parameterParts(parameter.number ?? 0, context) }];
  });
  return [' ', ...splice(slice, edits)];
}

const strengths: Readonly<Record<string, string>> = {
  LCS_FORKEYSHARE: 'KEY SHARE',
  LCS_FORSHARE: 'SHARE',
  LCS_FORNOKEYUPDATE: 'NO KEY UPDATE',
  LCS_FORUPDATE: 'UPDATE',
};
const waits: Readonly<Record<string, string>> = { LockWaitSkip: ' SKIP LOCKED', LockWaitError: ' NOWAIT' };

function lockText({ lock }: RelationItem): string {
  return ` FOR ${strengths[lock?.strength ?? ''] ?? 'UPDATE'}${waits[lock?.waitPolicy ?? ''] ?? ''}`;
}

/** `(SELECT c0 AS "a", … FROM <motion>)`: the rows under the relation's own column names and types. */
function arrival(
  item: RelationItem,
  columns: NeededColumns,
  motion: Motion,
  index: number,
  besides: readonly string[] = [],
): SqlTemplate {
  const entries = (item.relation?.columns ?? []).filter((column) => columns.names.includes(column.name));
  const list = entries.map((entry, i) => {
    // A virtual relation brings all of its columns, under their own names.
    const own = motion.kind === 'virtual' ? motion.columns.find(({ name }) => name === entry.name) : motion.columns[i];
    assert(own, `column ${entry.name} travels`);
    const column = own;
    const cast = column.viaText || entry.typmod >= 0 ? `::${column.typeName}` : '';
    const collate = column.collation === null ? '' : ` COLLATE ${column.collation}`;
    return `${quoteIdentifier(column.name)}${cast}${collate} AS ${quoteIdentifier(entry.name)}`;
  });
  if (columns.segment) list.push(segmentColumn);
  if (columns.tableoid) list.push(`${item.table?.oid ?? 0}::oid AS tableoid`);
  return [`(SELECT ${[...besides, ...list].join(', ')} FROM `, { motion: index }, ')'];
}

/** A whole row keeps the table's row type. As text, because a row of a subquery is a record, which no cast accepts. */
function wholeRowEdits(model: Model, isReplaced: (item: RelationItem) => boolean): SourceEdit[] {
  return model.blocks.flatMap((block) => {
    const { source } = block;
    const changed = new Set<unknown>();
    const rows = block.columnRefs.flatMap((ref): SourceEdit[] => {
      const item = wholeRow(ref, block);
      if (!item?.table || !isReplaced(item) || item.node.alias?.colnames) return [];
      changed.add(ref);
      const { start, end } = callExtent(source, ref.location);
      const type = quoteQualified(item.table.schema, item.table.name);
      return [
        { source, edit: { start, end: start, parts: ['('] } },
        { source, edit: { start: end, end, parts: [`::text::${type})`] } },
      ];
    });
    const named = block.targets.filter((target) => isRenamed(target, changed));
    return [...rows, ...named.map((target) => ({ source, edit: nameEdit(source, target) }))];
  });
}

function virtualMotion(item: RelationItem): { motion: Motion; depends: boolean } {
  const columns = (item.relation?.columns ?? []).map((entry) => ({
    ...motionColumn(entry.name, entry),
    viaText: true,
  }));
  const motion: Motion = {
    kind: 'virtual',
    relation: item.relation?.name ?? '',
    columns,
    label: `Rows of ${item.name}, as the servers tell them now`,
  };
  return { motion, depends: false };
}
