import type { Site } from '../catalog/site.ts';
import { assert } from '../core/assert.ts';
import type { Motion, MotionColumn, StageMotion } from '../plan/plan.ts';
import { quoteIdentifier, quoteLiteral } from '../sql/quote.ts';
import { columnArrays } from './array-value.ts';
import { motionName } from './motion-name.ts';
import type { OpenedExchange } from './opened-exchange.ts';
import type { TemplateValues } from './render-template.ts';
import type { BoundValue, RenderedSql } from './statement-bytes.ts';

/*
 * Fragments that are bound, so that their snapshots are taken, before the rows and values that they need are known. They read them from
 * settings of the node's session, whose values they see when they run, whatever their snapshots are. Arrays travel as text of a form
 * that every session reads alike.
 */

/** Of which no client has settings. */
const prefix = 'pgherd_motion';

/** Expected rows beyond this don't change how a server plans. */
const maxExpectedRows = 10_000;

/** The values of a plan, in the place of what isn't known yet the settings that will hold it. */
export function lateValues(values: TemplateValues, motions: readonly Motion[]): TemplateValues {
  return {
    ...{ parameters: values.parameters, constants: values.constants, constantTypes: values.constantTypes },
    lateConstant: (index) => {
      const { typeName } = values.constantTypes[index]!;
      return `pg_catalog.substr(NULLIF(${settingValue(constantSetting(index))}, ''), 2)::${typeName}`;
    },
    motion: (index) => ({ sql: rowsFromSettings(stagedMotion(index, motions).columns, index), values: [] }),
  };
}

function stagedMotion(index: number, motions: readonly Motion[]): StageMotion {
  const motion = motions[index];
  assert(motion?.kind === 'stage', 'nodes read rows that are brought to nodes');
  return motion;
}

function rowsFromSettings(columns: readonly MotionColumn[], index: number): string {
  assert(columns.length > 0, 'rows on their way have a column');
  const arrays = columns.map((column, i) => `${settingValue(columnSetting(index, i))}::${elementType(column)}[]`);
  const names = columns.map(({ name }) => quoteIdentifier(name));
  return `unnest(${arrays.join(', ')}) AS ${motionName(index)}(${names.join(', ')})`;
}

/**
 * Sets all of them before anything is planned with them: rows to as many as are expected, which the server reads when it plans, and values to
 * NULL. `isExpected` false: to next to nothing.
 */
export function initialSettings(
  motions: readonly Motion[],
  constants: readonly number[],
  isExpected: boolean,
): RenderedSql {
  const settings = motions.flatMap((motion, index) => {
    if (motion.kind !== 'stage') return [];
    const rows = isExpected ? expectedOnNode(motion) : 1;
    const expected = `'{NULL' || pg_catalog.repeat(',NULL', ${rows - 1}) || '}'`;
    return motion.columns.map((_, i) => setSql(columnSetting(index, i), i === 0 ? expected : "'{}'"));
  });
  const values = constants.map((index) => setSql(constantSetting(index), "''"));
  return { sql: `SELECT ${[...settings, ...values].join(', ')}`, values: [] };
}

function expectedOnNode({ expectedRows, to }: StageMotion): number {
  const nodes = to.kind === 'broadcast' ? 1 : new Set(to.group.shards.map(({ nodeId }) => nodeId)).size;
  return Math.max(1, Math.min(maxExpectedRows, Math.round(expectedRows / nodes)));
}

/** Tells nodes in time what their fragments wait for. */
export class LateSettings {
  readonly #exchanges: ReadonlyMap<Site, OpenedExchange>;
  readonly #motions: readonly Motion[];
  readonly #constants: ReadonlySet<number>;

  constructor(exchanges: ReadonlyMap<Site, OpenedExchange>, motions: readonly Motion[], constants: readonly number[]) {
    this.#exchanges = exchanges;
    this.#motions = motions;
    this.#constants = new Set(constants);
  }

  tellConstant(index: number, text: string | null): void {
    if (!this.#constants.has(index)) return;
    const value = quoteLiteral(text === null ? '' : `=${text}`);
    this.#tell(() => ({ sql: `SELECT ${setSql(constantSetting(index), value)}`, values: [] }));
  }

  tellRows(index: number, rowsAt: (site: Site) => readonly Buffer[]): void {
    const { columns } = stagedMotion(index, this.#motions);
    this.#tell((site) => rowsStatement(index, columns, rowsAt(site)));
  }

  /** Those that have fragments to run yet. */
  #tell(statementFor: (site: Site) => RenderedSql): void {
    for (const [site, exchange] of this.#exchanges) if (!exchange.hasEnded) exchange.assign(statementFor(site));
  }
}

/** The values are written and read under different settings of the client's, perhaps: in between they have a form that means one thing under all. */
function rowsStatement(index: number, columns: readonly MotionColumn[], rows: readonly Buffer[]): RenderedSql {
  const arrays = columnArrays(
    rows,
    columns.map(({ viaText, typeOid }) => (viaText ? textOid : typeOid)),
  );
  const canonical = Object.entries(canonicalSettings);
  const settings = [
    ...canonical.map(([name, value]) => setSql(name, quoteLiteral(value))),
    ...columns.map((column, i) => setSql(columnSetting(index, i), `$${i + 1}::${elementType(column)}[]::text`)),
    ...canonical.map(([name]) => setSql(name, `s.${name}`)),
  ];
  const before = canonical.map(([name]) => `pg_catalog.current_setting('${name}') AS ${name}`);
  return {
    sql: `SELECT ${settings.join(', ')} FROM (SELECT ${before.join(', ')} OFFSET 0) AS s`,
    values: arrays.map((bytes): BoundValue => ({ format: 1, bytes, typeOid: 0 })),
  };
}

/** Under which no type's text is ambiguous or short of digits. The manual on date/time output, interval output and floating-point types. */
const canonicalSettings = { datestyle: 'ISO', intervalstyle: 'iso_8601', extra_float_digits: '3' } as const;

const textOid = 25;

function elementType({ viaText, typeName }: MotionColumn): string {
  return viaText ? 'text' : typeName;
}

function columnSetting(motion: number, column: number): string {
  return `${prefix}.r${motion}_${column}`;
}

function constantSetting(index: number): string {
  return `${prefix}.v${index}`;
}

function settingValue(name: string): string {
  return `pg_catalog.current_setting('${name}')`;
}

/** The value itself is not sent back. */
function setSql(name: string, value: string): string {
  return `pg_catalog.set_config('${name}', ${value}, true) IS NULL`;
}
