import type { ColumnRef } from '@pgsql/types';
import { isKeyed } from '../catalog/snapshot.ts';
import { nameParts } from '../sql/walk.ts';
import type { PlanContext } from './context.ts';
import type { FactsByRelation } from './facts.ts';
import { rowWindow, windowEdits } from './limit.ts';
import { containsKey, groupsStayWhole, type Hashed, sourceLocus, windowsStayWhole } from './locus.ts';
import type { Block, Model } from './model.ts';
import type { Plan } from './plan.ts';
import { blockOutputs } from './resolve.ts';
import { rewriteStatement } from './rewrite.ts';
import { nodesOf, type ShardSet, shardsOf } from './shards.ts';
import { placeOnNode } from './single-shard.ts';
import { stepsOf } from './steps.ts';

/**
 * The statement as written goes to every node that may hold rows; the answers are concatenated. `groups` in parts: a group that spans
 * nodes is wanted as each of them has it.
 */
export function planScatter(
  model: Model,
  facts: FactsByRelation,
  context: PlanContext,
  groups: 'whole' | 'in parts' = 'whole',
): Plan | { readonly reason: string } {
  const { root } = model;
  const locus = sourceLocus(root, { model, facts, context });
  if ('reason' in locus) return locus;
  if (root.kind !== 'select') return { reason: 'no SELECT' };
  const { node } = root;
  if (node.sortClause) return { reason: 'ORDER BY over several nodes' };
  if (groups === 'whole' && !groupsStayWhole(root, locus, context)) return { reason: 'groups span nodes' };
  if (!windowsStayWhole(root, locus)) return { reason: 'window partitions span nodes' };
  if (node.distinctClause && !distinctStaysWhole(root, locus)) return { reason: 'DISTINCT over several nodes' };
  const window = rowWindow(node, context);
  const locks = model.relations.some((item) => item.lock !== null);
  const inTurn = locks && window !== null && window.limit !== null;
  const windowed = window && windowEdits(node, window, model.source, inTurn);
  if (!window || !windowed) return { reason: 'LIMIT is not a number known beforehand' };
  const shards = locusShards(locus, facts, context);
  const { motions, constants } = stepsOf(context);
  const edits = windowed.map((edit) => ({ source: model.source, edit }));
  const sql = rewriteStatement({
    model,
    context,
    replace: (item) => placeOnNode(item, null, context),
    constants,
    edits,
  });
  const sites = nodesOf(locus.anchor.table!, shards.indexes);
  return {
    ...{ rung: 'scatter', reason: 'each row is answered where it is', constants: constants.list, motions },
    final: {
      ...{ kind: 'scatter', sites, sql, limitRows: window.limit, offsetRows: window.offset },
      ...(inTurn ? { inTurn: true } : {}),
    },
    writes: locks,
    returnsRows: true,
    valueIndependent: !shards.dependsOnParameters && !window.dependsOnParameters,
  };
}

/** The shards that matter: as few as one of the members that are always there is left with. */
export function locusShards(locus: Hashed, facts: FactsByRelation, context: PlanContext): ShardSet {
  const candidates = locus.solid.length > 0 ? locus.solid : [];
  const sets = candidates.map((item) => shardsOf(item, facts.get(item) ?? [], context));
  const pruned = sets.filter(({ indexes }) => indexes !== null).sort((a, b) => a.indexes!.size - b.indexes!.size);
  const dependsOnParameters = sets.some((set) => set.dependsOnParameters);
  return { indexes: pruned[0]?.indexes ?? null, dependsOnParameters };
}

/** Equal rows are on one node: the distribution columns are among what DISTINCT compares. */
export function distinctStaysWhole(block: Block, locus: Hashed): boolean {
  if (block.kind !== 'select') return false;
  const { distinctClause = [], targetList = [] } = block.node;
  const on = distinctClause.filter((node) => Object.keys(node).length > 0);
  const aliases = targetList.flatMap((target) =>
    'ResTarget' in target && target.ResTarget.name ? [target.ResTarget.name] : [],
  );
  if (on.length > 0) {
    // As in ORDER BY, an output's name comes before a column's.
    const refs = on.flatMap((node) => ('ColumnRef' in node ? [node.ColumnRef] : []));
    const plain = refs.filter(({ fields = [] }) => fields.length > 1 || !aliases.includes(nameParts(fields)[0] ?? ''));
    return containsKey(plain, block, locus);
  }
  const refs = targetList.flatMap((target): ColumnRef[] => {
    const value = 'ResTarget' in target ? target.ResTarget.val : undefined;
    return value && 'ColumnRef' in value ? [value.ColumnRef] : [];
  });
  const stars = refs.some((ref) => ref.fields?.some((field) => 'A_Star' in field));
  if (!stars) return containsKey(refs, block, locus);
  const outputs = blockOutputs(block) ?? [];
  return locus.solid.some((item) => {
    const distribution = item.table?.distribution;
    if (distribution?.kind !== 'distributed' || !isKeyed(distribution)) return false;
    return distribution.keys.every(({ name }) => {
      const index = item.relation?.columns.findIndex((column) => column.name === name) ?? -1;
      return outputs.some(({ bound }) => bound?.item === item && bound.column === item.columns?.[index]);
    });
  });
}
