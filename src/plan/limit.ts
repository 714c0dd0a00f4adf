import type { Node, SelectStmt } from '@pgsql/types';
import type { SqlSource } from '../sql/source.ts';
import { positionOf } from '../sql/source.ts';
import { type PlanContext, parameterOf } from './context.ts';
import { type PlanEdit, tokenAt } from './edits.ts';

/** LIMIT and OFFSET as numbers. */
export interface RowWindow {
  /** null: no limit */
  readonly limit: number | null;
  readonly offset: number;
  readonly dependsOnParameters: boolean;
}

/** null: not numbers that are known now, or WITH TIES. */
export function rowWindow(select: SelectStmt, context: PlanContext): RowWindow | null {
  if (select.limitOption === 'LIMIT_OPTION_WITH_TIES') return null;
  const limit = rowCount(select.limitCount, context);
  const offset = rowCount(select.limitOffset, context);
  if (limit === undefined || offset === undefined) return null;
  const dependsOnParameters = [select.limitCount, select.limitOffset].some((node) => node && 'ParamRef' in node);
  return { limit, offset: offset ?? 0, dependsOnParameters };
}

/** undefined: not known. Negative numbers are PostgreSQL's to refuse. */
function rowCount(node: Node | undefined, context: PlanContext): number | null | undefined {
  if (!node) return null;
  if ('A_Const' in node) {
    if (node.A_Const.isnull) return null;
    const count = node.A_Const.ival ? (node.A_Const.ival.ival ?? 0) : undefined;
    return count !== undefined && count >= 0 ? count : undefined;
  }
  if (!('ParamRef' in node)) return undefined;
  const value = parameterOf(node.ParamRef.number ?? 0, context)?.value;
  if (value === null) return null;
  const text =
    value?.format === 0
      ? value.bytes.toString()
      : value?.bytes.length === 8
        ? String(value.bytes.readBigInt64BE())
        : '';
  const count = /^\d{1,15}$/.test(text) ? Number(text) : undefined;
  return count;
}

/**
 * Each node must give as many rows as the client may skip and see, or as are left of them where nodes are asked `inTurn`; null: the text
 * doesn't show where.
 */
export function windowEdits(
  select: SelectStmt,
  window: RowWindow,
  source: SqlSource,
  inTurn: boolean,
): PlanEdit[] | null {
  if (window.offset === 0 && !inTurn) return [];
  const edits: PlanEdit[] = [];
  const count = window.limit === null ? null : window.limit + window.offset;
  for (const [node, replacement] of [
    [select.limitCount, count !== null && inTurn ? { rowsLeft: count } : count],
    [select.limitOffset, 0],
  ] as const) {
    if (!node || replacement === null) continue;
    const location =
      'A_Const' in node ? node.A_Const.location : 'ParamRef' in node ? node.ParamRef.location : undefined;
    if (location === undefined || location < 0) return null;
    const token = source.tokens()[tokenAt(source.tokens(), positionOf(source, location))]!;
    edits.push({
      start: token.start,
      end: token.end,
      parts: [typeof replacement === 'number' ? String(replacement) : replacement],
    });
  }
  return edits;
}
