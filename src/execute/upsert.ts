import { collectResult } from '../backend/collect-result.ts';
import type { NodeId } from '../catalog/snapshot.ts';
import { pgError, unsupported } from '../core/errors.ts';
import { settled } from '../core/settled.ts';
import { proposedRows } from '../plan/conflict-update.ts';
import type { ChangeStep, ConflictUpdate, MotionColumn, SqlTemplate } from '../plan/plan.ts';
import { quoteIdentifier, quoteLiteral, quoteQualified } from '../sql/quote.ts';
import { checkStatement } from './change-rows.ts';
import { type ClientOutput, PassingOutput } from './client-output.ts';
import type { ExecutionContext } from './context.ts';
import { passToClient } from './exchange.ts';
import { claimFree, travellingColumns } from './insert-conflict.ts';
import { watchedExchange } from './instruments.ts';
import { findEntries, globalIndexesOf, type KeptIndex, keptIndex, sameUnique } from './keys/index-entries.ts';
import type { KeyValues } from './keys/key-report.ts';
import { ownRows, renderTemplate, type TemplateValues, withOwnRows } from './render-template.ts';
import { rowsAsUnnest } from './rendered-rows.ts';
import { groupByNode } from './route-rows.ts';
import { encodeRendered, type RenderedSql } from './statement-bytes.ts';
import { textTuples, tupleOf, tupleValues } from './text-tuples.ts';

type InsertRows = Extract<ChangeStep, { kind: 'insert rows' }>;

/** So often a row is looked for whose entry is there: its transaction may be half committed, or it is changing again and again. */
const maxRounds = 400;
const longestWaitMs = 100;

/** Where rows go that turn out to be new, and where RETURNING goes. */
interface Ways {
  readonly window: ClientOutput;
  insert(rows: readonly Buffer[]): Promise<void>;
}

/** Null: the statement has no DO UPDATE that goes by a global unique index. */
export async function prepareUpsert(
  step: InsertRows,
  values: TemplateValues,
  context: ExecutionContext,
  ways: Ways,
): Promise<Upsert | null> {
  const { table, conflict } = step;
  if (!conflict?.update) return null;
  const coordinator = await context.transaction.join('coordinator', context.signal);
  await checkStatement(coordinator, conflict.update.checked, values);
  const index = globalIndexesOf(table)[conflict.indexes[0]!]!;
  const complaint = await complaintSql(step, context);
  const kept = keptIndex(table, index, context.snapshot);
  return new Upsert({ step, update: conflict.update, kept, complaint, values, context, ways });
}

interface Work {
  readonly step: InsertRows;
  readonly update: ConflictUpdate;
  readonly kept: KeptIndex;
  /** SQL over `excluded`: what keeps such a row from being inserted at all; null: nothing. */
  readonly complaint: string;
  readonly values: TemplateValues;
  readonly context: ExecutionContext;
  readonly ways: Ways;
}

/** A row to be inserted, and the entry that has its value already. */
interface Conflict {
  readonly row: Buffer;
  readonly entry: KeyValues;
}

/**
 * INSERT … ON CONFLICT DO UPDATE by a global unique index. A value that is free is taken in the index and the row inserted; otherwise the
 * row that has it is locked where it is, and updated. One that is gone by then begins again, as in PostgreSQL.
 */
export class Upsert {
  updated = 0;
  readonly #work: Work;
  /** Unique values of rows that the statement has inserted or updated. */
  readonly #affected = new Set<string>();
  #rows = 0;

  constructor(work: Work) {
    this.#work = work;
  }

  /** No two of the rows are known to have the same value. */
  async run(rows: readonly Buffer[]): Promise<void> {
    const { step, update, kept, context, ways } = this.#work;
    this.#rows += rows.length;
    if (update.movesKey && this.#rows > 1) {
      throw unsupported(
        'PH002',
        `ON CONFLICT DO UPDATE of several rows, which assigns a column of ${kept.index.name},`,
      );
    }
    let pending: readonly Buffer[] = rows;
    for (let round = 0; pending.length > 0; round++) {
      if (round > 0) await this.#waitForOthers(round);
      const { free, claims, taken, asked } = await claimFree(kept, step.columns, pending, context);
      if (free.length > 0) await ways.insert(free);
      else await context.keys.settleEntries(context);
      for (const { entry } of claims) this.#affected.add(this.#valueOf(entry));
      const entries = await findEntries(kept, travellingColumns(kept, step.columns), asked, context);
      const conflicts = entries.map(({ place, entry }): Conflict => ({ row: taken[place]!, entry }));
      for (const { entry } of conflicts) if (this.#affected.has(this.#valueOf(entry))) throw secondTime();
      const done = await this.#updateAll(conflicts);
      pending = taken.filter((row) => !done.has(row));
    }
  }

  /** PostgreSQL wants both privileges, whatever becomes of the rows. */
  async checkRights(hasInserted: boolean): Promise<void> {
    const { step, context, ways, values } = this.#work;
    const { distribution } = step.table;
    if (distribution.kind !== 'distributed') return;
    const node = distribution.group.shards[0]!.nodeId;
    if (this.updated === 0) await this.#change(node, [], new SilentOutput(ways.window));
    if (hasInserted) return;
    const connection = await context.transaction.join(node, context.signal);
    const sql: SqlTemplate = [`${step.head} SELECT ${step.columns.map(() => 'NULL').join(', ')} WHERE false`];
    await collectResult(connection, encodeRendered(renderTemplate(sql, values), [], false));
  }

  #valueOf(entry: KeyValues): string {
    return JSON.stringify(entry.slice(0, this.#work.kept.index.columns.length));
  }

  async #waitForOthers(round: number): Promise<void> {
    const { context, step } = this.#work;
    if (context.transaction.isolation !== 'read committed' || round > maxRounds) {
      throw pgError(
        'serializationFailure',
        `could not serialize access to ${step.table.name} due to concurrent update`,
      );
    }
    context.signal.throwIfAborted();
    await new Promise((resolve) => setTimeout(resolve, Math.min(round, longestWaitMs)));
  }

  /** Gives the rows that are done with: whose other has been found. */
  async #updateAll(conflicts: readonly Conflict[]): Promise<ReadonlySet<Buffer>> {
    const { context, ways } = this.#work;
    const done = new Set<Buffer>();
    const byNode = await this.#places(conflicts);
    const wanted = await settled(
      [...byNode].map(async ([node, own]) => {
        const found = await this.#lock(node, own);
        for (const { conflict } of found) done.add(conflict.row);
        return [node, found.filter(({ isWanted }) => isWanted).map(({ conflict }) => conflict)] as const;
      }),
    );
    for (const [node, own] of wanted) {
      if (own.length === 0) continue;
      await this.#change(node, own, ways.window);
      for (const { entry } of own) this.#affected.add(this.#valueOf(entry));
      this.updated += own.length;
    }
    await context.keys.settleEntries(context);
    return done;
  }

  /** Entries say which shard has the row; of rows spread at random nobody knows. */
  async #places(conflicts: readonly Conflict[]): Promise<Map<NodeId, Conflict[]>> {
    const { kept, context } = this.#work;
    const { owner, hidden } = kept;
    const { distribution } = owner;
    if (distribution.kind !== 'distributed' || conflicts.length === 0) return new Map();
    if (distribution.keys.length === 0) {
      const nodes = new Set(distribution.group.shards.map((shard) => shard.nodeId));
      return new Map([...nodes].map((node) => [node, [...conflicts]]));
    }
    const columns = hidden.columns.map(
      ({ name, typeOid, typeName }): MotionColumn => ({ name, typeOid, typeName, collation: null, viaText: true }),
    );
    const tuples = textTuples(conflicts.map(({ entry }) => entry));
    const grouped = await groupByNode(owner, columns, tuples, context);
    return new Map([...grouped].map(([node, own]) => [node, own.map((each) => conflicts[tuples.indexOf(each)]!)]));
  }

  async #lock(node: NodeId, conflicts: readonly Conflict[]) {
    const { update, complaint, context, step } = this.#work;
    const alias = quoteIdentifier(update.alias);
    const condition: SqlTemplate = update.where === null ? ['true'] : ['(', ...update.where, ') IS TRUE'];
    const sql: SqlTemplate = [
      `SELECT ${proposedRows}.pgherd_i, ${complaint}, `,
      ...condition,
      ' FROM ',
      ...this.#from(),
      ` WHERE ${this.#match()} FOR NO KEY UPDATE OF ${alias}`,
    ];
    const connection = await context.transaction.join(node, context.signal);
    context.transaction.markWritten(node);
    const { rows } = await collectResult(connection, encodeRendered(this.#render(sql, conflicts), [], false));
    return rows.map(([place, complained, isWanted]) => {
      if (complained) throw refusedRow(complained, step);
      return { conflict: conflicts[Number(place)]!, isWanted: isWanted === 't' };
    });
  }

  async #change(node: NodeId, conflicts: readonly Conflict[], output: ClientOutput): Promise<void> {
    const { update, context, step } = this.#work;
    const alias = quoteIdentifier(update.alias);
    const change: SqlTemplate = [
      `UPDATE ${quoteQualified(step.table.schema, step.table.name)} AS ${alias} SET `,
      ...update.set,
      ' FROM ',
      ...this.#from().slice(1),
      ` WHERE ${this.#match()}`,
    ];
    const sql: SqlTemplate =
      update.returning === null
        ? change
        : [
            'WITH pgherd_changed AS (',
            ...change,
            ` RETURNING ${alias}.*) SELECT `,
            ...update.returning,
            ` FROM pgherd_changed AS ${alias}`,
          ];
    const connection = await context.transaction.join(node, context.signal);
    const rendered = this.#render(sql, conflicts);
    const bytes = encodeRendered(rendered, output.resultFormats, output.wantsDescription);
    const tag = await passToClient(watchedExchange(context, 'final', connection, { rendered, bytes }), output);
    const changed = Number(/(\d+)$/.exec(tag)?.[1] ?? 0);
    if (changed === conflicts.length) return;
    throw pgError('serializationFailure', `rows of ${step.table.name} changed while they were being updated`);
  }

  /** The table, then what an UPDATE has in FROM: the travelling rows, and each as it would be stored. */
  #from(): SqlTemplate {
    const { step, update } = this.#work;
    const { schema, name } = step.table;
    return [
      `${quoteQualified(schema, name)} AS ${quoteIdentifier(update.alias)}, `,
      { motion: ownRows },
      `, LATERAL (${update.proposed}) AS excluded`,
    ];
  }

  #match(): string {
    const { kept, update } = this.#work;
    const alias = quoteIdentifier(update.alias);
    const others = kept.hidden.columns.slice(kept.index.columns.length).map(({ name, notNull }) => {
      const [own, other] = [`${alias}.${quoteIdentifier(name)}`, `pgherd_e.${quoteIdentifier(name)}`];
      return notNull ? `${own} = ${other}` : `${own} IS NOT DISTINCT FROM ${other}`;
    });
    return [sameUnique(kept, alias, 'pgherd_e'), ...others].join(' AND ');
  }

  #render(sql: SqlTemplate, conflicts: readonly Conflict[]): RenderedSql {
    const { step, kept, values } = this.#work;
    const text = (name: string): MotionColumn => ({
      name,
      typeOid: 25,
      typeName: 'text',
      collation: null,
      viaText: true,
    });
    const columns = [
      ...step.columns.map((column, i): MotionColumn => ({ ...column, name: `c${i}` })),
      ...kept.hidden.columns.map((_, i) => text(`e${i}`)),
      text('pgherd_i'),
    ];
    const tuples = conflicts.map(({ row, entry }, i) =>
      tupleOf([
        ...tupleValues(row),
        ...[...entry, String(i)].map((value) => (value === null ? null : Buffer.from(value))),
      ]),
    );
    const entry = kept.hidden.columns.map(
      ({ name, typeName }, i) => `${proposedRows}.e${i}::${typeName} AS ${quoteIdentifier(name)}`,
    );
    const own = withOwnRows(values, (first) => {
      const item = rowsAsUnnest(tuples, columns, proposedRows, first);
      return { ...item, sql: `${item.sql}, LATERAL (SELECT ${entry.join(', ')}) AS pgherd_e` };
    });
    return renderTemplate(sql, own);
  }
}

/** For a statement about no rows. */
class SilentOutput extends PassingOutput {
  override describe(): void {}
}

function secondTime() {
  return pgError('cardinalityViolation', 'ON CONFLICT DO UPDATE command cannot affect row a second time', {
    hint: 'Ensure that no rows proposed for insertion within the same command have duplicate constrained values.',
  });
}

/** PostgreSQL refuses what breaks a constraint before it looks for a conflict. */
async function complaintSql({ table }: InsertRows, context: ExecutionContext): Promise<string> {
  const { rows } = await context.control().query(checksSql, [String(table.oid)]);
  const nulls = table.columns
    .filter(({ notNull }) => notNull)
    .map(({ name }) => `WHEN excluded.${quoteIdentifier(name)} IS NULL THEN ${quoteLiteral(`n${name}`)}`);
  const checks = rows.map(
    ([name, expression]) =>
      `WHEN (SELECT (${expression}) IS FALSE FROM (SELECT excluded.*) AS ${quoteIdentifier(table.name)}) THEN ${quoteLiteral(`c${name}`)}`,
  );
  const cases = [...nulls, ...checks];
  return cases.length === 0 ? 'NULL::text' : `CASE ${cases.join(' ')} END`;
}

const checksSql = `SELECT k.conname, pg_catalog.pg_get_expr(k.conbin, k.conrelid) FROM pg_catalog.pg_constraint k
  WHERE k.conrelid = $1 AND k.contype = 'c' AND coalesce(to_jsonb(k)->>'conenforced', 'true') = 'true' ORDER BY k.conname`;

function refusedRow(complaint: string, { table }: InsertRows) {
  const name = complaint.slice(1);
  const where = { schema: table.schema, table: table.name };
  if (complaint.startsWith('n')) {
    const message = `null value in column "${name}" of relation "${table.name}" violates not-null constraint`;
    return pgError('notNullViolation', message, { ...where, column: name });
  }
  const message = `new row for relation "${table.name}" violates check constraint "${name}"`;
  return pgError('checkViolation', message, { ...where, constraint: name });
}
