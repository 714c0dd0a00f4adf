import type { ChangeContext } from './changes.ts';
import { expression } from './expressions.ts';
import { predicate } from './predicates.ts';
import { literal, type Scope, type Source } from './scope.ts';
import type { ColumnDefinition, TableDefinition } from './tables.ts';
import { optional, sql, type Tree } from './tree.ts';

export function returning(context: ChangeContext, table: TableDefinition): Tree {
  const { random } = context.scope;
  if (!random.chance(0.35)) return '';
  if (random.chance(0.5)) return optional(` RETURNING ${table.name}.*`);
  const scope = { ...context.scope, sources: [tableSource(table, table.name)], depth: 1 };
  const type = random.pick(table.columns).type;
  return optional(sql` RETURNING ${table.name}.id, ${expression(withoutOuter(scope), type)} AS x`);
}

function withoutOuter(scope: Scope): Scope {
  return { ...scope, outer: [], ctes: [] };
}

/** So that no table runs empty. */
export function thinned({ random }: Scope, table: TableDefinition): string {
  return `${table.name}.id % 9 = ${random.int(0, 8)}`;
}

export function target(scope: Scope, table: TableDefinition): Tree {
  const { random } = scope;
  if (random.chance(0.3)) return sql`${table.name}.id = ${literal(scope, 'int')}`;
  return predicate({ ...scope, depth: random.int(0, 2) });
}

export function tableSource(table: TableDefinition, alias: string): Source {
  return {
    alias,
    columns: table.columns.map(({ name, type }) => ({ name, type, sql: `${alias}.${name}` })),
    unique: [`${alias}.id`],
    keyed: true,
  };
}

export function writableColumns(table: TableDefinition): ColumnDefinition[] {
  return table.columns.filter((column) => column.generated !== true);
}

export function isRequired(column: ColumnDefinition): boolean {
  return column.extra?.startsWith('NOT NULL') === true && !column.extra.includes('DEFAULT');
}

export function hasNotNull(column: ColumnDefinition): boolean {
  return column.extra?.startsWith('NOT NULL') === true;
}

export function isKey(table: TableDefinition, column: ColumnDefinition): boolean {
  return 'column' in table.distribution && table.distribution.column.split(', ').includes(column.name);
}
