import { changeOfHole } from '../plan/change-first.ts';
import { constantFunctions } from '../plan/functions.ts';
import type { Motion, Plan, PlanConstant, SqlTemplate } from '../plan/plan.ts';
import { quoteIdentifier } from '../sql/quote.ts';
import type { ExecutionContext } from './context.ts';
import { motionName } from './motion-name.ts';
import { renderTemplate, type TemplateValues, withOwnRows } from './render-template.ts';
import type { RowsItem } from './rendered-rows.ts';
import type { RenderedSql } from './statement-bytes.ts';

/**
 * What the holes of a plan's SQL stand for while nothing runs: rows that nobody has are as many as the servers expect them to be, and
 * values that are not known yet come from subqueries, which PostgreSQL does not look into when it plans.
 */
export class StandIns implements TemplateValues {
  readonly parameters: TemplateValues['parameters'];
  readonly constantTypes: readonly PlanConstant[];
  readonly constants: (string | null)[] = [];
  readonly #motions: readonly Motion[];
  readonly #genericPlan: boolean;
  /** Rows that each motion is expected to bring. */
  readonly expectedRows: number[] = [];
  readonly #changed: RowsItem[] = [];

  constructor(plan: Plan, parameters: TemplateValues['parameters'], genericPlan: boolean) {
    this.constantTypes = plan.constants;
    this.#motions = plan.motions;
    this.parameters = parameters;
    this.#genericPlan = genericPlan;
  }

  /** What planning would look up anyway: now(), the user, settings. */
  async evaluateKnown(context: ExecutionContext): Promise<void> {
    const known = [...this.constantTypes.keys()].filter((index) => isKnown(this.constantTypes[index]!.sql));
    if (known.length === 0) return;
    const list = known.map((index) => `(${this.constantTypes[index]!.sql.join('')})::text`);
    const connection = await context.transaction.join('coordinator', context.signal);
    const { rows } = await connection.query(`SELECT ${list.join(', ')}`);
    for (const [i, index] of known.entries()) this.constants[index] = rows[0]?.[i] ?? null;
  }

  /** A change in WITH returns rows of these columns. */
  setChanged(place: number, item: RowsItem): void {
    this.#changed[place] = withoutRows(item);
  }

  motion(index: number): RowsItem {
    const place = changeOfHole(index);
    if (place !== null) return this.#changed[place] ?? { sql: '(SELECT) AS pgherd_changed', values: [] };
    const { columns } = this.#motions[index]!;
    const name = motionName(index);
    const rows = Math.max(1, Math.round(this.expectedRows[index] ?? 1));
    if (columns.length === 0) return { sql: `generate_series(1, ${rows}) AS ${name}`, values: [] };
    const arrays = columns.map(({ viaText, typeName }) => `unnest(NULL::${viaText ? 'text' : typeName}[])`);
    const names = columns.map((column) => quoteIdentifier(column.name)).join(', ');
    const items = [...arrays, `generate_series(1, ${rows})`].join(', ');
    return {
      sql: `(SELECT ${names} FROM ROWS FROM (${items}) AS ${name}(${names}, pgherd_n)) AS ${name}`,
      values: [],
    };
  }

  /** A step's SQL; `own` gives the rows that a change computes first. */
  render(template: SqlTemplate, own: ((firstPlaceholder: number) => RowsItem) | null = null): RenderedSql {
    const values = own === null ? this : withOwnRows(this, (first) => withoutRows(own(first)));
    return renderTemplate(this.filled(template), values);
  }

  /** The template without holes that nobody can fill yet. */
  filled(template: SqlTemplate): SqlTemplate {
    return template.map((part) => {
      if (typeof part === 'string') return part;
      if ('constant' in part && this.constants[part.constant] === undefined) {
        const { typeName } = this.constantTypes[part.constant]!;
        // Without the outer cast ANY would take it for a subquery's rows.
        return `CAST((SELECT NULL::${typeName}) AS ${typeName})`;
      }
      return 'parameter' in part && this.#genericPlan ? `$${part.parameter + 1}` : part;
    });
  }
}

/** The item's columns and types, and no values to bind. */
export function withoutRows({ sql }: RowsItem): RowsItem {
  return { sql: sql.replace(/\$\d+(?=::)/g, 'NULL'), values: [] };
}

const sessionValues = new Set([
  ...['current_date', 'current_time', 'current_timestamp', 'localtime', 'localtimestamp'],
  ...['current_user', 'session_user', 'user', 'current_role', 'current_catalog', 'current_schema'],
]);

function isKnown(sql: SqlTemplate): boolean {
  const [text] = sql;
  if (sql.length !== 1 || typeof text !== 'string') return false;
  const name = /^(?:pg_catalog\.)?(\w+)(?:\s*\([^()]*\))?$/i.exec(text.trim())?.[1]?.toLowerCase() ?? '';
  return (
    sessionValues.has(name) ||
    (Object.hasOwn(constantFunctions, name) && !name.includes('xact') && !name.includes('txid'))
  );
}
