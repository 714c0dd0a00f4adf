import type { ColumnRef, FuncCall, Node } from '@pgsql/types';
import { columnRef } from '../../sql/walk.ts';
import { type SplitAggregate, splitAggregate } from '../aggregates.ts';
import { isAggregate } from '../functions.ts';
import { type Hashed, locusOf } from '../locus.ts';
import { isInside, joinsOf, leavesOf, type RelationItem, type SelectBlock } from '../model.ts';
import { bind } from '../resolve.ts';
import { boundType } from './pairs.ts';
import { identicalTypes } from './query.ts';
import type { StageQuestion } from './question.ts';
import { sizeOf } from './size.ts';
import { selectOf, target } from './tree.ts';
import { refsIn, sortAliases, type Unit } from './unit.ts';

/** A relation whose rows are aggregated on each node before they travel. */
export interface PreAggregated {
  /** Grouped by all columns that anything but the aggregates needs. */
  readonly query: Node;
  readonly names: readonly string[];
  /** What the block's aggregates become, by the fields of their calls. */
  readonly totals: ReadonlyMap<object, Node>;
}

/**
 * A block's aggregates over columns of one relation can be begun before its rows travel to be joined, since however many rows a group
 * stands for, each of them would have met the same ones. Null: not so, or not worth it. `rows`: how many would travel otherwise.
 * `isList`: the relation is a member of the FROM list, so that all of its rows in the result are its own.
 */
export function preAggregated(
  unit: Unit,
  { rows, isList }: { readonly rows: number; readonly isList: boolean },
  block: SelectBlock,
  question: StageQuestion,
): PreAggregated | null {
  const { context } = question;
  const [item] = [...unit.leaves];
  if (unit.alias === null || unit.leaves.size > 1 || item?.kind !== 'relation') return null;
  const locus = locusOf(item, question);
  if (locus.kind !== 'hashed' || !('SelectStmt' in unit.query)) return null;
  const calls = block.functions.filter((call) => isAggregate(call, context));
  if (calls.length === 0 || !isGrouped(block) || !ownsAggregates(item, block, question)) return null;
  const splits = calls.map((call) => splitOf(call, { item, block, locus, isList }, question));
  const keys = keysOf(unit, calls, block, question);
  if (keys === null || !splits.every((split) => split !== null)) return null;
  const partials = splits.flatMap((split) => split.partials);
  const { SelectStmt: select } = unit.query;
  const groupClause = keys.map((column) => columnRef(item.name, column));
  const keyTargets = keys.map((column, i) => target(column, groupClause[i]!));
  if (context.force === null) {
    const groups = sizeOf(selectOf({ ...select, targetList: keyTargets, groupClause }), context);
    if (groups.rows * minRowsPerGroup > rows) return null;
  }
  const query = selectOf({
    ...select,
    targetList: [...keyTargets, ...partials.map(({ expression }, i) => target(partialName(i), expression))],
    groupClause,
  });
  let used = 0;
  const totals = new Map(
    splits.map((split, i) => {
      const columns = split.partials.map(() => columnRef(item.name, partialName(used++)));
      return [calls[i] as object, split.combine(columns)];
    }),
  );
  return { query, names: [...keys, ...partials.map((_, i) => partialName(i))], totals };
}

/** Fewer, and grouping costs more than the way. */
const minRowsPerGroup = 2;

function partialName(index: number): string {
  return `pgherd_a${index}`;
}

function isGrouped({ node, functions }: SelectBlock): boolean {
  const sets = (node.groupClause ?? []).some((group) => 'GroupingSet' in group);
  return !sets && !node.windowClause && functions.every(({ over }) => !over);
}

/** No subquery in an expression reads the relation: it might aggregate its columns for the block. */
function ownsAggregates(item: RelationItem, block: SelectBlock, { model }: StageQuestion): boolean {
  return model.blocks.every(
    (each) =>
      each === block || !isInside(each, block) || each.columnRefs.every((ref) => bind(ref, each)?.item !== item),
  );
}

interface Place {
  readonly item: RelationItem;
  readonly block: SelectBlock;
  readonly locus: Hashed;
  readonly isList: boolean;
}

/** Of aggregates over nothing but the relation's columns. A row that an outer join adds counts as one, and stands for none of them. */
function splitOf(
  call: FuncCall,
  { item, block, locus, isList }: Place,
  { context }: StageQuestion,
): SplitAggregate | null {
  const node: Node = { FuncCall: call };
  const refs = [...refsIn([node])];
  if (call.agg_distinct || JSON.stringify(node).includes('"SubLink"')) return null;
  if (refs.some((ref) => bind(ref, block)?.item !== item)) return null;
  if (refsIn(call.args ?? []).size === 0 && !isList) return null;
  return splitAggregate(call, block, { context, bind: (ref) => bind(ref, block) }, locus);
}

/** The columns that more than the aggregates needs; null: none, or some whose equal values are not all alike. */
function keysOf(
  unit: Unit,
  calls: readonly FuncCall[],
  block: SelectBlock,
  { context }: StageQuestion,
): string[] | null {
  const aggregated = refsIn(calls.map((call): Node => ({ FuncCall: call })));
  const done = refsIn([...unit.done]);
  const aliases = sortAliases(block);
  const isKept = (ref: ColumnRef) => !aggregated.has(ref) && !done.has(ref) && !aliases.has(ref);
  const using = new Set(
    joinsOf(block.from).flatMap((join) => (leavesOf(join).some((leaf) => unit.leaves.has(leaf)) ? join.using : [])),
  );
  const keys = unit.outputs.filter(
    ({ bound }) =>
      using.has(bound.column) ||
      block.columnRefs.some((ref) => {
        const other = isKept(ref) ? bind(ref, block) : null;
        return other?.item === bound.item && other.column === bound.column;
      }),
  );
  const alike = keys.every(({ bound }) => identicalTypes.has(boundType(bound, context)?.typeOid ?? 0));
  return keys.length > 0 && alike ? keys.map(({ name }) => name) : null;
}
