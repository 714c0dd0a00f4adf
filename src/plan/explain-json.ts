import { changeName, type ExplainedPlan, type ExplainedStep, insidePlan, siteName } from './explain.ts';
import {
  type ExplainReport,
  type Json,
  type JsonObject,
  milliseconds,
  receivedBytes,
  type SamplePlan,
  type StepReport,
  stepPath,
  sumOf,
  taskCount,
  tasksShown,
} from './explain-report.ts';

/**
 * The statement as one element of PostgreSQL's array: `Plan` is a tree of nodes with PostgreSQL's keys, so that tools find their way;
 * what is ours has keys of its own. The last step is the root, the steps that feed it are its children, and beneath each stands
 * the sample server's own plan.
 */
export function explainJson(report: ExplainReport): JsonObject {
  const { plan, steps, options, parameters, planningMs, executionMs } = report;
  return {
    Plan: planNode(plan, report, ''),
    Rung: plan.rung,
    Reason: plan.reason,
    ...(plan.constants.length > 0
      ? { Constants: plan.constants.map(({ typeName, sql }) => ({ Type: typeName, SQL: sql })) }
      : {}),
    ...(parameters.length > 0 ? { Parameters: parameters } : {}),
    ...(executionMs !== null ? { 'Tuple Data Received From Nodes': receivedBytes(steps) } : {}),
    ...(options.summary ? { 'Planning Time': milliseconds(planningMs) } : {}),
    ...(options.analyze ? { Triggers: [] } : {}),
    ...(options.summary && executionMs !== null ? { 'Execution Time': milliseconds(executionMs) } : {}),
  };
}

function planNode(plan: ExplainedPlan, report: ExplainReport, within: string): JsonObject {
  const children = plan.steps.filter(({ name }) => name !== 'final');
  const final = plan.steps.find(({ name }) => name === 'final')!;
  const before = children.map((step) => stepNode(step, report, within, []));
  const first = plan.first.map((change, i) => {
    const name = changeName(i, plan.first.length);
    return { 'Subplan Name': name, ...planNode(change, report, insidePlan(within, name)) };
  });
  return stepNode(final, report, within, [...before, ...first]);
}

function stepNode(
  step: ExplainedStep,
  report: ExplainReport,
  within: string,
  children: readonly JsonObject[],
): JsonObject {
  const found = report.steps.get(stepPath(within, step.name));
  const samples = found?.samples ?? [];
  const own = samples.flatMap(({ plan }) => (plan.kind === 'json' ? [plan.document] : []));
  const plans: Json[] = [...own.map((document) => beneath(document['Plan'] as JsonObject)), ...children];
  const { motion } = step;
  return {
    ...(step.name.startsWith('motion') && motion
      ? { 'Node Type': motion.kind }
      : { 'Node Type': 'Custom Scan', 'Custom Plan Provider': 'pgherd' }),
    ...(step.name === 'final' && within === '' ? {} : { 'Parent Relationship': 'Member' }),
    ...{ 'Parallel Aware': false, 'Async Capable': false },
    ...(report.options.costs ? costs(own[0], taskCount(step, found)) : {}),
    ...actual(found, report),
    Step: step.title,
    ...(motion ? { Motion: motion.kind, Senders: motion.senders, Receivers: motion.receivers } : {}),
    ...(step.sites ? { Servers: step.sites.map(siteName) } : {}),
    ...(step.sql === null ? {} : { SQL: step.sql }),
    ...tasks(step, found, report),
    ...(plans.length > 0 ? { Plans: plans } : {}),
  };
}

function beneath({ 'Node Type': type = '', ...rest }: JsonObject): JsonObject {
  return { 'Node Type': type, 'Parent Relationship': 'Outer', ...rest };
}

/** The sample's estimates; its rows stand for as many on each server. */
function costs(document: JsonObject | undefined, count: number): JsonObject {
  const plan = (document?.['Plan'] ?? {}) as JsonObject;
  const number = (key: string) => (typeof plan[key] === 'number' ? plan[key] : 0);
  return {
    'Startup Cost': number('Startup Cost'),
    'Total Cost': number('Total Cost'),
    'Plan Rows': number('Plan Rows') * Math.max(count, 1),
    'Plan Width': number('Plan Width'),
  };
}

function actual(found: StepReport | undefined, { options }: ExplainReport): JsonObject {
  if (found === undefined || found.tasks.length === 0) return {};
  const times = { 'Actual Startup Time': 0, 'Actual Total Time': milliseconds(found.timeMs) };
  return { ...(options.timing ? times : {}), 'Actual Rows': sumOf(found.tasks, 'rows'), 'Actual Loops': 1 };
}

function tasks(step: ExplainedStep, found: StepReport | undefined, { options }: ExplainReport): JsonObject {
  const count = taskCount(step, found);
  const samples = found?.samples ?? [];
  const bytes = sumOf(found?.tasks ?? [], 'bytes');
  return {
    ...(count > 0 ? { 'Task Count': count } : {}),
    ...(samples.length > 0 ? { 'Tasks Shown': tasksShown(count, samples.length) } : {}),
    ...(bytes === null ? {} : { 'Tuple Data Received': bytes }),
    ...(found?.kept ? { 'Rows Kept': found.kept } : {}),
    ...(found && found.tasks.length > 0
      ? {
          Tasks: found.tasks.map(({ server, rows, bytes: own, changed, timeMs }) => ({
            Server: server,
            Rows: rows,
            ...(changed === null ? {} : { Changed: changed }),
            ...(own === null ? {} : { Bytes: own }),
            ...(options.timing ? { Time: milliseconds(timeMs) } : {}),
          })),
        }
      : {}),
    ...(samples.length > 0 ? { Samples: samples.map(sampleFacts) } : {}),
  };
}

/** What the server says beside its plan: planning time, triggers, settings. */
function sampleFacts({ server, plan }: SamplePlan): JsonObject {
  if (plan.kind === 'none') return { Server: server, 'Not Explained': plan.reason };
  if (plan.kind === 'text') return { Server: server };
  const { Plan: _, ...rest } = plan.document;
  return { Server: server, ...rest };
}
