import { drawSql } from '../catalog/column-default.ts';
import type { ColumnEntry } from '../catalog/snapshot.ts';
import { assert } from '../core/assert.ts';
import { quoteIdentifier } from '../sql/quote.ts';
import { joinParts } from '../sql/source.ts';
import { globalIndexes } from './change-checks.ts';
import type { PlanContext } from './context.ts';
import type { PlanEdit } from './edits.ts';
import type { FactsByRelation } from './facts.ts';
import { gather } from './gather.ts';
import { nearQuery, scatteredQuery } from './insert-query.ts';
import { type InsertShape, isDefault, isTaken } from './insert-shape.ts';
import { type InsertText, valuesExtents } from './insert-text.ts';
import { needsDefault } from './insert-values.ts';
import type { Model, RelationItem } from './model.ts';
import type { Motion, MotionColumn, Plan, Site, SqlTemplate } from './plan.ts';
import type { ConstantPool } from './rewrite.ts';
import { baseTypeName, castName, motionColumn } from './type-name.ts';

/** A column of the rows that travel. */
export interface RowColumn {
  readonly column: ColumnEntry;
  readonly motion: MotionColumn;
  /** Its place among the given values; null: computed. */
  readonly given: number | null;
  /** What rows that leave it out, or say DEFAULT, get. */
  readonly defaultSql: string | null;
  /** Computed from the others: a generated distribution column. */
  readonly generatedSql: string | null;
  /** It says where the row, or its entry in a global unique index, belongs: it travels as it will be stored. */
  readonly isStored: boolean;
}

/** All that is given, and what the nodes can't fill in by themselves, in the table's order. */
export function rowColumns(shape: InsertShape): RowColumn[] {
  const { table } = shape;
  const found = table.columns.filter((column) => travels(column, shape));
  // A row needs a column to travel in.
  const carried =
    found.length > 0 ? found : table.columns.filter(({ default: { kind } }) => kind !== 'generated').slice(0, 1);
  return carried.map((column) => rowColumn(column, shape));
}

function keyNames({ table }: InsertShape): string[] {
  return table.distribution.kind === 'distributed' ? table.distribution.keys.map(({ name }) => name) : [];
}

function givenIndex(column: ColumnEntry, shape: InsertShape): number {
  return isTaken(column, shape) ? shape.columns.indexOf(column) : -1;
}

function travels(column: ColumnEntry, shape: InsertShape): boolean {
  const keys = keyNames(shape);
  const isKey = keys.includes(column.name);
  const { kind } = column.default;
  if (kind === 'generated' && !isKey) return false;
  const generatedKey = shape.table.columns.some(
    ({ name, default: each }) => keys.includes(name) && each.kind === 'generated',
  );
  return givenIndex(column, shape) >= 0 || isKey || generatedKey || kind === 'sequence' || kind === 'volatile';
}

function isStored({ name }: ColumnEntry, shape: InsertShape): boolean {
  return keyNames(shape).includes(name) || globalIndexes(shape.table).some((index) => index.columns.includes(name));
}

function rowColumn(column: ColumnEntry, shape: InsertShape): RowColumn {
  const index = givenIndex(column, shape);
  const motion = { ...motionColumn(column.name, column), typeName: baseTypeName(column), collation: null };
  const generatedSql = column.default.kind === 'generated' ? column.default.expression : null;
  const given = index < 0 || generatedSql !== null ? null : index;
  const fallback = needsDefault(column, shape) ? defaultSql(column) : null;
  return { column, motion, given, defaultSql: fallback, generatedSql, isStored: isStored(column, shape) };
}

export function defaultSql(column: ColumnEntry): string {
  switch (column.default.kind) {
    case 'sequence':
      return drawSql(column.default);
    case 'constant':
    case 'volatile':
      return column.default.expression;
    default:
      return 'NULL';
  }
}

export interface RowsQuestion {
  readonly model: Model;
  readonly facts: FactsByRelation;
  readonly context: PlanContext;
  readonly constants: ConstantPool;
  readonly target: RelationItem;
  readonly shape: InsertShape;
  readonly text: InsertText;
  readonly columns: readonly RowColumn[];
  /** Motions of the plan so far. */
  readonly motions: Motion[];
}

/** The SELECT that gives the rows: the source as written, each value cast to its column's type, defaults beside them. */
export function rowsOf(question: RowsQuestion): {
  motions: Plan['motions'];
  rows: SqlTemplate;
  sites: readonly Site[];
  dependsOnParameters: boolean;
} {
  const here: readonly Site[] = ['coordinator'];
  const { model, facts, context, constants, motions, shape, columns } = question;
  const { source } = shape;
  // A WITH of the INSERT's own, or around it, would have to come along.
  const isAlone = !model.root.children.some(({ via }) => via === 'cte') && model.readsBefore === undefined;
  if (source.kind === 'query' && source.block.kind === 'select' && isAlone && context.force !== 'gather') {
    const scattered = mayGoBetweenNodes(question)
      ? scatteredQuery(source.block.node, context, { motions, constants, readsCoordinator: false })
      : null;
    if (scattered !== null) {
      const rows = joinParts([openQuery(shape, columns), ...scattered.sql, closeOf(shape, columns)]);
      return { motions, rows, sites: scattered.sites, dependsOnParameters: true };
    }
    const near = nearQuery(source.block.node, context, { motions, constants, readsCoordinator: false });
    if (near !== null) {
      const rows = joinParts([openQuery(shape, columns), ...near, closeOf(shape, columns)]);
      return { motions, rows, sites: here, dependsOnParameters: true };
    }
  }
  const gathered = gather({ model, facts, context, constants, edits: rowEdits(question), motions });
  const { dependsOnParameters } = gathered;
  return { motions: gathered.motions, rows: gathered.sql, sites: here, dependsOnParameters };
}

/**
 * The nodes can give the rows as they will be stored, and take them by COPY: all values are given, none as text; and nothing about them
 * is the router's.
 */
function mayGoBetweenNodes({ model, context, shape: { table }, columns }: RowsQuestion): boolean {
  const { root } = model;
  if (root.kind !== 'insert' || root.node.onConflictClause || root.node.returningClause) return false;
  if (table.distribution.kind !== 'distributed' || table.hasRowSecurity || table.hasRowTriggers) return false;
  if (globalIndexes(table).length > 0 || context.snapshot.keptTables.has(table.oid)) return false;
  return columns.every(({ given, generatedSql, motion }) => given !== null && generatedSql === null && !motion.viaText);
}

/** `INSERT … SELECT` as nodes run it: values cast, and nothing as text, since no row travels. */
export function insertEdits(question: RowsQuestion, head: string): PlanEdit[] {
  const { shape, text } = question;
  const columns = question.columns.map((each) => ({ ...each, motion: { ...each.motion, viaText: false } }));
  return [
    { ...text.head, parts: [`${head} ${openQuery(shape, columns)}`] },
    { start: text.tailStart, end: text.tailStart, parts: [`${closeOf(shape, columns)} `] },
  ];
}

function rowEdits(question: RowsQuestion): PlanEdit[] {
  const { model, shape, text, columns } = question;
  const end = model.source.bytes.length;
  const written = columns.filter(({ generatedSql }) => generatedSql === null);
  const drop = (start: number, to: number, parts: SqlTemplate = []): PlanEdit => ({ start, end: to, parts });
  const edits: PlanEdit[] = [drop(text.tailStart, end, [closeOf(shape, columns)])];
  if (shape.source.kind === 'values')
    edits.push(drop(text.head.start, text.head.end, [openValues(columns)]), ...valuesEdits(question));
  else if (shape.source.kind === 'query') edits.push(drop(text.head.start, text.head.end, [openQuery(shape, columns)]));
  else
    edits.push(
      drop(text.head.start, text.tailStart, [
        openValues(columns),
        `VALUES (${written.map((place) => typed(place.defaultSql ?? 'NULL', place)).join(', ')})`,
      ]),
    );
  return edits;
}

const rowsAlias = 'pgherd_rows';

/** `SELECT … FROM (` before VALUES that have been cast already. */
function openValues(columns: readonly RowColumn[]): string {
  return `${selectList(columns, (column) => quoteIdentifier(column.name))} FROM (`;
}

function openQuery(shape: InsertShape, columns: readonly RowColumn[]): string {
  const value = (_column: ColumnEntry, place: RowColumn) => {
    if (place.given === null) return place.defaultSql === null ? 'NULL' : typed(place.defaultSql, place);
    return typed(`pgherd_source.${quoteIdentifier(`v${place.given}`)}`, place);
  };
  const inner = columns.filter(({ generatedSql }) => generatedSql === null);
  const list = inner.map((place) => `${value(place.column, place)} AS ${quoteIdentifier(place.column.name)}`);
  assert(shape.columns.length > 0 || list.length > 0, 'an INSERT has columns');
  return `${selectList(columns, (column) => quoteIdentifier(column.name))} FROM (SELECT ${list.join(', ')} FROM (`;
}

function closeOf(shape: InsertShape, columns: readonly RowColumn[]): string {
  if (shape.source.kind === 'query') {
    const names = shape.columns.map((_, i) => quoteIdentifier(`v${i}`)).join(', ');
    return `) AS pgherd_source${names === '' ? '' : `(${names})`}) AS ${rowsAlias}`;
  }
  // VALUES has what is given in the order it was written in, then what is computed.
  const written = columns.filter(({ generatedSql }) => generatedSql === null);
  const given = shape.columns.map((_, i) => written.find((place) => place.given === i)?.column.name ?? `ignored ${i}`);
  const computed = written.filter((place) => place.given === null).map(({ column }) => column.name);
  return `) AS ${rowsAlias}(${[...given, ...computed].map(quoteIdentifier).join(', ')})`;
}

/** The rows as they travel: in the columns' order, keys as they will be stored, text where the type asks for it. */
function selectList(columns: readonly RowColumn[], name: (column: ColumnEntry) => string): string {
  const list = columns.map((place) => {
    const value =
      place.generatedSql === null ? name(place.column) : `(${place.generatedSql})::${baseTypeName(place.column)}`;
    const stored = place.isStored ? storedKey(value, place.column) : value;
    return `${place.motion.viaText ? `(${stored})::text` : stored} AS ${quoteIdentifier(place.column.name)}`;
  });
  return `SELECT ${list.join(', ')}`;
}

const varchar = 1043;
const characterTypes = new Set([1042, varchar, 1560, 1562]);

/**
 * A distribution column's value after its type modifier: that is what is hashed. An explicit cast rounds as assignment does, but
 * cuts strings that assignment refuses, unless only spaces are cut (and those don't count for character(n)).
 */
export function storedKey(value: string, column: ColumnEntry): string {
  if (column.typmod < 0) return value;
  const full = castName(column.typeOid, column.typeName);
  if (!characterTypes.has(column.typeOid)) return `(${value})::${full}`;
  if (column.typeOid !== varchar) return value;
  const rest = `pg_catalog.substr(${value}, ${column.typmod - 3})`;
  return `CASE WHEN pg_catalog.rtrim(${rest}) = '' THEN (${value})::${full} ELSE ${value} END`;
}

/** A value as its column's type, the modifier left out: the node's INSERT applies that by assignment. */
function typed(value: string, place: RowColumn): string {
  return `(${value})::${baseTypeName(place.column)}`;
}

function valuesEdits({ target, shape, text, columns }: RowsQuestion): PlanEdit[] {
  assert(shape.source.kind === 'values', 'rows of VALUES');
  const written = columns.filter(({ generatedSql }) => generatedSql === null);
  const extents = valuesExtents(target, text);
  const { rows } = shape.source;
  return extents.flatMap(({ expressions, close }, r) => {
    assert(expressions.length === shape.columns.length, 'every expression of VALUES is found in the text');
    const edits: PlanEdit[] = [];
    for (const [i, extent] of expressions.entries()) {
      const place = written.find(({ given }) => given === i);
      const last = i === expressions.length - 1;
      if (!place) edits.push({ ...extent, parts: ['NULL'] });
      else if (isDefault(rows[r]![i])) edits.push({ ...extent, parts: [typed(place.defaultSql ?? 'NULL', place)] });
      else {
        edits.push({ start: extent.start, end: extent.start, parts: ['('] });
        edits.push({ start: extent.end, end: extent.end, parts: [`)::${baseTypeName(place.column)}`] });
      }
      if (last)
        edits.push({
          start: close,
          end: close,
          parts: written
            .filter(({ given }) => given === null)
            .map((each) => `, ${typed(each.defaultSql ?? 'NULL', each)}`),
        });
    }
    return edits;
  });
}
