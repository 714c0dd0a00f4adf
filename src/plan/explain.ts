import { unreachable } from '../core/assert.ts';
import type { FinalStep, Plan, Site, SqlTemplate } from './plan.ts';

/**
 * The steps of a plan: its motions, counted from 1; the rows that a change computes, or finds, first; of rows that move, where they leave
 * and where they arrive; and the last one.
 */
export type StepName = `motion ${number}` | 'rows' | 'moved away' | 'moved in' | 'final';

/** A plan as EXPLAIN prints it: the rung and why, then the steps in the order they run, each with where and its SQL. */
export function explainPlan(plan: Plan): string[] {
  return [
    `Rung: ${plan.rung} (${plan.reason})`,
    ...plan.constants.flatMap((constant, i) =>
      step(`Constant {${i}}: ${constant.typeName}`, 'coordinator', constant.sql),
    ),
    ...plan.motions.flatMap((motion, i) => {
      const title = `Motion ${i + 1}: ${motion.label}${motion.kind === 'gather' && motion.locksRows ? ', rows locked' : ''}`;
      return motion.kind === 'virtual' ? [`-> ${title}`] : step(title, sitesText(motion.sites), motion.sql);
    }),
    ...(plan.change
      ? ['-> First the change in WITH', ...explainPlan(plan.change.plan).map((line) => `   ${line}`)]
      : []),
    ...explainFinal(plan.final),
  ];
}

function explainFinal(final: FinalStep): string[] {
  switch (final.kind) {
    case 'pass':
      return step('Pass through', sitesText([final.site]), final.sql);
    case 'combine':
      return step('Combine', 'coordinator', final.sql);
    case 'scatter': {
      const window = final.limitRows === null ? '' : `, limit ${final.limitRows}`;
      const offset = final.offsetRows === 0 ? '' : `, offset ${final.offsetRows}`;
      return step(`Scatter, concatenate${window}${offset}`, sitesText(final.sites), final.sql);
    }
    case 'insert rows':
      return [
        ...step('Compute rows', 'coordinator', final.rows),
        ...step('Insert rows', 'by shard', [final.head, ' <rows> ', ...final.tail]),
      ];
    case 'change shards':
      return step(`${final.command} on shards`, sitesText(final.sites), final.sql);
    case 'change rows': {
      const moved = final.move === null ? [] : [...step('Delete rows that move', 'their nodes', final.move.deleteSql)];
      const inserted = final.move === null ? [] : [...step('Insert rows that move', 'by shard', final.move.insertSql)];
      return [
        ...step('Find rows', 'coordinator', final.rows),
        ...moved,
        ...step(`${final.command} rows`, sitesText(final.sites), final.sql),
        ...inserted,
      ];
    }
    case 'merge rows': {
      const where = final.keys.length === 0 ? sitesText(final.sites) : 'by shard';
      return [...step('Compute source rows', 'coordinator', final.rows), ...step('MERGE rows', where, final.sql)];
    }
    case 'change copies':
      return step('Change all copies', sitesText(final.sites), final.sql);
    case 'insert copies':
      return [
        ...step('Compute rows', 'coordinator', final.rows),
        ...step('Insert into all copies', sitesText(final.sites), [final.head, ' <rows> ', ...final.tail]),
      ];
    default:
      return unreachable(final);
  }
}

function step(title: string, where: string, sql: SqlTemplate): string[] {
  return [`-> ${title} on ${where}`, `     ${templateText(sql)}`];
}

function sitesText(sites: readonly Site[]): string {
  const names = sites.map((site) => (site === 'coordinator' ? site : `node ${site}`));
  return names.length > 0 ? names.join(', ') : 'no node';
}

/** Holes as `$1` (a parameter), `{0}` (a constant) and `<motion 1>`. */
function templateText(sql: SqlTemplate): string {
  const parts = sql.map((part) => {
    if (typeof part === 'string') return part;
    if ('parameter' in part) return `$${part.parameter + 1}`;
    if ('site' in part) return '<node>';
    if ('motion' in part && part.motion < 0) return part.motion === -1 ? '<rows>' : '<changed rows>';
    return 'constant' in part ? `{${part.constant}}` : `<motion ${part.motion + 1}>`;
  });
  return parts.join('').replace(/\s+/g, ' ').trim();
}
