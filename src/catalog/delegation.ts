import type { DelegationRow } from './delegate-sql.ts';

/** A function whose calls go to the node of one of its arguments, once its body is proven to need no more than that node. */
export interface Delegation {
  readonly oid: number;
  /** Who wrote its row of pg_proc: another one, another function. */
  readonly version: string;
  readonly schema: string;
  readonly name: string;
  readonly language: string;
  readonly kind: 'function' | 'procedure';
  readonly volatility: 'immutable' | 'stable' | 'volatile';
  /** All, in order, those that only come out as well. */
  readonly parameters: readonly FunctionParameter[];
  /** Of the last parameters that go in, so many may be left out. */
  readonly defaults: number;
  readonly variadic: boolean;
  /** Place among `parameters`. */
  readonly distributionParameter: number;
  /** OID of a table; null: the tables of its body say it. */
  readonly colocatedWith: number | null;
  /** An error, if it can't be delegated; otherwise it runs on the coordinator. */
  readonly force: boolean;
  /** null: SQL in the grammar's own form (BEGIN ATOMIC). */
  readonly body: string | null;
  /** CREATE FUNCTION, all names qualified. */
  readonly definition: string;
  /** `name=value` of its SET clauses. */
  readonly settings: readonly string[];
  /** What nodes call it; null: what they have is another version of it. */
  readonly copy: string | null;
}

export interface FunctionParameter {
  /** Empty: it has none. */
  readonly name: string;
  readonly goesIn: boolean;
  readonly typeOid: number;
  readonly typeName: string;
}

export function buildDelegations(rows: readonly DelegationRow[]): ReadonlyMap<string, readonly Delegation[]> {
  const found = new Map<string, Delegation[]>();
  for (const row of rows) found.set(row.name, [...(found.get(row.name) ?? []), buildDelegation(row)]);
  return found;
}

function buildDelegation(row: DelegationRow): Delegation {
  const { oid, version, schema, name, language, kind, volatility, defaults, variadic, colocatedWith, force } = row;
  return Object.freeze({
    ...{ oid, version, schema, name, language, defaults, variadic, colocatedWith, force },
    kind: kind === 'p' ? 'procedure' : 'function',
    volatility: volatility === 'i' ? 'immutable' : volatility === 's' ? 'stable' : 'volatile',
    parameters: row.argumentTypes.map((type, i) => ({
      name: row.argumentNames[i] ?? '',
      goesIn: row.argumentModes[i] !== 'o' && row.argumentModes[i] !== 't',
      ...{ typeOid: type.oid, typeName: type.name },
    })),
    distributionParameter: row.distributionArgument - 1,
    ...{ body: row.body, definition: row.definition, settings: row.settings },
    copy: row.copy === row.wantedCopy ? row.copy : null,
  });
}
