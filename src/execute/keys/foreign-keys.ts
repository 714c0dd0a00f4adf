import type { RelationEntry } from '../../catalog/snapshot.ts';
import type { ExecutionContext } from '../context.ts';
import { concurrentlyReferenced, mixedNulls, notPresent, restricted, stillReferenced } from './foreign-key-errors.ts';
import {
  childrenCondition,
  childrenSql,
  deleteChildrenSql,
  followParentsSql,
  type KeySides,
  orphanSql,
  parentsSql,
  resetChildrenSql,
  sidesOf,
} from './foreign-key-sql.ts';
import { refuseHiddenRows } from './hidden-rows.ts';
import { runInternal } from './internal-statement.ts';
import type { KeyValues } from './key-report.ts';
import { childIsSeenLate, sitesOf } from './late-children.ts';

/** Values that one statement names at most. */
const maxValues = 200;

/** A key that rows of the referenced table had, and have no more; `becomes` null: they are gone. */
export interface LeftKey {
  readonly was: KeyValues;
  readonly becomes: KeyValues | null;
}

/**
 * What has to happen to the rows that reference these keys. Two transactions of which one references what the other deletes meet at the
 * lock of the referenced row; who comes second must see all that the first has done, so commits that are under way are waited for. Gives
 * the keys that are to be checked when the statement has ended.
 */
export async function actOnChildren(
  sides: KeySides,
  left: readonly LeftKey[],
  context: ExecutionContext,
): Promise<KeyValues[]> {
  await refuseHiddenRows(sides, context);
  const { key } = sides;
  const gone = left.filter(({ becomes }) => becomes === null);
  const changed = left.filter(({ becomes }) => becomes !== null);
  await waitForCommits(sides.child, context);
  const checks: KeyValues[] = [];
  for (const [events, action] of [
    [gone, key.onDelete],
    [changed, key.onUpdate],
  ] as const) {
    if (events.length === 0) continue;
    const values = events.map(({ was }) => was);
    if (action === 'a') {
      checks.push(...values);
      continue;
    }
    if (action === 'r') await refuseChildren(sides, values, context);
    else await changeChildren(sides, events, action, context);
    // The default may be the very value that is gone (RI_FKey_setdefault_del).
    if (action === 'd') checks.push(...values);
    await refuseLateChildren(sides, values, context);
  }
  return checks;
}

async function refuseChildren(sides: KeySides, values: readonly KeyValues[], context: ExecutionContext) {
  for (const chunk of chunks(values)) {
    if (!(await hasChildren(sides, 'parent', chunk, context))) continue;
    for (const value of chunk) {
      if (!(await hasChildren(sides, 'parent', [value], context))) continue;
      throw restricted(sides, value, context.snapshot.lowestServerVersion);
    }
  }
}

async function changeChildren(
  sides: KeySides,
  events: readonly LeftKey[],
  action: 'c' | 'n' | 'd',
  context: ExecutionContext,
): Promise<void> {
  const { key } = sides;
  const follows = action === 'c' && events.some(({ becomes }) => becomes !== null);
  if (follows) {
    const changes = events.flatMap(({ was, becomes }) => (becomes === null ? [] : [{ was, becomes }]));
    await runInternal(followParentsSql(sides, changes), context);
    return;
  }
  const isDelete = events.every(({ becomes }) => becomes === null);
  const columns = isDelete && key.setColumns.length > 0 ? key.setColumns : key.childColumns;
  for (const chunk of chunks(events.map(({ was }) => was))) {
    const sql =
      action === 'c'
        ? deleteChildrenSql(sides, chunk)
        : resetChildrenSql(sides, chunk, action === 'n' ? 'NULL' : 'DEFAULT', columns);
    await runInternal(sql, context);
  }
}

/** A foreign key that is new, over rows that are there. */
export async function checkAllRows(oid: number, context: ExecutionContext): Promise<void> {
  const key = context.snapshot.foreignKeys.get(oid);
  if (key === undefined) return;
  const sides = sidesOf(key, context.snapshot);
  await refuseHiddenRows(sides, context);
  const [orphan] = await runInternal(orphanSql(sides), context);
  if (orphan) throw notPresent(sides, orphan);
}

/** Each of these values of the referencing table must be there in the referenced one, unless no row has it any more. */
export async function checkWritten(
  sides: KeySides,
  values: readonly KeyValues[],
  context: ExecutionContext,
): Promise<void> {
  if (values.length > 0) await refuseHiddenRows(sides, context);
  const full = values.filter((value) => !value.includes(null));
  if (sides.key.match === 'full') {
    const mixed = values.find((value) => value.includes(null) && value.some((each) => each !== null));
    if (mixed) throw mixedNulls(sides);
  }
  for (const chunk of chunks(full)) {
    const found = await runInternal(parentsSql(sides, 'child', chunk), context);
    if (found.length === chunk.length) continue;
    for (const value of chunk) {
      if (await hasParent(sides, 'child', value, context)) continue;
      // It may be on its way between nodes.
      await waitForCommits(sides.parent, context);
      if (await hasParent(sides, 'child', value, context)) continue;
      if (await hasChildren(sides, 'child', [value], context)) throw notPresent(sides, value);
    }
  }
}

/** No row may reference these keys, unless they are there again. */
export async function checkLeft(
  sides: KeySides,
  values: readonly KeyValues[],
  context: ExecutionContext,
): Promise<void> {
  if (values.length > 0) {
    await refuseHiddenRows(sides, context);
    await waitForCommits(sides.child, context);
  }
  for (const chunk of chunks(values)) {
    if (!(await hasChildren(sides, 'parent', chunk, context))) continue;
    for (const value of chunk) {
      if (!(await hasChildren(sides, 'parent', [value], context))) continue;
      if (!(await hasParent(sides, 'parent', value, context))) throw stillReferenced(sides, value);
    }
  }
  await refuseLateChildren(sides, values, context);
}

async function hasParent(
  sides: KeySides,
  from: 'child' | 'parent',
  value: KeyValues,
  context: ExecutionContext,
): Promise<boolean> {
  return (await runInternal(parentsSql(sides, from, [value]), context)).length > 0;
}

async function hasChildren(
  sides: KeySides,
  from: 'child' | 'parent',
  values: readonly KeyValues[],
  context: ExecutionContext,
): Promise<boolean> {
  return (await runInternal(childrenSql(sides, from, values), context)).length > 0;
}

/** In REPEATABLE READ, children that came after the snapshot are not seen by its statements. */
async function refuseLateChildren(sides: KeySides, values: readonly KeyValues[], context: ExecutionContext) {
  if (context.transaction.isolation === 'read committed') return;
  for (const chunk of chunks(values)) {
    const gone: KeyValues[] = [];
    for (const value of chunk) if (!(await hasParent(sides, 'parent', value, context))) gone.push(value);
    if (gone.length === 0) continue;
    const condition = childrenCondition(sides, 'parent', gone);
    if (await childIsSeenLate(sides.child, condition, context)) throw concurrentlyReferenced();
  }
}

async function waitForCommits(relation: RelationEntry, { fence, signal }: ExecutionContext): Promise<void> {
  await fence.open(sitesOf(relation), signal, async () => {});
}

function chunks<T>(values: readonly T[]): T[][] {
  const found: T[][] = [];
  for (let at = 0; at < values.length; at += maxValues) found.push(values.slice(at, at + maxValues));
  return found;
}
