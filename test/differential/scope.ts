import type { Random } from './random.ts';
import { type ColumnDefinition, type ColumnType, domains, sqlTypes, tables, views } from './tables.ts';
import type { Tree } from './tree.ts';

export type Column = { readonly sql: string; readonly name: string; readonly type: ColumnType };

/** A relation in FROM, under its alias. */
export type Source = {
  readonly alias: string;
  readonly columns: readonly Column[];
  /** Expressions that order its rows as far as they can be told apart. */
  readonly unique: readonly string[];
  /** No two rows are alike in `unique`. */
  readonly keyed: boolean;
};

/** A named relation that FROM may take: a table, a view, a common table expression. */
export type Relation = {
  readonly name: string;
  readonly columns: readonly ColumnDefinition[];
  readonly unique: readonly string[];
  readonly keyed: boolean;
  readonly lockable: boolean;
};

/** What an expression may refer to and how deep it may still grow. */
export type Scope = {
  readonly random: Random;
  readonly sources: readonly Source[];
  /** The columns of enclosing queries, for correlated subqueries. */
  readonly outer: readonly Column[];
  readonly ctes: readonly Relation[];
  readonly depth: number;
  /** No literal may become a parameter: GROUP BY must see equal expressions. */
  readonly inline: boolean;
  readonly names: Names;
};

/** Gives every alias of a statement a name of its own. */
export type Names = { next(prefix: string): string };

export function createNames(): Names {
  let count = 0;
  return { next: (prefix) => `${prefix}${++count}` };
}

export function emptyScope(random: Random): Scope {
  return { random, sources: [], outer: [], ctes: [], depth: 2, inline: false, names: createNames() };
}

export function deeper(scope: Scope): Scope {
  return { ...scope, depth: scope.depth - 1 };
}

export const relations: readonly Relation[] = [
  ...tables.map((table) => ({
    name: table.name,
    columns: table.columns,
    unique: ['id', ...table.conflict.filter((name) => name !== 'id')],
    keyed: true,
    lockable: true,
  })),
  ...views.map((view) => ({ ...view, keyed: true, lockable: false })),
];

export function sourceOf(relation: Relation, alias: string): Source {
  return {
    alias,
    keyed: relation.keyed,
    columns: relation.columns.map(({ name, type }) => ({ name, type, sql: `${alias}.${name}` })),
    unique: relation.unique.map((name) => `${alias}.${name}`),
  };
}

export function columnsOf(scope: Scope, type?: ColumnType): Column[] {
  const visible = scope.sources.flatMap((source) => source.columns);
  return type === undefined ? visible : visible.filter((column) => column.type === type);
}

/** A literal or parameter of the column's type, drawn from what the tables hold. */
export function literal(scope: Scope, type: ColumnType, cast = true): Tree {
  const { random } = scope;
  const text = type === 'int' && random.chance(0.25) ? String(random.int(10, 64)) : random.pick(domains[type]);
  if (scope.inline) return `'${text.replaceAll("'", "''")}'::${sqlTypes[type]}`;
  return { kind: 'value', text, type: sqlTypes[type], cast };
}
