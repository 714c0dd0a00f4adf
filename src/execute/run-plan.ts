import { collectResult } from '../backend/collect-result.ts';
import type { ServerConnection } from '../backend/server-connection.ts';
import type { Site } from '../catalog/site.ts';
import { unreachable } from '../core/assert.ts';
import { pgError } from '../core/errors.ts';
import type { FinalStep, Motion, MotionColumn, Plan, PlanConstant, SqlTemplate } from '../plan/plan.ts';
import { changeCopies, changeShards, insertCopies } from './change.ts';
import type { ClientOutput } from './client-output.ts';
import type { ExecutionContext } from './context.ts';
import { passToClient } from './exchange.ts';
import { insertRows } from './insert-rows.ts';
import { gatherRows, type MotionRows } from './motion.ts';
import { renderTemplate, type TemplateValues } from './render-template.ts';
import { type RowsItem, rowsAsUnnest } from './rendered-rows.ts';
import { scatterToClient } from './scatter.ts';
import { encodePrepared, encodeRendered, type RenderedSql } from './statement-bytes.ts';
import { textTuples } from './text-tuples.ts';

/** Runs a plan: constants, motions in order, then the final step, whose answer goes to the client. Rejects with PgError. */
export async function runPlan(plan: Plan, context: ExecutionContext, output: ClientOutput): Promise<void> {
  const values = await runMotions(plan.constants, plan.motions, context, needsTables(plan.final));
  await runFinal(plan, values, context, output);
}

/** The constants and motions of a plan, ready to be written into later steps. `tables`: never inline. */
export async function runMotions(
  constants: readonly PlanConstant[],
  motions: readonly Motion[],
  context: ExecutionContext,
  tables: boolean,
): Promise<TemplateValues> {
  const rows: MotionRows[] = [];
  const texts: (string | null)[] = [];
  const values: TemplateValues = {
    parameters: context.parameters,
    constantTypes: constants,
    constants: texts,
    motion: (index, firstPlaceholder) => motionItem(rows[index]!, motions[index]!.columns, index, firstPlaceholder),
  };
  const needsMotions = (constant: PlanConstant) =>
    constant.sql.some((part) => typeof part === 'object' && 'motion' in part);
  await evaluateConstants(constants, (constant) => !needsMotions(constant), values, texts, context);
  for (const [index, motion] of motions.entries()) rows.push(await runMotion(motion, index, values, context, tables));
  await evaluateConstants(constants, needsMotions, values, texts, context);
  return values;
}

/** Evaluates those constants that `which` picks in one statement on the coordinator; their texts go to their places in `texts`. */
async function evaluateConstants(
  constants: readonly PlanConstant[],
  which: (constant: PlanConstant) => boolean,
  values: TemplateValues,
  texts: (string | null)[],
  context: ExecutionContext,
): Promise<void> {
  const places = [...constants.keys()].filter((index) => which(constants[index]!));
  if (places.length === 0) return;
  const template: SqlTemplate = places.flatMap((index, i) => {
    const constant = constants[index]!;
    return [i === 0 ? 'SELECT (' : ', (', ...constant.sql, `)::${constant.typeName}::text`];
  });
  const connection = await context.transaction.join('coordinator', context.signal);
  const { rows } = await collectResult(connection, encodeRendered(renderTemplate(template, values), [], false));
  for (const [i, index] of places.entries()) texts[index] = rows[0]?.[i] ?? null;
}

async function runMotion(
  motion: Motion,
  index: number,
  values: TemplateValues,
  context: ExecutionContext,
  always: boolean,
): Promise<MotionRows> {
  const { transaction, signal } = context;
  const spill = {
    name: `pg_temp.${motionName(index)}`,
    columns: motion.columns,
    primaryKey: motion.kind === 'gather' ? motion.primaryKey : [],
    always: always || (motion.kind === 'gather' && motion.primaryKey.length > 0),
    coordinator: () => {
      transaction.ensureBlock();
      return transaction.join('coordinator', signal);
    },
  };
  if (motion.kind === 'virtual') {
    return { kind: 'inline', rows: textTuples(await context.virtualRows(motion.relation)) };
  }
  if (motion.locksRows) transaction.ensureBlock();
  const rendered = renderTemplate(motion.sql, values);
  const bytes = encodeRendered(rendered, [1], false);
  const connections = await joinAll(motion.sites, context);
  if (motion.locksRows) for (const site of motion.sites) transaction.markWritten(site);
  return gatherRows(
    connections.map((connection) => ({ connection, bytes })),
    spill,
  );
}

function motionItem(
  rows: MotionRows,
  columns: readonly MotionColumn[],
  index: number,
  firstPlaceholder: number,
): RowsItem {
  const name = motionName(index);
  if (rows.kind === 'table') return { sql: `${rows.table} AS ${name}`, values: [] };
  return rowsAsUnnest(rows.rows, columns, name, firstPlaceholder);
}

function motionName(index: number): string {
  return `pgherd_m${index}`;
}

/** Utility statements take no parameters, so what feeds them has to stand in tables. */
function needsTables(final: FinalStep): boolean {
  return final.kind === 'combine' && final.utility;
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
      const rendered = renderTemplate(final.sql, values);
      return output.complete(await passStatement(connection, rendered, context, output));
    }
    case 'scatter':
      return scatterToClient(final, values, context, output);
    case 'insert rows':
      return insertRows(final, values, context, output);
    case 'change shards':
      return changeShards(final, values, context, output);
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
    return (await passToClient(connection, bytes, output)).tag;
  }
  const prepared = encodePrepared(connection, context.snapshot.version, rendered, output.resultFormats);
  try {
    return (await passToClient(connection, prepared.bytes, output)).tag;
  } catch (error) {
    prepared.failed();
    throw error;
  }
}

/** Connections to all sites, acquired in parallel. */
export async function joinAll(sites: readonly Site[], context: ExecutionContext): Promise<ServerConnection[]> {
  if (context.signal.aborted) throw pgError('queryCanceled', 'canceling statement due to user request');
  return Promise.all(sites.map((site) => context.transaction.join(site, context.signal)));
}
