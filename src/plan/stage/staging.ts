import type { ColumnEntry, Distribution, RelationEntry } from '../../catalog/snapshot.ts';
import { firstLateParameter, type LateParameter, type PlanContext, type StagedRelation } from '../context.ts';
import type { Motion, MotionColumn, SqlTemplate } from '../plan.ts';
import { createSteps, type Steps } from '../steps.ts';

/** The schema under which a statement names the rows of an earlier step. Clients can't: no snapshot of the catalog has it. */
export const stagedSchema = 'pgherd_staged';

/** The steps of a plan as they are found, and the statement's view of them. Subqueries that become steps share it. */
export interface Staging {
  /** With the steps so far, and the relations and values that they make. */
  readonly context: PlanContext & { readonly steps: Steps };
  /** Rows of a motion become a relation. `distribution` null: they are on the coordinator. Gives the relation's name. */
  addRelation(motion: Motion, names: readonly string[], distribution: Distribution | null, rows: number): string;
  /** The same for what the coordinator computes, which stays there. */
  addQuery(sql: SqlTemplate, columns: readonly MotionColumn[], names: readonly string[], rows: number): string;
  /** A value computed beforehand becomes a parameter. Gives its number. */
  addValue(sql: SqlTemplate, type: { readonly typeOid: number; readonly typeName: string }): number;
  /** A name that nothing else in the statement has. */
  newName(): string;
  /** Runs work on a query inside the one that is being planned; null: they are nested too deeply. */
  nest<T>(work: () => T): T | null;
}

export function createStaging(context: PlanContext): Staging {
  const steps = createSteps();
  let current = { ...context, steps };
  let named = 0;
  let depth = 0;
  let relationsMade = 0;
  const nextName = () => {
    relationsMade += 1;
    return `s${relationsMade}`;
  };
  const add = (entry: RelationEntry, relation: StagedRelation) => {
    const known = new Map([...(current.snapshot.relations.get(stagedSchema) ?? []), [entry.name, entry]]);
    const relations = new Map([...current.snapshot.relations, [stagedSchema, known]]);
    const snapshot = { ...current.snapshot, relations };
    current = { ...current, snapshot, staged: new Map([...current.staged, [entry, relation]]) };
    return entry.name;
  };
  return {
    get context() {
      return current;
    },
    addRelation(motion, names, distribution, rows) {
      const index = placeOf(motion, steps.motions);
      return add(stagedEntry(nextName(), motion.columns, names, distribution), { kind: 'motion', motion: index, rows });
    },
    addQuery(sql, columns, names, rows) {
      return add(stagedEntry(nextName(), columns, names, null), { kind: 'query', sql, rows });
    },
    addValue(sql, { typeOid, typeName }) {
      const late: LateParameter = { constant: steps.constants.add(sql, typeName), typeOid, typeName };
      current = { ...current, late: [...current.late, late] };
      return firstLateParameter + current.late.length - 1;
    },
    newName() {
      named += 1;
      return `pgherd_u${named}`;
    },
    nest(work) {
      if (depth === maxDepth) return null;
      depth += 1;
      try {
        return work();
      } finally {
        depth -= 1;
      }
    },
  };
}

/** Queries inside queries that are planned by themselves. */
const maxDepth = 12;

/** The same rows in the same place are brought there once. */
function placeOf(motion: Motion, motions: Motion[]): number {
  const identity = (each: Motion) => JSON.stringify({ ...each, label: '', expectedRows: 0 });
  const known = motions.findIndex((each) => identity(each) === identity(motion));
  return known >= 0 ? known : motions.push(motion) - 1;
}

function stagedEntry(
  name: string,
  columns: readonly MotionColumn[],
  names: readonly string[],
  distribution: Distribution | null,
): RelationEntry {
  const entries = columns.map(
    ({ typeOid, typeName, collation }, i): ColumnEntry => ({
      name: names[i]!,
      attnum: i + 1,
      typeOid,
      typmod: -1,
      typeName,
      collation,
      notNull: false,
      default: { kind: 'none' },
    }),
  );
  const head = { oid: 0, schema: stagedSchema, name, columns: entries };
  const distributed =
    distribution === null
      ? null
      : {
          ...head,
          primaryKey: [],
          distribution,
          hasRowTriggers: false,
          statementTriggers: [],
          hasRowSecurity: false,
          estimatedRows: -1,
        };
  return { ...head, kind: 'table', distributed, viewDefinition: null };
}
