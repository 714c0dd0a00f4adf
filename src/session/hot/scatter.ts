import type { SelectStmt } from '@pgsql/types';
import type { NodeId } from '../../catalog/snapshot.ts';
import { motionName } from '../../execute/motion-name.ts';
import { renderTemplate } from '../../execute/render-template.ts';
import { rowsAsUnnest } from '../../execute/rendered-rows.ts';
import { preparedText } from '../../execute/statement-bytes.ts';
import { isPlain } from '../../plan/plain-plan.ts';
import type { FinalStep, GatherMotion, MotionColumn, Plan, SqlTemplate } from '../../plan/plan.ts';
import type { ParsedStatement } from '../statement-cache.ts';
import type { TimeCounter } from '../statement-times.ts';

/**
 * A SELECT that reads the same nodes in the same way whatever its values are: one statement on each of them, whose rows are passed on, or
 * combined by one on the coordinator.
 */
export interface Scatter {
  readonly statement: ParsedStatement;
  readonly plan: Plan;
  readonly sites: readonly NodeId[];
  /** What each node runs. */
  readonly fragment: ScatterSql;
  readonly end: ScatterEnd;
  readonly counter: TimeCounter;
}

export type ScatterEnd =
  | { readonly kind: 'pass'; readonly offsetRows: number; readonly limitRows: number }
  | { readonly kind: 'combine'; readonly sql: ScatterSql; readonly elementOids: readonly number[] };

export interface ScatterSql {
  readonly sql: string;
  /** What it is called by among the statements that a connection has prepared: as `preparedAs` in execute calls it. */
  readonly preparedAs: string;
  /** What its placeholders stand for, in order. */
  readonly holes: readonly ScatterHole[];
}

/** One of the client's parameters, or a column of the rows that the nodes have given, as an array. */
export type ScatterHole = { readonly parameter: number } | { readonly column: number };

/** Null: the plan is not of that kind. */
export function scatterOf(
  statement: ParsedStatement,
  plan: Plan,
  { version, parameterCount, counter }: { version: number; parameterCount: number; counter: TimeCounter },
): Scatter | null {
  if (!isPlainSelect(statement) || !isPlainRead(plan)) return null;
  const { motions, final } = plan;
  const write = (template: SqlTemplate, columns: readonly MotionColumn[]) =>
    scatterSql(template, { version, parameterCount, columns });
  if (final.kind === 'scatter' && motions.length === 0 && isWhole(final.sql, false)) {
    const { sites, offsetRows, limitRows } = final;
    const end = { kind: 'pass', offsetRows, limitRows: limitRows ?? Number.POSITIVE_INFINITY } as const;
    return { statement, plan, sites, fragment: write(final.sql, []), end, counter };
  }
  const [motion] = motions;
  if (!isCombined(final) || motions.length !== 1 || !isInline(motion) || !isWhole(motion.sql, false)) return null;
  const sites = motion.sites.filter((site) => site !== 'coordinator');
  if (sites.length !== motion.sites.length || !isWhole(final.sql, true)) return null;
  const { columns } = motion;
  const elementOids = columns.map(({ viaText, typeOid }) => (viaText ? textOid : typeOid));
  const end = { kind: 'combine', sql: write(final.sql, columns), elementOids } as const;
  return { statement, plan, sites, fragment: write(motion.sql, []), end, counter };
}

const textOid = 25;

/** It makes no table and locks no row. */
function isPlainSelect({ node }: ParsedStatement): boolean {
  const select: SelectStmt | undefined = 'SelectStmt' in node ? node.SelectStmt : undefined;
  return select !== undefined && select.intoClause === undefined && select.lockingClause === undefined;
}

/** Nothing is looked at before it runs or after it, and no other values would make another plan. */
function isPlainRead(plan: Plan): boolean {
  return (
    isPlain(plan) && plan.valueIndependent && !plan.writes && plan.constants.length === 0 && plan.rung !== 'staged'
  );
}

function isCombined(final: FinalStep): final is Extract<FinalStep, { kind: 'combine' }> {
  return final.kind === 'combine' && !final.utility && final.cursor === undefined && final.readsHere === undefined;
}

/** Its rows may be carried inside the statement that combines them. */
function isInline(motion: Plan['motions'][number] | undefined): motion is GatherMotion {
  if (motion?.kind !== 'gather' || motion.locksRows || motion.toNodes || motion.columns.length === 0) return false;
  return motion.primaryKey.length === 0 && motion.lookupColumns.length === 0;
}

/** Text and parameters, and for the last step the rows of the one motion: the same on all servers. */
function isWhole(template: SqlTemplate, takesRows: boolean): boolean {
  return template.every(
    (part) => typeof part === 'string' || 'parameter' in part || (takesRows && 'motion' in part && part.motion === 0),
  );
}

interface Placing {
  readonly version: number;
  readonly parameterCount: number;
  readonly columns: readonly MotionColumn[];
}

/** Written as any other step is; each value is known again by its bytes. */
function scatterSql(template: SqlTemplate, { version, parameterCount, columns }: Placing): ScatterSql {
  const holes = new Map<Buffer | null, ScatterHole>();
  const marked = (hole: ScatterHole) => {
    const bytes = Buffer.alloc(0);
    holes.set(bytes, hole);
    return { format: 0, bytes, typeOid: 0 } as const;
  };
  const rendered = renderTemplate(template, {
    ...{ constants: [], constantTypes: [] },
    parameters: Array.from({ length: parameterCount }, (_, parameter) => marked({ parameter })),
    motion: (index, firstPlaceholder) => {
      const { sql } = rowsAsUnnest([], columns, motionName(index), firstPlaceholder);
      return { sql, values: columns.map((_, column) => marked({ column })) };
    },
  });
  return {
    sql: rendered.sql,
    preparedAs: preparedText(version, rendered),
    holes: rendered.values.map(({ bytes }) => holes.get(bytes)!),
  };
}
