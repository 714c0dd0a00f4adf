import { type CatalogSnapshot, temporarySchema } from '../catalog/snapshot.ts';
import { pgError, unsupported } from '../core/errors.ts';
import { CheckedRows } from '../execute/checked-rows.ts';
import type { ClientOutput } from '../execute/client-output.ts';
import type { ExecutionContext } from '../execute/context.ts';
import { exchangeSource, passToClient } from '../execute/exchange.ts';
import { TooManyToShip } from '../execute/motion.ts';
import { passStatement, runPlan } from '../execute/run-plan.ts';
import { NotStageable } from '../execute/stage-rows.ts';
import type { BoundValue } from '../execute/statement-bytes.ts';
import type { PlanContext, PlannedParameter } from '../plan/context.ts';
import type { Plan } from '../plan/plan.ts';
import { noAnswers, Unanswered } from '../plan/questions.ts';
import { dialectStatementKind } from '../sql/dialect.ts';
import { passOpenings } from '../transaction/commit.ts';
import { encodeQuery } from '../wire/frontend.ts';
import { cloakCatalogs, isCloaked } from './catalog-cloak.ts';
import { noteChangedDelegations } from './changed-delegations.ts';
import { runCopy } from './copy-command.ts';
import { runCreateTableAs } from './create-table-as.ts';
import { describeRows, fetchedFields, forgetCursor, givesRows, noteCursor } from './describe-statement.ts';
import { DescribedOutput } from './described-output.ts';
import { withoutIgnored } from './dialect-notices.ts';
import { movesIntoSchemas, settleSchemas } from './distributed-schemas.ts';
import { runExecuteDirect } from './execute-direct.ts';
import { runExplain } from './explain-command.ts';
import { openForFilling, openForFunctions, writesByFunctions } from './function-calls.ts';
import { followIndex } from './index-route.ts';
import { liveRows } from './live-rows.ts';
import { afterLocalStatement, beforeLocalStatement } from './local-effects.ts';
import { withOwnNames } from './own-names.ts';
import { answer, answersFor } from './plan-answers.ts';
import { runDeallocate, runExecute, runPrepare } from './prepare-commands.ts';
import { showPreparedStatements } from './prepared-statements-view.ts';
import { withSnapshots } from './reading-beside.ts';
import { checkRepartitioning } from './repartition-joins.ts';
import { runAdminCall, runSchemaChange } from './schema-commands.ts';
import { noteSequences } from './sequence-memory.ts';
import type { SessionState } from './session-state.ts';
import { refuseInFailedTransaction } from './session-state.ts';
import { setConstraints } from './set-constraints.ts';
import { runDiscard, runSet, runShow } from './setting-commands.ts';
import { withUserPosition } from './shown-error.ts';
import { sendSignals } from './signals.ts';
import { isSnapshotExport, runSnapshotExport } from './snapshot-commands.ts';
import type { ParsedStatement } from './statement-cache.ts';
import { logStatement } from './statement-log.ts';
import { isHoldable } from './statement-traits.ts';
import { withStatementTriggers } from './statement-triggers.ts';
import { runTransactionCommand } from './transaction-commands.ts';
import { typeNameOf } from './type-names.ts';
import { checkViewAccess } from './view-access.ts';

/** A statement with what its run needs. */
export interface StatementRun {
  readonly statement: ParsedStatement;
  /** The client's parameters, typed as described. Empty in the simple protocol. */
  readonly parameters: readonly BoundValue[];
  /** The extended protocol: the statement was parsed apart. */
  readonly extended: boolean;
}

/**
 * Carries out one statement of a session. Its rows and tag go to `output`. The caller ends an implicit transaction, so what this
 * leaves open is committed or rolled back there. Rejects with PgError.
 */
export async function runStatement(session: SessionState, asked: StatementRun, output: ClientOutput): Promise<void> {
  const { meters } = session.services;
  const startMs = performance.now();
  try {
    const looped = session.loop?.prepare(asked, output);
    await runAsked(session, looped?.run ?? asked, looped?.output ?? output);
    meters.statementDone(asked.statement.kind, performance.now() - startMs);
  } catch (error) {
    meters.statementFailed(error);
    throw error;
  }
}

async function runAsked(session: SessionState, asked: StatementRun, output: ClientOutput): Promise<void> {
  logStatement(session, asked.statement);
  if (asked.statement.kind === 'TransactionStmt') return runTransactionCommand(session, asked.statement, output);
  if (session.transaction.failed) refuseInFailedTransaction();
  try {
    await withOwnNames(session, asked.statement, (statement) => carryOut(session, { ...asked, statement }, output));
    await session.keys.settle(executionContext(session, []));
    await sendSignals(session);
  } catch (error) {
    session.keys.forget(session);
    session.signals.length = 0;
    throw error;
  }
}

async function carryOut(session: SessionState, asked: StatementRun, output: ClientOutput): Promise<void> {
  const run = await withSequences(session, withoutIgnored(session, asked));
  const { statement } = run;
  switch (statement.kind) {
    case 'VariableSetStmt':
      return runSet(session, statement, output);
    case 'VariableShowStmt':
      return runShow(session, run, output);
    case 'DiscardStmt':
      return runDiscard(session, statement, output);
    case 'PrepareStmt':
      return runPrepare(session, statement, output);
    case 'ExecuteStmt':
      return runExecute(session, statement, output);
    case 'DeallocateStmt':
      return runDeallocate(session, statement, output);
    case 'CopyStmt':
      return runCopy(session, run, output);
    case 'ExplainStmt':
      return runExplain(session, run, output);
    case 'SelectStmt':
      if (session.services.schema.isAdminCall(statement)) return runAdminCall(session, run, output);
      if (isSnapshotExport(statement)) return runSnapshotExport(session, output);
      return runPlanned(session, run, output);
    case 'InsertStmt':
    case 'UpdateStmt':
    case 'DeleteStmt':
    case 'MergeStmt':
      return runPlanned(session, run, output);
    case 'CallStmt':
      return runCall(session, run, output);
    case 'DeclareCursorStmt':
      // Without a block the coordinator refuses it; one that the router opens for the rows would hide that.
      if (!session.transaction.inBlock && !isHoldable(statement.node)) return runLocal(session, run, output);
      return runPlanned(session, run, output);
    case dialectStatementKind:
      return statement.dialect?.kind === 'execute direct'
        ? runExecuteDirect(session, statement.dialect, output)
        : runSchemaChange(session, run, output);
    case 'CreateTableAsStmt':
      return runCreateTableAs(session, run, output);
    case 'ListenStmt':
    case 'UnlistenStmt':
      session.pinned = true;
      return runLocal(session, run, output);
    case 'ClosePortalStmt':
      await runLocal(session, run, output);
      return forgetCursor(session, statement);
    case 'ConstraintsSetStmt':
      await runLocal(session, run, output);
      return setConstraints(session, statement, executionContext(session, []));
    case 'NotifyStmt':
    case 'FetchStmt':
    case 'CheckPointStmt':
    case 'LoadStmt':
      return runLocal(session, run, output);
    default:
      return runSchemaChange(session, run, output);
  }
}

/** The statement with currval() and lastval() answered; notes which sequences it moves. */
async function withSequences(session: SessionState, run: StatementRun): Promise<StatementRun> {
  const { traits } = run.statement;
  await noteSequences(session, run.statement);
  const statement = traits.readsSequences ? await session.sequences.answer(session, run.statement) : run.statement;
  return statement === run.statement ? run : { ...run, statement };
}

/** A procedure runs on the coordinator, unless it is one that belongs to the node of its argument. */
async function runCall(session: SessionState, run: StatementRun, output: ClientOutput): Promise<void> {
  if (session.catalog.delegations.size === 0) return runSchemaChange(session, run, output);
  const plan = await planFor(session, run);
  return plan.rung === 'local' ? runSchemaChange(session, run, output) : runPlanned(session, run, output);
}

/** SELECT and DML, and statements with a query inside: planned, then run where the plan says. */
export async function runPlanned(session: SessionState, run: StatementRun, output: ClientOutput): Promise<void> {
  if (movesIntoSchemas(session, run.statement)) session.transaction.ensureBlock();
  const { meters, times } = session.services;
  const planMs = performance.now();
  const plan = await planFor(session, run);
  meters.planned(plan.rung, performance.now() - planMs);
  if (plan.rung === 'local') {
    await openForFunctions(session, run.statement);
    return runLocal(session, run, output);
  }
  if (isMaterializedView(run.statement)) {
    if (session.services.loop === null) throw unsupported('PH014', 'CREATE MATERIALIZED VIEW over distributed tables');
    openForFilling(session);
    return runLocal(session, run, output);
  }
  beforeLocalStatement(session, run.statement);
  if (usesCoordinator(plan)) {
    await openForFunctions(session, run.statement, plan.rung === 'staged' ? 'several' : 'one');
  }
  await checkRepartitioning(session, plan);
  if (plan.describedFirst && !run.extended) await describeRows(session, run);
  if (plan.views) await checkViewAccess(session, plan.views);
  const shown = await describedOutput(session, run, plan, output);
  const described = plan.checks ? new CheckedRows(shown, plan.checks) : shown;
  const startMs = performance.now();
  if (plan.touchesKeys || plan.checks) session.transaction.ensureBlock();
  try {
    await withStatementTriggers(session, plan.firings, described, () => runPlanOrGather(session, run, plan, described));
    const role = session.transaction.settings.values.get('role') ?? session.identity.user;
    const ms = performance.now() - startMs;
    if (session.transaction.settings.values.get('pgherd.measure') !== 'off')
      times.note(run.statement, plan, { role, ms });
    meters.stages.run.observe(ms);
  } catch (error) {
    throw await withUserPosition(session, run, error);
  }
  if (run.statement.kind === 'DeclareCursorStmt') {
    const oids = run.parameters.map((parameter) => parameter.typeOid);
    await noteCursor(session, run.statement, oids);
  }
  await finishPlanned(session, run.statement);
  if (usesCoordinator(plan)) await noteChangedDelegations(session, run.statement);
}

/** What a planned statement has left behind on the coordinator. */
export async function finishPlanned(session: SessionState, statement: ParsedStatement): Promise<void> {
  await noteSchemaChange(session, statement);
  await afterLocalStatement(session, statement);
}

/** Rows that turn out not to fit on their way between nodes go to the coordinator; nothing has been answered by then. */
async function runPlanOrGather(
  session: SessionState,
  run: StatementRun,
  plan: Plan,
  output: ClientOutput,
): Promise<void> {
  const context = () => executionContext(session, run.parameters, run.extended);
  const left = plan.byIndex ? await followIndex(session, run, plan.byIndex, output) : output;
  if (left === null) return;
  try {
    await withSnapshots(session, { plan, context: context(), output: left }, (own, shown) => runPlan(plan, own, shown));
  } catch (error) {
    const wishes = error instanceof NotStageable ? gathered : error instanceof TooManyToShip ? found : null;
    if (wishes === null) throw error;
    await runPlan(await planFor(session, run, wishes), context(), left);
  }
}

/** On the connections that the session has. */
export const gathered: PlanWishes = { force: 'gather', staging: 'none' };

const found: PlanWishes = { force: 'find rows' };

/** Functions that may read tables run there. */
function usesCoordinator({ final }: Plan): boolean {
  return final.kind !== 'scatter' && !(final.kind === 'pass' && final.site !== 'coordinator');
}

/** In the simple protocol rows are described with the answer; what the servers would say of them holds on those servers. */
async function describedOutput(
  session: SessionState,
  run: StatementRun,
  plan: Plan,
  output: ClientOutput,
): Promise<ClientOutput> {
  if (!output.wantsDescription || !givesRows(run.statement)) return output;
  const fields = await describeRows(session, run);
  return fields === null ? output : new DescribedOutput(output, fields, plan.final.kind === 'pass' && !plan.checks);
}

export interface PlanWishes {
  /** The plan is to hold for any values of the parameters. */
  readonly unbound?: boolean;
  readonly force?: PlanContext['force'];
  /** Other than what the session's state offers. */
  readonly staging?: PlanContext['staging'];
}

export async function planFor(session: SessionState, run: StatementRun, wishes: PlanWishes = {}): Promise<Plan> {
  if (wishes.unbound !== true) refuseUnknownParameters(run);
  const { unbound = false, force = forcedRung(session), staging = stagingIn(session) } = wishes;
  const planned = await plannedParameters(session, run.parameters);
  const parameters = unbound ? planned.map((each) => ({ ...each, value: undefined })) : planned;
  const usual = { ...(await planContext(session, parameters, force)), staging };
  const context: PlanContext = writesByFunctions(session, run.statement) ? { ...usual, staging: 'none' } : usual;
  for (;;) {
    try {
      return session.services.plans.plan(run.statement, context);
    } catch (error) {
      if (!(error instanceof Unanswered)) throw error;
      await answer(session, error.question, run.parameters, context.searchPath);
    }
  }
}

/** In the simple protocol nobody has asked PostgreSQL for the parameters' types, which would have refused those that there are not. */
export function refuseUnknownParameters({ statement, parameters }: StatementRun): void {
  const { text, offsetBytes, traits } = statement;
  const unknown = traits.parameters.find(({ number }) => number > parameters.length);
  if (unknown === undefined) return;
  const before = Buffer.from(text).subarray(0, unknown.location - offsetBytes);
  // In a text of several statements it counts from where the first one begins.
  const place = offsetBytes === 0 ? { position: String([...before.toString()].length + 1) } : {};
  throw pgError('undefinedParameter', `there is no parameter $${unknown.number}`, place);
}

export async function planContext(
  session: SessionState,
  parameters: readonly PlannedParameter[],
  force: PlanContext['force'] = forcedRung(session),
): Promise<PlanContext> {
  const searchPath = await session.searchPath();
  return {
    ...withTemporaryViews(session, searchPath),
    parameters,
    inTransaction: session.transaction.inBlock,
    force,
    staging: stagingIn(session),
    ...(opensFragments(session) ? { opensFragments: true } : {}),
    answers: session.transactionCatalog === null ? answersFor(session, searchPath) : noAnswers,
    ...{ staged: new Map(), late: [], steps: null },
  };
}

function forcedRung(session: SessionState): PlanContext['force'] {
  const asked = session.transaction.settings.values.get('pgherd.force_rung');
  return asked === 'gather' || asked === 'broadcast' || asked === 'redistribute' ? asked : null;
}

/** A statement that reads in several steps needs one snapshot for all of them. */
function stagingIn(session: SessionState): PlanContext['staging'] {
  const { transaction } = session;
  // What servers have answered before may not hold in a schema that this transaction has changed.
  if (session.transactionCatalog !== null) return 'none';
  if (!transaction.inBlock) return 'tables';
  if (!session.takesGlobalSnapshots) return transaction.explicit ? 'inline' : 'none';
  // A function's statements belong into its caller's transaction.
  if (session.loop !== null) return 'none';
  // Temporary relations are this very connection's.
  if (session.hasTemporary || transaction.hasWritten('nodes')) return 'opened';
  return transaction.hasWritten('coordinator') ? 'beside, on nodes' : 'beside';
}

/** Outside of a block the router opens one that has its snapshots. */
function opensFragments({ transaction, takesGlobalSnapshots, loop }: SessionState): boolean {
  return transaction.inBlock && takesGlobalSnapshots && loop === null;
}

export function executionContext(
  session: SessionState,
  parameters: readonly BoundValue[],
  prepared = false,
): ExecutionContext {
  const { services } = session;
  return {
    transaction: session.transaction,
    snapshot: session.catalog,
    parameters,
    prepared: prepared && session.transactionCatalog === null,
    control: (site) => session.aside(site),
    liveRows: (relation) => liveRows(session, relation),
    fence: services.fence,
    keys: session.keys,
    globalSnapshot: session.takesGlobalSnapshots,
    opened: null,
    log: services.log,
    signal: session.signal,
  };
}

/** Temporary views join the catalog in front of all other names; temporary tables are the coordinator's own affair. */
function withTemporaryViews(
  session: SessionState,
  searchPath: readonly string[],
): Pick<PlanContext, 'snapshot' | 'searchPath' | 'temporaryNames'> {
  const { catalog, temporaryNames, temporaryViews } = session;
  if (temporaryViews.size === 0) return { snapshot: catalog, searchPath, temporaryNames };
  const relations = new Map([...catalog.relations, [temporarySchema, temporaryViews]]);
  return {
    snapshot: { ...catalog, relations },
    searchPath: [temporarySchema, ...searchPath],
    temporaryNames: new Set([...temporaryNames].filter((name) => !temporaryViews.has(name))),
  };
}

/** The coordinator runs the statement as the client wrote it; a dump's without what is pgherd's own. */
export async function runLocal(session: SessionState, run: StatementRun, output: ClientOutput): Promise<void> {
  const { statement } = run;
  const cloaked = isCloaked(session.transaction.settings.values.get('application_name'));
  const sql = cloaked ? cloakCatalogs(statement) : showPreparedStatements(session, statement);
  if (changesData(statement) && keepsKeysHere(session.catalog)) session.transaction.ensureBlock();
  const connection = await session.coordinator('data');
  beforeLocalStatement(session, statement);
  const fields = output.wantsDescription ? fetchedFields(session, statement) : null;
  const described = fields === null ? output : new DescribedOutput(output, fields);
  if (changesData(statement)) {
    session.transaction.markWritten('coordinator');
    if (!session.transaction.inBlock) await passOpenings(session.services.fence);
  }
  const tag = run.extended
    ? await passStatement(
        connection,
        { sql, values: run.parameters },
        executionContext(session, run.parameters, isPlannable(statement)),
        described,
      )
    : await passToClient(exchangeSource(connection, encodeQuery(sql)), described);
  await noteSchemaChange(session, statement);
  await noteChangedDelegations(session, statement);
  await afterLocalStatement(session, statement);
  output.complete(tag);
}

const keepsKeysByCatalog = new WeakMap<CatalogSnapshot, boolean>();

/** Tables whose rows are on the coordinator take part in foreign keys that the router keeps. */
function keepsKeysHere(catalog: CatalogSnapshot): boolean {
  const known = keepsKeysByCatalog.get(catalog);
  if (known !== undefined) return known;
  const isHere = (oid: number) => catalog.relationsByOid.get(oid)?.distributed?.distribution.kind !== 'distributed';
  const found = [...catalog.foreignKeys.values()].some(({ child, parent }) => isHere(child) || isHere(parent));
  keepsKeysByCatalog.set(catalog, found);
  return found;
}

/** Only statements that PostgreSQL plans gain by staying prepared. */
function isPlannable({ kind }: ParsedStatement): boolean {
  return kind === 'SelectStmt' || kind === 'InsertStmt' || kind === 'UpdateStmt' || kind === 'DeleteStmt';
}

/** Its rows come by the loop, as those of REFRESH will. */
function isMaterializedView({ node }: ParsedStatement): boolean {
  return 'CreateTableAsStmt' in node && node.CreateTableAsStmt.objtype === 'OBJECT_MATVIEW';
}

/** CREATE TABLE AS makes a relation that the catalog has to know. */
async function noteSchemaChange(session: SessionState, statement: ParsedStatement): Promise<void> {
  const { kind, node } = statement;
  const makesTable = kind === 'CreateTableAsStmt' || ('SelectStmt' in node && 'intoClause' in node.SelectStmt);
  if (!makesTable) return;
  await session.schemaWasChanged();
  await settleSchemas(session, statement);
}

/** A plain SELECT of functions that change nothing leaves the coordinator out of two-phase commit; all else is a write. */
function changesData(statement: ParsedStatement): boolean {
  switch (statement.kind) {
    case 'SelectStmt':
    case 'VariableShowStmt':
    case 'FetchStmt':
    case 'ClosePortalStmt':
    case 'DeclareCursorStmt':
    case 'ExplainStmt':
      return statement.traits.mayWrite;
    default:
      return true;
  }
}

export async function plannedParameters(
  session: SessionState,
  parameters: readonly BoundValue[],
): Promise<readonly PlannedParameter[]> {
  const planned: PlannedParameter[] = [];
  for (const { typeOid, format, bytes } of parameters) {
    planned.push({
      typeOid,
      typeName: await typeNameOf(session, typeOid),
      value: bytes === null ? null : { format, bytes },
    });
  }
  return planned;
}
