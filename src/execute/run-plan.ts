import type { ServerConnection } from '../backend/server-connection.ts';
import type { Site } from '../catalog/site.ts';
import { unreachable } from '../core/assert.ts';
import { changeName } from '../plan/explain.ts';
import type { ChangeFirst, FinalStep, Plan } from '../plan/plan.ts';
import { passOpenings } from '../transaction/commit.ts';
import { CapturedRows, describedColumns } from './captured-rows.ts';
import { changeCopies, changeShards, insertCopies } from './change.ts';
import { changeRows } from './change-rows.ts';
import type { ClientOutput } from './client-output.ts';
import type { ExecutionContext } from './context.ts';
import { exchangeSource, passToClient } from './exchange.ts';
import { fillTable } from './fill-table.ts';
import { type OpenedFragments, openSnapshots } from './global-snapshot.ts';
import { insertFromNodes } from './insert-from-nodes.ts';
import { insertRows } from './insert-rows.ts';
import { watchedExchange } from './instruments.ts';
import { mergeRows } from './merge-rows.ts';
import { type ChangedRows, PlanValues } from './plan-values.ts';
import { renderTemplate, type TemplateValues } from './render-template.ts';
import { scatterToClient } from './scatter.ts';
import { encodePrepared, encodeRendered, type RenderedSql } from './statement-bytes.ts';

/** Runs a plan: constants, motions in order, then the final step, whose answer goes to the client. Rejects with PgError. */
export async function runPlan(plan: Plan, context: ExecutionContext, output: ClientOutput): Promise<void> {
  if (plan.writes && !context.transaction.inBlock) await passOpenings(context.fence);
  const values = new PlanValues(plan.constants, plan.motions, context.parameters);
  const changes = plan.changes ?? [];
  // Rows and constants are computed one after the other, and are to know one now().
  if (changes.length > 0 || 'rows' in plan.final) context.transaction.ensureBlock();
  if (needsSnapshotBlock(plan, context)) await context.transaction.openSnapshotBlock(context.signal);
  await values.evaluate(earlyConstants(plan), context);
  const opened =
    context.globalSnapshot && !context.transaction.snapshotsAreTaken
      ? await openSnapshots(plan, values, context, output)
      : null;
  try {
    const opening = opened === null ? context : { ...context, opened: opened.sources, ...lateOf(opened) };
    const first = await prepareChanges(changes, context);
    await bringRows(plan, values, opening);
    for (const [place, change] of first.entries()) {
      const rows = await runChange(change, output);
      for (const later of [...first.slice(place + 1), { values }]) later.values.setChanged(place, rows);
    }
    await runFinal(plan, values, opening, output);
    await dropTables(plan, values, context);
  } catch (error) {
    await opened?.abandon();
    throw error;
  }
}

function lateOf({ late }: OpenedFragments): Pick<ExecutionContext, 'late'> {
  return late === null ? {} : { late };
}

/**
 * Several steps on one server, or steps on nodes and then the coordinator's own tables: all are to see one moment. What servers tell of
 * themselves has none, and must be had while one of them is down.
 */
function needsSnapshotBlock({ rung, final, motions, writes }: Plan, context: ExecutionContext): boolean {
  if (rung === 'staged') return true;
  if (motions.every(({ kind }) => kind === 'virtual')) return false;
  return context.globalSnapshot && final.kind === 'combine' && final.readsHere === true && !final.utility && !writes;
}

/** All motions of a plan, and the constants that need their rows. */
async function bringRows(plan: Plan, values: PlanValues, context: ExecutionContext): Promise<void> {
  const tables = needsTables(plan.final);
  for (const index of plan.motions.keys()) await values.move(index, context, tables);
  await values.evaluate([...plan.constants.keys()], context);
}

interface PreparedChange {
  readonly change: ChangeFirst;
  readonly values: PlanValues;
  readonly context: ExecutionContext;
}

/** What the changes in WITH read travels before any of them begins. */
async function prepareChanges(
  changes: readonly ChangeFirst[],
  { instruments, ...outer }: ExecutionContext,
): Promise<PreparedChange[]> {
  const prepared: PreparedChange[] = [];
  for (const [place, change] of changes.entries()) {
    const { plan } = change;
    const inside = instruments?.inside(changeName(place, changes.length));
    const context = { ...outer, prepared: false, globalSnapshot: false, ...(inside ? { instruments: inside } : {}) };
    const values = new PlanValues(plan.constants, plan.motions, context.parameters);
    await values.evaluate(earlyConstants(plan), context);
    await bringRows(plan, values, context);
    prepared.push({ change, values, context });
  }
  return prepared;
}

/** One of them, in the transaction of the whole; its rows are kept for what comes after it. */
async function runChange({ change, values, context }: PreparedChange, output: ClientOutput): Promise<ChangedRows> {
  const coordinator = await context.transaction.join('coordinator', context.signal);
  const columns = await describedColumns(coordinator, change.checked, values);
  const captured = new CapturedRows(output);
  await runFinal(change.plan, values, context, captured);
  await dropTables(change.plan, values, context);
  return { rows: captured.rows, columns };
}

/** Constants that need no motion's rows: one round trip for all, before anything moves. */
function earlyConstants({ constants }: Plan): number[] {
  return constants.flatMap(({ sql }, index) =>
    sql.some((part) => typeof part === 'object' && ('motion' in part || 'constant' in part)) ? [] : [index],
  );
}

/** In a long transaction they would pile up. A cursor still reads its own: they go with the transaction. */
async function dropTables(plan: Plan, values: PlanValues, context: ExecutionContext): Promise<void> {
  const readLater = plan.final.kind === 'combine' && plan.final.utility;
  if (values.tables.length === 0 || readLater || !context.transaction.outlivesStatement) return;
  const coordinator = await context.transaction.join('coordinator', context.signal);
  await coordinator.query(`DROP TABLE ${values.tables.join(', ')}`);
}

/** Utility statements take no parameters, so what feeds them has to stand in tables. */
function needsTables(final: FinalStep): boolean {
  return final.kind === 'combine' && final.utility && final.cursor !== true;
}

async function runFinal(
  plan: Plan,
  values: TemplateValues,
  context: ExecutionContext,
  output: ClientOutput,
): Promise<void> {
  const { final } = plan;
  const { transaction, signal } = context;
  switch (final.kind) {
    case 'pass':
    case 'combine': {
      const site: Site = final.kind === 'pass' ? final.site : 'coordinator';
      const connection = await transaction.join(site, signal);
      if (plan.writes) transaction.markWritten(site);
      const rendered = renderTemplate(final.sql, values, site);
      if (context.instruments?.answerIsDiscarded) {
        return output.complete(await context.instruments.explain('final', connection, rendered));
      }
      return output.complete(await passStatement(connection, rendered, context, output));
    }
    case 'fill table':
      return fillTable(final, values, context, output);
    case 'scatter':
      return scatterToClient(final, values, context, output);
    case 'insert rows':
      return final.copiedInto === null
        ? insertRows(final, values, context, output)
        : insertFromNodes({ ...final, copiedInto: final.copiedInto }, values, context, output);
    case 'change shards':
      return changeShards(final, values, context, output);
    case 'change rows':
      return changeRows(final, values, context, output);
    case 'merge rows':
      return mergeRows(final, values, context, output);
    case 'change copies':
      return changeCopies(final, values, context, output);
    case 'insert copies':
      return insertCopies(final, values, context, output);
    default:
      return unreachable(final);
  }
}

/** Runs one statement on one server for the client; one that the client prepared stays prepared there. Gives the tag. */
export async function passStatement(
  connection: ServerConnection,
  rendered: RenderedSql,
  context: ExecutionContext,
  output: ClientOutput,
): Promise<string> {
  if (!context.prepared || output.wantsDescription) {
    const bytes = encodeRendered(rendered, output.resultFormats, output.wantsDescription);
    return passToClient(watchedExchange(context, 'final', connection, { rendered, bytes }), output);
  }
  const prepared = encodePrepared(connection, context.snapshot.version, rendered, output.resultFormats);
  try {
    return await passToClient(exchangeSource(connection, prepared.bytes), output);
  } catch (error) {
    prepared.failed();
    throw error;
  }
}
