import type { FuncCall, Node, ResTarget, SQLValueFunction } from '@pgsql/types';
import { quoteIdentifier } from '../sql/quote.ts';
import { positionOf, type SqlSource, splice, textBetween } from '../sql/source.ts';
import { nameParts, walk } from '../sql/walk.ts';
import { firstLateParameter, type PlanContext, parameterOf } from './context.ts';
import {
  callExtent,
  type Extent,
  nameEdit,
  type PlanEdit,
  parameterExtent,
  qualifierExtent,
  relationExtent,
  sampleExtent,
  tableExtent,
  tokenAt,
} from './edits.ts';
import { constantFunctions, placementOf, sessionValueType } from './functions.ts';
import type { Block, Model, RelationItem } from './model.ts';
import type { PlanConstant, SqlPart, SqlTemplate } from './plan.ts';
import { castName } from './type-name.ts';

/** What stands in a relation's place; null: the text as it is. */
export interface Replacement {
  readonly parts: SqlTemplate;
  /** It has no name of its own that the statement could use: the relation's is added as an alias. */
  readonly needsAlias: boolean;
  /** TABLESAMPLE behind it holds of what stands in its place, too; otherwise the sample was drawn already. */
  readonly keepsSample?: true;
}

export interface Rewriting {
  readonly model: Model;
  readonly context: PlanContext;
  replace(item: RelationItem): Replacement | null;
  /** Where now() and the like are put that nodes must not evaluate; null: they stay. */
  readonly constants: ConstantPool | null;
  /** Edits besides. */
  readonly edits?: readonly SourceEdit[];
  /** The part of the statement's own text that is wanted; edits cut the rest away. */
  readonly within?: Extent;
}

export interface SourceEdit {
  readonly source: SqlSource;
  readonly edit: PlanEdit;
}

export interface ConstantPool {
  readonly list: readonly PlanConstant[];
  add(sql: SqlTemplate, typeName: string): number;
}

export function createConstantPool(): ConstantPool {
  const list: PlanConstant[] = [];
  return {
    list,
    add(sql, typeName) {
      const known = list.findIndex(
        (each) => each.typeName === typeName && JSON.stringify(each.sql) === JSON.stringify(sql),
      );
      return known >= 0 ? known : list.push({ sql, typeName }) - 1;
    },
  };
}

/** The statement's text with relations replaced, views expanded, and parameters and constants as holes. */
export function rewriteStatement(rewriting: Rewriting): SqlTemplate {
  return rewriteSource(rewriting.model.source, rewriting);
}

function rewriteSource(source: SqlSource, rewriting: Rewriting): SqlTemplate {
  const { model } = rewriting;
  const blocks = model.blocks.filter((block) => block.source === source);
  const edits = [
    ...(source === model.source ? (model.edits ?? []) : []),
    ...(rewriting.edits ?? []).flatMap((each) => (each.source === source ? [each.edit] : [])),
    ...relationEdits(source, rewriting),
    ...viewEdits(source, rewriting),
    ...blocks.flatMap((block) => expressionEdits(block, rewriting)),
  ];
  return splice(source, withoutNested(edits));
}

/** An edit of a whole clause swallows those inside it; of several that replace the same, the first one counts. */
function withoutNested(edits: readonly PlanEdit[]): PlanEdit[] {
  return edits.filter(
    (edit, i) => !edits.some((other, j) => other !== edit && (isNested(edit, other) || (j < i && isSame(edit, other)))),
  );
}

function isSame(edit: PlanEdit, other: PlanEdit): boolean {
  return edit.start < edit.end && edit.start === other.start && edit.end === other.end;
}

/** An insertion at the very edge of another edit is beside it. */
function isNested(edit: PlanEdit, other: PlanEdit): boolean {
  if (edit.start === edit.end) return other.start < edit.start && edit.end < other.end;
  return other.start <= edit.start && edit.end <= other.end && other.end - other.start > edit.end - edit.start;
}

function relationEdits(source: SqlSource, rewriting: Rewriting): PlanEdit[] {
  return rewriting.model.relations.flatMap((item) => {
    if (item.block.source !== source) return [];
    const replacement = rewriting.replace(item);
    if (!replacement) return [];
    const extent = relationExtent(source, item.node);
    const alias =
      replacement.needsAlias && !item.node.alias ? [` AS ${quoteIdentifier(splicedName(item, rewriting.model))}`] : [];
    const edits: PlanEdit[] = [
      { ...extent, parts: [...replacement.parts, ...alias] },
      ...tableCommandEdits(item, source),
    ];
    if (item.sample && !replacement.keepsSample)
      edits.push({ ...sampleExtent(source, item.sample.location), parts: [] });
    return edits;
  });
}

/** `TABLE t` allows a name only: `SELECT * FROM` takes anything. */
function tableCommandEdits({ block, node }: RelationItem, source: SqlSource): PlanEdit[] {
  const [target] = block.kind === 'select' ? (block.node.targetList ?? []) : [];
  const star = target && 'ResTarget' in target ? target.ResTarget : undefined;
  if (!star?.val || !('ColumnRef' in star.val) || (star.val.ColumnRef.location ?? -1) >= 0) return [];
  const tokens = source.tokens();
  let index = tokenAt(tokens, positionOf(source, node.location));
  while (index >= 0 && tokens[index]!.text !== 'table') index--;
  const command = tokens[index];
  return command ? [{ start: command.start, end: command.end, parts: ['SELECT * FROM'] }] : [];
}

function viewEdits(source: SqlSource, rewriting: Rewriting): PlanEdit[] {
  return rewriting.model.views.flatMap((item) => {
    if (item.owner.source !== source || !item.view) return [];
    const body = rewriteSource(item.block.source, rewriting);
    const alias = item.view.node.alias ? [] : [` AS ${quoteIdentifier(item.name ?? '')}`];
    return [{ ...relationExtent(source, item.view.node), parts: ['(', ...body, ')', ...alias] }];
  });
}

function expressionEdits(block: Block, rewriting: Rewriting): PlanEdit[] {
  const { context } = rewriting;
  const { source } = block;
  const edits: PlanEdit[] = [];
  const changed = new Set<unknown>();
  for (const parameter of block.parameters) {
    const known = parameterOf(parameter.number ?? 0, context);
    if (known) changed.add(parameter);
    edits.push({
      ...parameterExtent(source, parameter.location),
      parts: parameterParts(parameter.number ?? 0, context),
    });
  }
  for (const call of constantCalls(block, rewriting)) {
    changed.add(call.node);
    const extent = callExtent(source, call.node.location);
    if (!isWanted(extent, source, rewriting)) continue;
    const constant = rewriting.constants!.add([textBetween(source, extent.start, extent.end)], call.typeName);
    edits.push({ ...extent, parts: ['(', { constant }, ')'] });
  }
  for (const ref of block.columnRefs) {
    const clashing = clashingItem(ref.fields, rewriting);
    if (clashing) {
      const name = quoteIdentifier(splicedName(clashing, rewriting.model));
      edits.push({ ...tableExtent(source, ref), parts: [name] });
    } else if (losesQualifier(ref.fields, block, rewriting)) {
      edits.push({ ...qualifierExtent(source, ref), parts: [] });
    }
  }
  const names = block.targets.filter((target) => isRenamed(target, changed)).map((target) => nameEdit(source, target));
  // What stands at the statement's very end is beside a cut of all that follows, not within it.
  return [...edits, ...names.filter((edit) => isWanted(edit, source, rewriting))];
}

function isWanted(extent: Extent, source: SqlSource, { within, model }: Rewriting): boolean {
  return !within || source !== model.source || (extent.start >= within.start && extent.end <= within.end);
}

/** A parameter with its type around it. */
export function parameterParts(number: number, context: PlanContext): SqlPart[] {
  const late = context.late[number - firstLateParameter];
  if (late) return ['(', { constant: late.constant }, ')'];
  const known = context.parameters?.[number - 1];
  const hole = { parameter: number - 1 };
  return known ? ['(', hole, `::${castName(known.typeOid, known.typeName)})`] : [hole];
}

function constantCalls(
  block: Block,
  { constants, context }: Rewriting,
): { node: FuncCall | SQLValueFunction; typeName: string }[] {
  if (!constants) return [];
  const calls = block.functions.filter((call) => placementOf(call, context) === 'constant');
  return [
    ...calls.map((node) => ({ node, typeName: constantFunctions[nameParts(node.funcname).at(-1) ?? ''] ?? 'text' })),
    ...block.sessionValues.map((node) => ({ node, typeName: sessionValueType(node) })),
  ];
}

/** What a replaced relation goes by: its own name, or with the schema in it where another of that name stands beside it. */
function splicedName(item: RelationItem, model: Model): string {
  const clashes = model.relations.some(
    (other) => other !== item && other.block === item.block && other.name === item.name && !other.node.alias,
  );
  return clashes && !item.node.alias ? `${item.relation?.schema}.${item.name}` : item.name;
}

/** The replaced relation that `schema.table.column` names, when its name alone would not tell which. */
function clashingItem(fields: Node[] | undefined, rewriting: Rewriting): RelationItem | undefined {
  const [schema, table] = nameParts(fields).slice(-3);
  if ((fields?.length ?? 0) < 3) return undefined;
  return rewriting.model.relations.find(
    (item) =>
      !item.node.alias &&
      item.name === table &&
      item.relation?.schema === schema &&
      splicedName(item, rewriting.model) !== item.name &&
      rewriting.replace(item) !== null,
  );
}

/** `public.t.c` where `public.t` is replaced by something that is called `t`. */
function losesQualifier(fields: Node[] | undefined, block: Block, rewriting: Rewriting): boolean {
  const names = nameParts(fields);
  if (names.length < 3) return false;
  const [schema, table] = names.slice(-3);
  const { relations, views } = rewriting.model;
  const same = (node: { schemaname?: string; relname?: string; alias?: unknown }, entrySchema: string | undefined) =>
    !node.alias && node.relname === table && entrySchema === schema;
  return (
    relations.some((item) => same(item.node, item.relation?.schema) && rewriting.replace(item) !== null) ||
    views.some(
      (item) => item.owner.source === block.source && item.view && same(item.view.node, item.view.relation.schema),
    )
  );
}

/** Whether an unnamed item holds something that was changed, so that it would get another name. */
export function isRenamed(target: ResTarget, changed: ReadonlySet<unknown>): boolean {
  if (target.name !== undefined || !target.val || changed.size === 0) return false;
  let found = false;
  walk(target.val, (_, fields) => {
    found ||= changed.has(fields);
    return !found;
  });
  return found;
}
