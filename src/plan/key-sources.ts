import type { Node } from '@pgsql/types';
import type { ColocationGroup, KeyColumn } from '../catalog/snapshot.ts';
import { isKeyed } from '../catalog/snapshot.ts';
import type { RawStatement } from '../sql/parse.ts';
import { analyze } from './analyze.ts';
import type { KeyTrace, PlanContext } from './context.ts';
import { type FactsByRelation, findFacts } from './facts.ts';
import { insertShape } from './insert-shape.ts';
import { insertedKeys } from './insert-values.ts';
import type { KeyValue } from './key-value.ts';
import { isChange, type Model, type RelationItem } from './model.ts';
import { isPlain } from './plain-plan.ts';
import type { Plan, PlanConstant } from './plan.ts';
import { pinnedValues } from './shards.ts';

/** Where a statement gets the value of one distribution column from. */
export type KeySource =
  /** 1-based, as in the text. */
  | { readonly kind: 'parameter'; readonly number: number }
  /** `location`: byte offset in the source, of the constant or of the minus before it. */
  | { readonly kind: 'constant'; readonly location: number; readonly value: KeyValue };

/** What decides to which shard of one relation a statement goes. */
export interface RelationKeys {
  readonly group: ColocationGroup;
  readonly columns: readonly KeyColumn[];
  readonly sources: readonly KeySource[];
}

/**
 * A statement that goes to one shard whatever its values are, as long as each of them is one that the router can read: for every
 * distributed relation in it each distribution column is demanded to equal, or is inserted as, one parameter or constant. The plan depends on the values
 * by nothing but the shard. Null: not such a statement.
 */
export function keySources(statement: RawStatement, plan: Plan, context: PlanContext): readonly RelationKeys[] | null {
  if (!isPlainRoute(plan)) return null;
  if (plan.delegatedBy) return [plan.delegatedBy];
  const trace: KeyTrace = new Map();
  const traced = { ...context, trace };
  const model = analyze(statement.node, statement, traced);
  if (model.views.length > 0 || assignsKeys(model)) return null;
  const facts = findFacts(model.root);
  const found = model.relations
    .filter(({ role }) => role === 'distributed')
    .map((item) => relationKeys(item, facts, traced));
  return found.length > 0 && found.every((each) => each !== null) ? found : null;
}

/** One fragment on one node, and nothing around it but what the transaction's clock says. */
function isPlainRoute(plan: Plan): boolean {
  const { rung, final, constants, motions } = plan;
  if (
    (rung !== 'single shard' && rung !== 'delegated') ||
    final.kind !== 'pass' ||
    final.site === 'coordinator' ||
    motions.length > 0
  )
    return false;
  if (!isPlain(plan)) return false;
  if (final.sql.some((part) => typeof part !== 'string' && !('parameter' in part || 'constant' in part))) return false;
  return constants.every(isClock);
}

/** The same for as long as the transaction lasts, as long as the session's time zone stays. */
export function isClock({ sql }: PlanConstant): boolean {
  const [text = ''] = sql;
  return sql.length === 1 && typeof text === 'string' && clock.test(text);
}

const clock =
  /^(?:(?:now|transaction_timestamp)\(\)|(?:current_(?:date|time|timestamp)|localtime|localtimestamp)(?:\(\d\))?)$/i;

/** Whether an assignment keeps the key depends on its value. */
function assignsKeys({ relations }: Model): boolean {
  return relations.some(({ isTarget, block, table }) => {
    if (!isTarget || !isChange(block) || block.kind === 'insert' || block.kind === 'delete') return false;
    const targets = block.kind === 'update' ? (block.node.targetList ?? []) : null;
    const keys = table?.distribution.kind === 'distributed' ? table.distribution.keys : [];
    return (
      targets === null ||
      targets.some((target) => 'ResTarget' in target && keys.some(({ name }) => name === target.ResTarget.name))
    );
  });
}

function relationKeys(item: RelationItem, facts: FactsByRelation, context: PlanContext): RelationKeys | null {
  const distribution = item.table?.distribution;
  if (distribution?.kind !== 'distributed' || !isKeyed(distribution)) return null;
  const rows = keyRows(item, facts, context);
  const [row] = rows ?? [];
  if (rows?.length !== 1 || row === undefined) return null;
  const sources = row.map((value) => sourceOf(context.trace?.get(value), value));
  if (!sources.every((source) => source !== null)) return null;
  return { group: distribution.group, columns: distribution.keys, sources };
}

function keyRows(item: RelationItem, facts: FactsByRelation, context: PlanContext) {
  const distribution = item.table?.distribution;
  if (distribution?.kind !== 'distributed') return null;
  if (item.isTarget && item.block.kind === 'insert') {
    const shape = insertShape(item);
    return shape.source.kind === 'values' ? insertedKeys(shape.source.rows, shape, context) : null;
  }
  return pinnedValues(item, distribution.keys, facts.get(item) ?? [], context);
}

/** Under a cast too: the planner has seen that it changes nothing. */
export function sourceOf(node: Node | undefined, value: KeyValue): KeySource | null {
  if (node === undefined) return null;
  if ('TypeCast' in node) return sourceOf(node.TypeCast.arg, value);
  if ('ParamRef' in node) return { kind: 'parameter', number: node.ParamRef.number ?? 0 };
  if ('A_Const' in node) return { kind: 'constant', location: node.A_Const.location ?? 0, value };
  return null;
}
