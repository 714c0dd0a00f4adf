import type { Site } from '../catalog/site.ts';
import type { DistributedTable } from '../catalog/snapshot.ts';
import { unreachable } from '../core/assert.ts';
import { changeName, insidePlan, type StepName } from '../plan/explain.ts';
import type { ExplainOptions } from '../plan/explain-options.ts';
import { type SamplePlan, type StepReport, stepPath } from '../plan/explain-report.ts';
import type { ChangeStep, Plan, SqlTemplate } from '../plan/plan.ts';
import { describedColumns } from './captured-rows.ts';
import type { ExecutionContext } from './context.ts';
import { insertedRows, insertTemplate } from './insert-rows.ts';
import { numberColumn, placingColumns } from './merge-rows.ts';
import type { RowsItem } from './rendered-rows.ts';
import { rowsOf, sampleOn } from './server-explain.ts';
import { shippedRows, travellingRows, typedColumns } from './shipped-rows.ts';
import { StandIns } from './stand-in.ts';
import type { RenderedSql } from './statement-bytes.ts';

export interface StepExplaining {
  readonly options: ExplainOptions;
  /** Each server's plan is wanted, not only one's of each step. */
  readonly allServers: boolean;
  /** A server as the report calls it, by its name in messages. */
  serverName(label: string): string;
}

/** The servers' own plans of all steps, of a plan that is not run. The transaction is in a block. */
export async function explainSteps(
  plan: Plan,
  asked: StepExplaining,
  context: ExecutionContext,
  within = '',
  before: readonly RowsItem[] = [],
): Promise<Map<string, StepReport>> {
  const reports = new Map<string, StepReport>();
  const standIns = new StandIns(plan, context.parameters, asked.options.genericPlan);
  for (const [place, item] of before.entries()) standIns.setChanged(place, item);
  await standIns.evaluateKnown(context);
  const sample = async (name: StepName, sites: readonly Site[], rendered: RenderedSql) => {
    const samples: SamplePlan[] = [];
    for (const site of asked.allServers ? sites : sites.slice(0, 1)) {
      const connection = await context.transaction.join(site, context.signal);
      samples.push({
        server: asked.serverName(connection.target.label),
        plan: await sampleOn(connection, rendered, asked.options, false),
      });
    }
    reports.set(stepPath(within, name), { tasks: [], timeMs: 0, kept: null, samples });
    return samples;
  };
  for (const [index, motion] of plan.motions.entries()) {
    if (motion.kind === 'virtual') continue;
    const [first] = await sample(
      `motion ${index + 1}`,
      motion.sites,
      standIns.render(forSite(motion.sql, motion.sites)),
    );
    const rows = first === undefined ? null : rowsOf(first.plan, 'expected');
    standIns.expectedRows[index] = (rows ?? 1000) * motion.sites.length;
  }
  const changed: RowsItem[] = [];
  for (const [place, change] of (plan.changes ?? []).entries()) {
    const name = changeName(place, plan.changes!.length);
    const inner = await explainSteps(change.plan, asked, context, insidePlan(within, name), changed);
    for (const [path, report] of inner) reports.set(path, report);
    const coordinator = await context.transaction.join('coordinator', context.signal);
    const columns = await describedColumns(coordinator, change.checked, standIns);
    changed.push(shippedRows([], [], columns, 'pgherd_changed', 1));
    standIns.setChanged(place, changed[place]!);
  }
  for (const step of await finalSteps(plan, standIns, context)) await sample(step.name, step.sites, step.rendered);
  return reports;
}

interface RenderedStep {
  readonly name: StepName;
  readonly sites: readonly Site[];
  readonly rendered: RenderedSql;
}

async function finalSteps(plan: Plan, standIns: StandIns, context: ExecutionContext): Promise<RenderedStep[]> {
  const { final } = plan;
  const here: readonly Site[] = ['coordinator'];
  switch (final.kind) {
    case 'pass':
      return [{ name: 'final', sites: [final.site], rendered: standIns.render(final.sql) }];
    case 'combine':
      return [{ name: 'final', sites: here, rendered: standIns.render(final.sql) }];
    case 'fill table':
      return [{ name: 'final', sites: here, rendered: standIns.render(final.rows) }];
    case 'scatter':
    case 'change shards':
      return [{ name: 'final', sites: final.sites, rendered: standIns.render(final.sql) }];
    case 'change copies':
      return [{ name: 'final', sites: here, rendered: standIns.render(final.sql) }];
    case 'insert rows':
    case 'insert copies': {
      const { head, tail, columns, rows } = final;
      const sites = final.kind === 'insert copies' ? here : nodesOf(final.table);
      return [
        { name: 'rows', sites: final.kind === 'insert rows' ? final.sites : here, rendered: standIns.render(rows) },
        {
          ...{ name: 'final', sites },
          rendered: standIns.render(insertTemplate(head, tail), (first) => insertedRows([], columns, first)),
        },
      ];
    }
    case 'change rows':
      return changeRowsSteps(final, standIns, context);
    case 'merge rows':
      return mergeRowsSteps(final, standIns, context);
    default:
      return unreachable(final);
  }
}

/** `rows` is explained as it runs, with the columns that travel. */
async function changeRowsSteps(
  { table, rows, address, columns, sql, move }: Extract<ChangeStep, { kind: 'change rows' }>,
  standIns: StandIns,
  context: ExecutionContext,
): Promise<RenderedStep[]> {
  const coordinator = await context.transaction.join('coordinator', context.signal);
  const yielded = (index: number) => columns[index]!.name;
  const typed = await typedColumns(coordinator, standIns.filled(rows), columns, yielded, standIns);
  const own = (first: number) => shippedRows([], address, typed, 'pgherd_r', first);
  const sites = nodesOf(table);
  const step = (name: StepName, template: SqlTemplate): RenderedStep => ({
    ...{ name, sites, rendered: standIns.render(template, own) },
  });
  return [
    {
      ...{ name: 'rows', sites: ['coordinator'] },
      rendered: travellingRows(standIns.filled(rows), address, typed, yielded, standIns),
    },
    ...(move === null ? [] : [step('moved away', move.deleteSql)]),
    step('final', sql),
    ...(move === null ? [] : [step('moved in', move.insertSql)]),
  ];
}

async function mergeRowsSteps(
  step: Extract<ChangeStep, { kind: 'merge rows' }>,
  standIns: StandIns,
  context: ExecutionContext,
): Promise<RenderedStep[]> {
  const coordinator = await context.transaction.join('coordinator', context.signal);
  const { rows, columns, sql, alias, sites, probe } = step;
  const yielded = (index: number) => `pgherd_x${index}`;
  const typed = await typedColumns(coordinator, standIns.filled(rows), columns, yielded, standIns);
  return [
    {
      ...{ name: 'rows', sites: ['coordinator'] },
      rendered: travellingRows(standIns.filled(rows), placingColumns(step), typed, yielded, standIns),
    },
    ...(probe === null
      ? []
      : [
          {
            ...{ name: 'probe' as const, sites },
            rendered: standIns.render(probe, (first) => shippedRows([], [numberColumn], typed, alias, first)),
          },
        ]),
    {
      ...{ name: 'final', sites },
      rendered: standIns.render(sql, (first) => shippedRows([], [], typed, alias, first)),
    },
  ];
}

/** A reference table is changed on the coordinator first. */
function nodesOf({ distribution }: DistributedTable): readonly Site[] {
  if (distribution.kind !== 'distributed') return ['coordinator'];
  return [...new Set(distribution.group.shards.map(({ nodeId }) => nodeId))];
}

/** What asks for the node that it runs on gets the first one. */
function forSite(template: SqlTemplate, [site]: readonly Site[]): SqlTemplate {
  return template.map((part) => (typeof part === 'object' && 'site' in part ? String(site ?? 0) : part));
}
