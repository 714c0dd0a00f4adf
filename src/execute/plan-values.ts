import { collectResult } from '../backend/collect-result.ts';
import type { Site } from '../catalog/site.ts';
import { assert } from '../core/assert.ts';
import { changeOfHole } from '../plan/change-first.ts';
import type { StepName } from '../plan/explain.ts';
import type { Motion, MotionColumn, PlanConstant, SqlTemplate } from '../plan/plan.ts';
import type { ExecutionContext } from './context.ts';
import { gatherRows, type MotionRows } from './motion.ts';
import { motionName } from './motion-name.ts';
import { renderTemplate, type TemplateValues } from './render-template.ts';
import { type RowsItem, rowsAsUnnest } from './rendered-rows.ts';
import { shippedRows, type TypedColumn } from './shipped-rows.ts';
import { sourcesOf } from './sources.ts';
import { type StagedRows, stageRows } from './stage-rows.ts';
import { type BoundValue, encodeRendered } from './statement-bytes.ts';
import { textTuples } from './text-tuples.ts';

/** The rows that a change returned, as text. */
export interface ChangedRows {
  readonly rows: readonly Buffer[];
  readonly columns: readonly TypedColumn[];
}

/** What the holes of a plan's templates stand for, as it becomes known while the plan runs. */
export class PlanValues implements TemplateValues {
  readonly parameters: readonly BoundValue[];
  readonly constantTypes: readonly PlanConstant[];
  readonly #texts: (string | null)[] = [];
  readonly #motions: readonly Motion[];
  readonly #rows: (MotionRows | StagedRows)[] = [];
  readonly #changed: ChangedRows[] = [];

  constructor(constants: readonly PlanConstant[], motions: readonly Motion[], parameters: readonly BoundValue[]) {
    this.constantTypes = constants;
    this.#motions = motions;
    this.parameters = parameters;
  }

  get constants(): readonly (string | null)[] {
    return this.#texts;
  }

  /** What a change in WITH returned, by its place among the changes. */
  setChanged(place: number, changed: ChangedRows): void {
    this.#changed[place] = changed;
  }

  motion(index: number, firstPlaceholder: number, site?: Site): RowsItem {
    const place = changeOfHole(index);
    if (place !== null) {
      const changed = this.#changed[place];
      assert(changed, 'a change goes before what uses its rows');
      return shippedRows(changed.rows, [], changed.columns, 'pgherd_changed', firstPlaceholder);
    }
    const rows = this.#rows[index]!;
    const here = rows.kind === 'staged' ? rows.at(site) : rows;
    return motionItem(here, this.#motions[index]!.columns, index, firstPlaceholder);
  }

  /** Evaluates in one statement on the coordinator those of these constants that are not known yet. */
  async evaluate(constants: readonly number[], context: ExecutionContext): Promise<void> {
    const places = constants.filter((index) => this.#texts[index] === undefined);
    if (places.length === 0) return;
    // A value that is computed from other values comes after them.
    await this.evaluate(
      places.flatMap((index) => constantsIn(this.constantTypes[index]!.sql)),
      context,
    );
    const template: SqlTemplate = places.flatMap((index, i) => {
      const constant = this.constantTypes[index]!;
      return [i === 0 ? 'SELECT ' : ', ', ...asText(constant)];
    });
    const connection = await context.transaction.join('coordinator', context.signal, 'catalog');
    const { rows } = await collectResult(connection, encodeRendered(renderTemplate(template, this), [], false));
    for (const [i, index] of places.entries()) {
      const text = rows[0]?.[i] ?? null;
      this.#texts[index] = text;
      context.late?.tellConstant(index, text);
    }
  }

  /** Brings the rows of a motion. `tables`: never inline. */
  async move(index: number, context: ExecutionContext, tables: boolean): Promise<void> {
    const step: StepName = `motion ${index + 1}`;
    const rows = await this.#move(index, step, context, tables);
    context.instruments?.kept(step, rows.kind === 'table' ? 'temporary table' : 'memory');
    this.#rows[index] = rows;
  }

  /** The temporary tables that were made on the coordinator, quoted and qualified. */
  get tables(): readonly string[] {
    return this.#rows.flatMap((rows) => (rows.kind === 'table' ? [rows.table] : []));
  }

  async #move(
    index: number,
    step: StepName,
    context: ExecutionContext,
    tables: boolean,
  ): Promise<MotionRows | StagedRows> {
    const { transaction, signal } = context;
    const motion = this.#motions[index]!;
    if (motion.kind === 'virtual') {
      return { kind: 'inline', rows: textTuples(await context.liveRows(motion.relation)) };
    }
    await this.evaluate(constantsIn(motion.sql), context);
    if (motion.kind === 'stage') {
      const sources = await sourcesOf(step, motion.sites, motion.sql, this, binaryRows, context);
      return stageRows(sources, motion, index, context);
    }
    if (motion.locksRows) transaction.ensureBlock();
    const sources = await sourcesOf(step, motion.sites, motion.sql, this, binaryRows, context);
    if (motion.locksRows) for (const site of motion.sites) transaction.markWritten(site);
    return gatherRows(sources, {
      name: `pg_temp.${transaction.newTableName()}`,
      columns: motion.columns,
      primaryKey: motion.primaryKey,
      lookupColumns: motion.lookupColumns,
      always: motion.toNodes !== true && (tables || motion.primaryKey.length > 0),
      inlineOnly: motion.toNodes === true,
      coordinator: () => {
        transaction.ensureBlock();
        return transaction.join('coordinator', signal);
      },
    });
  }
}

/** The cast of character(n) to text would take its spaces off. */
export function asText({ sql, typeName }: PlanConstant): SqlTemplate {
  if (!/^(bpchar|character\(\d+\))$/.test(typeName)) return ['(', ...sql, `)::${typeName}::text`];
  const shown = 'CASE WHEN v IS NOT NULL THEN pg_catalog.concat(v) END';
  return [`(SELECT ${shown} FROM (SELECT (`, ...sql, `)::${typeName} AS v OFFSET 0) AS q)`];
}

function constantsIn(template: SqlTemplate): number[] {
  return template.flatMap((part) => (typeof part === 'object' && 'constant' in part ? [part.constant] : []));
}

const binaryRows = { resultFormats: [1], describe: false } as const;

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
