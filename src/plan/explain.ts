import type { ColocationGroup } from '../catalog/snapshot.ts';
import { unreachable } from '../core/assert.ts';
import { changeOfHole } from './change-first.ts';
import type { FinalStep, Motion, Plan, Site, SqlTemplate } from './plan.ts';

/**
 * The steps of a plan: its motions, counted from 1; the rows that a change computes, or finds, first; which of them have a match; of rows that move, where they leave
 * and where they arrive; and the last one.
 */
export type StepName = `motion ${number}` | 'rows' | 'probe' | 'moved away' | 'moved in' | 'final';

/** A plan as EXPLAIN tells it: the rung and why, then the steps in the order they run. */
export interface ExplainedPlan {
  readonly rung: string;
  readonly reason: string;
  readonly constants: readonly ExplainedConstant[];
  readonly steps: readonly ExplainedStep[];
  /** The changes in WITH: they go after the motions and before the other steps. */
  readonly first: readonly ExplainedPlan[];
}

export interface ExplainedConstant {
  readonly typeName: string;
  readonly sql: string;
}

export interface ExplainedStep {
  readonly name: StepName;
  readonly title: string;
  /** Where it runs, in words. */
  readonly where: string;
  /** Null: rows decide. */
  readonly sites: readonly Site[] | null;
  readonly sql: string | null;
  readonly motion: MotionShape | null;
}

/** Rows that change servers, named as Greenplum names it: `Gather Motion 3:1`. */
export interface MotionShape {
  readonly kind: 'Gather Motion' | 'Redistribute Motion' | 'Broadcast Motion';
  readonly senders: number;
  readonly receivers: number;
}

export function explainedPlan(plan: Plan): ExplainedPlan {
  return {
    rung: plan.rung,
    reason: plan.reason,
    constants: plan.constants.map(({ typeName, sql }) => ({ typeName, sql: templateText(sql) })),
    steps: [...plan.motions.map((motion, i) => motionStep(motion, i + 1)), ...finalSteps(plan.final)],
    first: (plan.changes ?? []).map((change) => explainedPlan(change.plan)),
  };
}

function motionStep(motion: Motion, number: number): ExplainedStep {
  const name: StepName = `motion ${number}`;
  switch (motion.kind) {
    case 'virtual':
      return {
        ...{ name, title: `Motion ${number}: ${motion.label}`, where: 'the router', sites: null, sql: null },
        motion: null,
      };
    case 'gather': {
      const title = `Motion ${number}: ${motion.label}${motion.locksRows ? ', rows locked' : ''}`;
      return step(name, title, { sites: motion.sites, sql: motion.sql, motion: gatherFrom(motion.sites) });
    }
    case 'stage': {
      const { sites, sql, to } = motion;
      const shape: MotionShape =
        to.kind === 'broadcast'
          ? { kind: 'Broadcast Motion', senders: sites.length, receivers: to.nodes.length }
          : { kind: 'Redistribute Motion', senders: sites.length, receivers: nodeCount(to.group) };
      return step(name, `Motion ${number}: ${motion.label}`, { sites, sql, motion: shape });
    }
    default:
      return unreachable(motion);
  }
}

function nodeCount({ shards }: ColocationGroup): number {
  return new Set(shards.map(({ nodeId }) => nodeId)).size;
}

function finalSteps(final: FinalStep): ExplainedStep[] {
  switch (final.kind) {
    case 'pass':
      return [step('final', 'Pass through', { sites: [final.site], sql: final.sql })];
    case 'combine':
      return [step('final', 'Combine', { sites: ['coordinator'], sql: final.sql })];
    case 'scatter': {
      const window = final.limitRows === null ? '' : `, limit ${final.limitRows}`;
      const offset = final.offsetRows === 0 ? '' : `, offset ${final.offsetRows}`;
      const { sites, sql } = final;
      return [step('final', `Scatter, concatenate${window}${offset}`, { sites, sql, motion: gatherFrom(sites) })];
    }
    case 'fill table':
      return [step('final', `Fill the new table ${final.name}`, { sites: ['coordinator'], sql: final.rows })];
    case 'insert rows':
      return [
        step('rows', 'Compute rows', { sites: final.sites, sql: final.rows }),
        byShard('final', final.conflict?.update ? 'Insert rows, update those that are there' : 'Insert rows', [
          final.head,
          ' <rows> ',
          ...final.tail,
        ]),
      ];
    case 'change shards':
      return [step('final', `${final.command} on shards`, { sites: final.sites, sql: final.sql })];
    case 'change rows': {
      const { command, sites, sql, move } = final;
      return [
        step('rows', 'Find rows', { sites: ['coordinator'], sql: final.rows }),
        ...(move === null ? [] : [byNode('moved away', 'Delete rows that move', move.deleteSql)]),
        step('final', `${command} rows`, { sites, sql }),
        ...(move === null ? [] : [byShard('moved in', 'Insert rows that move', move.insertSql)]),
      ];
    }
    case 'merge rows': {
      const { sites, sql, keys, probe } = final;
      const toAll: MotionShape = { kind: 'Broadcast Motion', senders: 1, receivers: sites.length };
      return [
        step('rows', 'Compute source rows', { sites: ['coordinator'], sql: final.rows }),
        ...(probe === null ? [] : [step('probe', 'Find matches', { sites, sql: probe, motion: toAll })]),
        keys.length > 0
          ? byShard('final', 'MERGE rows', sql)
          : step('final', 'MERGE rows', { sites, sql, motion: toAll }),
      ];
    }
    case 'change copies':
      return [step('final', 'Change all copies', { sites: final.sites, sql: final.sql })];
    case 'insert copies': {
      const { sites, head, tail } = final;
      const motion: MotionShape = { kind: 'Broadcast Motion', senders: 1, receivers: sites.length };
      return [
        step('rows', 'Compute rows', { sites: ['coordinator'], sql: final.rows }),
        step('final', 'Insert into all copies', { sites, sql: [head, ' <rows> ', ...tail], motion }),
      ];
    }
    default:
      return unreachable(final);
  }
}

interface StepParts {
  readonly sites: readonly Site[];
  readonly sql: SqlTemplate;
  readonly motion?: MotionShape;
}

function step(name: StepName, title: string, { sites, sql, motion }: StepParts): ExplainedStep {
  return { name, title, where: sitesText(sites), sites, sql: templateText(sql), motion: motion ?? null };
}

function byShard(name: StepName, title: string, sql: SqlTemplate): ExplainedStep {
  return { name, title, where: 'by shard', sites: null, sql: templateText(sql), motion: null };
}

function byNode(name: StepName, title: string, sql: SqlTemplate): ExplainedStep {
  return { ...byShard(name, title, sql), where: 'their nodes' };
}

function gatherFrom(sites: readonly Site[]): MotionShape {
  return { kind: 'Gather Motion', senders: sites.length, receivers: 1 };
}

/** As lines; `details` gives what else is known of a step, `within` naming the plan that it is in. */
export function explainLines(
  plan: ExplainedPlan,
  details: (step: ExplainedStep, within: string) => readonly string[] = () => [],
  within = '',
): string[] {
  const isMotion = ({ name }: ExplainedStep) => name.startsWith('motion');
  const lines = (each: ExplainedStep) => [...stepLines(each), ...details(each, within).map((line) => `     ${line}`)];
  return [
    `Rung: ${plan.rung} (${plan.reason})`,
    ...plan.constants.flatMap(({ typeName, sql }, i) => [
      `-> Constant {${i}}: ${typeName} on coordinator`,
      `     ${sql}`,
    ]),
    ...plan.steps.filter(isMotion).flatMap(lines),
    ...plan.first.flatMap((change, i) => {
      const name = changeName(i, plan.first.length);
      return [
        `-> First ${name}`,
        ...explainLines(change, details, insidePlan(within, name)).map((line) => `   ${line}`),
      ];
    }),
    ...plan.steps.filter((each) => !isMotion(each)).flatMap(lines),
  ];
}

/** The name of the plan of a change in WITH, inside the statement's. */
export function changeName(place: number, count: number): string {
  return count === 1 ? 'the change in WITH' : `change ${place + 1} in WITH`;
}

/** Steps of plans inside others are told apart by the names of these plans. */
export function insidePlan(within: string, name: string): string {
  return `${within}${name} / `;
}

/** A plan without anything that only a server could tell. */
export function explainPlan(plan: Plan): string[] {
  return explainLines(explainedPlan(plan));
}

function stepLines({ title, where, sql }: ExplainedStep): string[] {
  return sql === null ? [`-> ${title}`] : [`-> ${title} on ${where}`, `     ${sql}`];
}

function sitesText(sites: readonly Site[]): string {
  return sites.length > 0 ? sites.map(siteName).join(', ') : 'no node';
}

export function siteName(site: Site): string {
  return site === 'coordinator' ? site : `node ${site}`;
}

/** Holes as `$1` (a parameter), `{0}` (a constant) and `<motion 1>`. */
function templateText(sql: SqlTemplate): string {
  const parts = sql.map((part) => {
    if (typeof part === 'string') return part;
    if ('parameter' in part) return `$${part.parameter + 1}`;
    if ('site' in part) return '<node>';
    if ('rowsLeft' in part) return String(part.rowsLeft);
    if ('motion' in part && part.motion < 0) return part.motion === -1 ? '<rows>' : changedText(part.motion);
    return 'constant' in part ? `{${part.constant}}` : `<motion ${part.motion + 1}>`;
  });
  return parts.join('').replace(/\s+/g, ' ').trim();
}

function changedText(motion: number): string {
  const place = changeOfHole(motion) ?? 0;
  return place === 0 ? '<changed rows>' : `<changed rows ${place + 1}>`;
}
