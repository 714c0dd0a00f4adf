import { type ExplainedStep, explainLines } from './explain.ts';
import {
  type ExplainReport,
  milliseconds,
  receivedBytes,
  type SamplePlan,
  type StepReport,
  stepPath,
  sumOf,
  taskCount,
  tasksShown,
} from './explain-report.ts';

/** FORMAT TEXT: one line a row. */
export function explainText(report: ExplainReport): string[] {
  const { plan, steps, options, parameters, planningMs, executionMs } = report;
  const lines = explainLines(plan, (step, within) => details(step, steps.get(stepPath(within, step.name)), report));
  const isRun = executionMs !== null;
  return [
    ...lines,
    ...(parameters.length > 0 ? [`Parameters: ${parameters.join(', ')}`] : []),
    ...(isRun ? [`Tuple data received from nodes: ${receivedBytes(steps)} bytes`] : []),
    ...(options.summary ? [`Planning Time: ${planningMs.toFixed(3)} ms`] : []),
    ...(options.summary && isRun ? [`Execution Time: ${executionMs.toFixed(3)} ms`] : []),
  ];
}

function details(step: ExplainedStep, report: StepReport | undefined, { options }: ExplainReport): string[] {
  const tasks = report?.tasks ?? [];
  const samples = report?.samples ?? [];
  const time = (ms: number) => (options.timing ? `time=${milliseconds(ms).toFixed(3)} ms` : null);
  const figures = (of: readonly (string | null)[]) => of.filter((each) => each !== null).join(' ');
  const motion = step.motion && `${step.motion.kind} ${step.motion.senders}:${step.motion.receivers}`;
  const ran =
    report === undefined || tasks.length === 0
      ? null
      : figures([
          `rows=${sumOf(tasks, 'rows')}`,
          known('changed', sumOf(tasks, 'changed')),
          known('bytes', sumOf(tasks, 'bytes')),
          time(report.timeMs),
          report.kept === 'temporary table' ? 'kept in a temporary table' : null,
        ]);
  const summary = [motion, ran === null ? null : `(actual ${ran})`].filter((each) => each !== null);
  const count = taskCount(step, report);
  const shown = samples.length > 0 ? `, Tasks Shown: ${tasksShown(count, samples.length)}` : '';
  const isHere = step.sites?.every((site) => site === 'coordinator');
  return [
    ...(summary.length > 0 ? [summary.join('  ')] : []),
    ...(count > 1 || (count === 1 && !isHere) ? [`Task Count: ${count}${shown}`] : []),
    ...(tasks.length > 1
      ? tasks.map(({ server, rows, bytes, changed, timeMs }) => {
          const own = figures([`rows=${rows}`, known('changed', changed), known('bytes', bytes), time(timeMs)]);
          return `Task on ${server}: ${own}`;
        })
      : []),
    ...samples.flatMap(sampleLines),
  ];
}

function known(name: string, value: number | null): string | null {
  return value === null ? null : `${name}=${value}`;
}

function sampleLines({ server, plan }: SamplePlan): string[] {
  if (plan.kind === 'none') return [`->  Task on ${server}: not explained (${plan.reason})`];
  const lines = plan.kind === 'text' ? plan.lines : [];
  return [`->  Task on ${server}`, ...lines.map((line, i) => (i === 0 ? `      ->  ${line}` : `          ${line}`))];
}
