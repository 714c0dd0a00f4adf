import type { ExecuteStmt, ExplainStmt, Node } from '@pgsql/types';
import { pgError } from '../core/errors.ts';
import { CheckedRows } from '../execute/checked-rows.ts';
import { type ClientOutput, PassingOutput } from '../execute/client-output.ts';
import type { ExecutionContext } from '../execute/context.ts';
import { exchangeSource } from '../execute/exchange.ts';
import { explainSteps } from '../execute/explain-steps.ts';
import { passStatement, runPlan } from '../execute/run-plan.ts';
import { RunWatch } from '../execute/run-watch.ts';
import { NotStageable } from '../execute/stage-rows.ts';
import { explainedPlan, type StepName, siteName } from '../plan/explain.ts';
import { asJson, asXml, asYaml } from '../plan/explain-formats.ts';
import { explainJson } from '../plan/explain-json.ts';
import { type ExplainOptions, explainOptions } from '../plan/explain-options.ts';
import type { ExplainReport, StepReports } from '../plan/explain-report.ts';
import { explainText } from '../plan/explain-text.ts';
import type { Plan } from '../plan/plan.ts';
import { explainedStart } from '../plan/statement-text.ts';
import { createSource, textBetween } from '../sql/source.ts';
import { encodeQuery } from '../wire/frontend.ts';
import { describeOn } from './describe.ts';
import { describeStatement } from './describe-statement.ts';
import { evaluateParameters, findPrepared } from './prepare-commands.ts';
import { withSnapshots } from './reading-beside.ts';
import {
  executionContext,
  finishPlanned,
  gathered,
  planFor,
  refuseUnknownParameters,
  runLocal,
  type StatementRun,
} from './run-statement.ts';
import { sayRows } from './say-rows.ts';
import type { SessionState } from './session-state.ts';
import { withUserPosition } from './shown-error.ts';
import { shownParameters } from './shown-parameters.ts';
import { withStatementTriggers } from './statement-triggers.ts';
import { checkViewAccess } from './view-access.ts';

/**
 * EXPLAIN of what the coordinator alone answers is PostgreSQL's. Of all else it is the list of steps, and beneath each step the plan of a
 * server that takes part. With ANALYZE the statement runs, and what each server did is shown.
 */
export async function runExplain(session: SessionState, run: StatementRun, output: ClientOutput): Promise<void> {
  const explain = (run.statement.node as { ExplainStmt: ExplainStmt }).ExplainStmt;
  const source = createSource(run.statement);
  const start = explainedStart(source);
  const prefix = textBetween(source, 0, start);
  const options = explainOptions(explain);
  if (!options.genericPlan) refuseUnknownParameters(run);
  if (!isPrepared(explain)) await checkStatement(session, run);
  const bound = await explainedRun(session, run, explain, textBetween(source, start, source.bytes.length));
  const asked = options.genericPlan ? await withoutValues(session, bound) : bound;
  const startedAtMs = performance.now();
  const plan = await planFor(session, asked, { unbound: options.genericPlan });
  const planningMs = performance.now() - startedAtMs;
  if (plan.rung === 'local') {
    if (plan.undelegated !== undefined) {
      const message = `the function runs on the coordinator: ${plan.undelegated}`;
      session.notice({ severity: 'NOTICE', code: '00000', message });
    }
    return isPrepared(explain)
      ? explainLocally(session, `${prefix} ${asked.statement.text}`, asked, output)
      : runLocal(session, run, output);
  }
  await checkOptions(session, prefix);
  if (plan.views) await checkViewAccess(session, plan.views);
  const { shown, steps } = await explainedOrGathered(session, { run: asked, plan, options, output });
  const report: ExplainReport = {
    ...{ plan: explainedPlan(shown), options, planningMs },
    ...{ steps: steps.reports, executionMs: steps.executionMs },
    parameters: options.genericPlan ? [] : await shownParameters(session, asked.parameters),
  };
  sayReport(report, output);
  if (options.analyze) await finishPlanned(session, asked.statement);
}

interface Explained {
  readonly run: StatementRun;
  readonly plan: Plan;
  readonly options: ExplainOptions;
  readonly output: ClientOutput;
}

/** As a statement that is run for its rows: what does not fit on its way between nodes is gathered, and that plan is shown. */
async function explainedOrGathered(session: SessionState, explained: Explained) {
  try {
    return { shown: explained.plan, steps: await explainPlanned(session, explained) };
  } catch (error) {
    if (!(error instanceof NotStageable)) throw error;
    const plan = await planFor(session, explained.run, gathered);
    return { shown: plan, steps: await explainPlanned(session, { ...explained, plan }) };
  }
}

async function explainPlanned(
  session: SessionState,
  { run, plan, options, output }: Explained,
): Promise<{ reports: StepReports; executionMs: number | null }> {
  // The block in which the plan itself would run, and for the savepoints of samples.
  if (plan.rung === 'staged') await session.transaction.openSnapshotBlock(session.signal);
  session.transaction.ensureBlock();
  const context = executionContext(session, run.parameters);
  return withSnapshots(session, { plan, context, output }, (own, shown) =>
    explainWith(session, { run, plan, options, output: shown }, own),
  );
}

async function explainWith(
  session: SessionState,
  { run, plan, options, output }: Explained,
  context: ExecutionContext,
): Promise<{ reports: StepReports; executionMs: number | null }> {
  const allServers = session.transaction.settings.values.get('citus.explain_all_tasks') === 'on';
  const serverName = (label: string) => {
    const node = session.catalog.nodes.find(({ name }) => name === label);
    return node === undefined ? label : `${siteName(node.id)} (${node.name})`;
  };
  if (!options.analyze) {
    const reports = await explainSteps(plan, { options, allServers, serverName }, context);
    return { reports, executionMs: null };
  }
  const watch = new RunWatch({
    ...{ explain: options, allServers, serverName, now: () => performance.now() },
    mayRepeat: (step) => mayRepeat(step, plan),
  });
  const discarded = new DiscardedRows(output);
  const startedAtMs = performance.now();
  try {
    const rows = plan.checks ? new CheckedRows(discarded, plan.checks) : discarded;
    await withStatementTriggers(session, plan.firings, discarded, () =>
      runPlan(plan, { ...context, instruments: watch }, rows),
    );
  } catch (error) {
    throw await withUserPosition(session, run, error);
  }
  const executionMs = performance.now() - startedAtMs;
  await watch.sampleLater();
  return { reports: watch.reports(), executionMs };
}

/**
 * A sample runs a step's statement once more, and undoes it. That is not done where it can't be undone: nextval() in rows that the
 * coordinator computes, and what triggers do elsewhere.
 */
function mayRepeat(step: StepName, { final, changes = [] }: Plan): boolean {
  if (step.startsWith('motion')) return true;
  if (step === 'rows') return false;
  const finals = [final, ...changes.map(({ plan }) => plan.final)];
  const tables = finals.flatMap((each) => ('table' in each ? [each.table] : []));
  return !tables.some(({ hasRowTriggers }) => hasRowTriggers);
}

/** The statement that is explained. That of EXECUTE is the prepared one, with the values of the call. */
async function explainedRun(
  session: SessionState,
  run: StatementRun,
  { query }: ExplainStmt,
  text: string,
): Promise<StatementRun> {
  if (query && 'ExecuteStmt' in query) return preparedRun(session, query.ExecuteStmt);
  const [statement] = session.services.statements.parse(text);
  if (statement === undefined) throw pgError('syntaxError', 'EXPLAIN needs a statement');
  return { ...run, statement };
}

async function preparedRun(session: SessionState, command: ExecuteStmt): Promise<StatementRun> {
  const prepared = findPrepared(session, command.name ?? '');
  if (prepared.statement === null) throw pgError('syntaxError', 'EXPLAIN needs a statement');
  const parameters = await evaluateParameters(session, prepared, command);
  return { statement: prepared.statement, parameters, extended: true };
}

/** GENERIC_PLAN: the parameters have types only. */
async function withoutValues(session: SessionState, run: StatementRun): Promise<StatementRun> {
  const { parameterOids } = await describeStatement(session, run.statement, []);
  return { ...run, parameters: parameterOids.map((typeOid) => ({ typeOid, format: 0, bytes: null })) };
}

function isPrepared({ query }: ExplainStmt): boolean {
  return query !== undefined && 'ExecuteStmt' in (query as Node);
}

/** What is wrong with the statement as such the coordinator finds, with the position in the client's own text. */
async function checkStatement(session: SessionState, run: StatementRun): Promise<void> {
  if (run.extended) return;
  await describeOn(await session.coordinator(), run.statement.text, []);
}

/** The coordinator judges the options. */
async function checkOptions(session: SessionState, prefix: string): Promise<void> {
  const bytes = encodeQuery(`${prefix} SELECT`);
  await exchangeSource(await session.coordinator(), bytes).run(() => {});
}

async function explainLocally(
  session: SessionState,
  sql: string,
  { parameters }: StatementRun,
  output: ClientOutput,
): Promise<void> {
  const connection = await session.coordinator('data');
  session.transaction.markWritten('coordinator');
  const context = executionContext(session, parameters);
  output.complete(await passStatement(connection, { sql, values: parameters }, context, output));
}

const formatOids = { text: 25, yaml: 25, json: 114, xml: 142 } as const;

function sayReport(report: ExplainReport, output: ClientOutput): void {
  const { format } = report.options;
  const column = { name: 'QUERY PLAN', typeOid: formatOids[format] };
  const lines = format === 'text' ? explainText(report) : [documentOf(report)];
  sayRows(
    output,
    [column],
    lines.map((line) => [line]),
  );
  output.complete('EXPLAIN');
}

function documentOf(report: ExplainReport): string {
  const document = explainJson(report);
  switch (report.options.format) {
    case 'yaml':
      return asYaml(document);
    case 'xml':
      return asXml(document);
    default:
      return asJson(document);
  }
}

/** The rows of a statement that runs under EXPLAIN; its notices are passed on. */
class DiscardedRows extends PassingOutput {
  override get wantsDescription(): boolean {
    return false;
  }

  override get resultFormats(): readonly number[] {
    return [];
  }

  override describe(): void {}

  override row(): void {}
}
