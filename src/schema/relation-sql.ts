import { quoteIdentifier, quoteLiteral, quoteQualified } from '../sql/quote.ts';
import type { ColumnShape, ConstraintShape, Grant, TableShape } from './table-shape.ts';

/** Pieces of SQL that make one relation on a node like the table on the coordinator. All names are qualified. */

/**
 * A column as nodes have it: no default that draws from a sequence, no identity; as a key column not generated either,
 * which PostgreSQL refuses in a partition key (the router computes it).
 */
export function columnSql(column: ColumnShape, isKey: boolean): string {
  const expression = nodeDefault(column, isKey);
  return [
    quoteIdentifier(column.name),
    column.type,
    ...(column.collation ? [`COLLATE ${column.collation}`] : []),
    ...(expression ? [expression] : []),
    ...(column.notNull ? ['NOT NULL'] : []),
  ].join(' ');
}

/** `DEFAULT …` or `GENERATED …` as nodes have it, or null. */
export function nodeDefault(column: ColumnShape, isKey: boolean): string | null {
  if (column.default === null || column.usesSequence || column.identity !== '') return null;
  if (column.generated === '') return `DEFAULT ${column.default}`;
  if (isKey) return null;
  return `GENERATED ALWAYS AS (${column.default}) ${column.generated === 's' ? 'STORED' : 'VIRTUAL'}`;
}

export function checkSql(constraint: ConstraintShape): string {
  return `CONSTRAINT ${quoteIdentifier(constraint.name)} ${constraint.definition}`;
}

/** STORAGE and COMPRESSION, which partitions take from their parent; null: the type's own. */
export function columnStorageSql(relation: string, column: ColumnShape): string[] {
  const alter = `ALTER TABLE ${relation} ALTER COLUMN ${quoteIdentifier(column.name)} SET`;
  return [
    ...(column.storage ? [`${alter} STORAGE ${column.storage}`] : []),
    ...(column.compression ? [`${alter} COMPRESSION ${column.compression}`] : []),
  ];
}

/** Statistics targets and the like, which every relation has for itself. */
export function columnStatisticsSql(relation: string, column: ColumnShape): string[] {
  const alter = `ALTER TABLE ${relation} ALTER COLUMN ${quoteIdentifier(column.name)} SET`;
  return [
    ...(column.statisticsTarget === null ? [] : [`${alter} STATISTICS ${column.statisticsTarget}`]),
    ...(column.options.length > 0 ? [`${alter} (${optionList(column.options)})`] : []),
  ];
}

/** `a=1,b=x y` as SQL: `a = '1', b = 'x y'`. */
export function optionList(options: readonly string[]): string {
  return options
    .map((option) => {
      const at = option.indexOf('=');
      const name = option.slice(0, at).split('.').map(quoteIdentifier).join('.');
      return `${name} = ${quoteLiteral(option.slice(at + 1)).trim()}`;
    })
    .join(', ');
}

/** Owner, grants, row security and policies: each relation has its own, for statements name leaves too. */
export function accessSql(relation: string, shape: TableShape): string[] {
  return [
    `ALTER TABLE ${relation} OWNER TO ${quoteIdentifier(shape.owner)}`,
    ...grantsSql(relation, shape),
    ...rowSecuritySql(relation, shape),
    ...shape.policies.map(
      (policy) => `CREATE POLICY ${quoteIdentifier(policy.name)} ON ${relation} ${policy.definition}`,
    ),
  ];
}

export function rowSecuritySql(relation: string, shape: TableShape): string[] {
  return [
    ...(shape.rowSecurity ? [`ALTER TABLE ${relation} ENABLE ROW LEVEL SECURITY`] : []),
    ...(shape.forceRowSecurity ? [`ALTER TABLE ${relation} FORCE ROW LEVEL SECURITY`] : []),
  ];
}

export function grantsSql(relation: string, shape: TableShape): string[] {
  const statements: string[] = [];
  if (shape.grants !== null) {
    statements.push(`REVOKE ALL ON TABLE ${relation} FROM PUBLIC, ${quoteIdentifier(shape.owner)}`);
    statements.push(...shape.grants.map((grant) => grantSql(relation, grant, '')));
  }
  for (const column of shape.columns) {
    const list = ` (${quoteIdentifier(column.name)})`;
    statements.push(...(column.grants ?? []).map((grant) => grantSql(relation, grant, list)));
  }
  return statements;
}

/** Takes back what roles had before, so that grantsSql() starts from nothing. */
export function revokeAllSql(relation: string, before: TableShape, after: TableShape): string[] {
  const granted = [before.grants ?? [], ...before.columns.map((column) => column.grants ?? [])].flat();
  const roles = new Set([...granted.map((grant) => grant.grantee), null, before.owner]);
  const names = [...roles].map(granteeSql).join(', ');
  // Without an ACL the owner has everything, and that must come back.
  const owner = after.grants === null ? [`GRANT ALL ON TABLE ${relation} TO ${quoteIdentifier(after.owner)}`] : [];
  return [`REVOKE ALL ON TABLE ${relation} FROM ${names} CASCADE`, ...owner];
}

function grantSql(relation: string, grant: Grant, columns: string): string {
  const grantee = granteeSql(grant.grantee);
  return `GRANT ${grant.privilege}${columns} ON TABLE ${relation} TO ${grantee}${grant.grantable ? ' WITH GRANT OPTION' : ''}`;
}

/** A role, or PUBLIC. */
export function granteeSql(name: string | null): string {
  return name === null ? 'PUBLIC' : quoteIdentifier(name);
}

export function commentsSql(shape: TableShape): string[] {
  const name = quoteQualified(shape.schema, shape.name);
  const on = (object: string, comment: string | null) =>
    comment === null ? [] : [`COMMENT ON ${object} IS ${quoteLiteral(comment)}`];
  return [
    ...on(`TABLE ${name}`, shape.comment),
    ...shape.columns.flatMap((column) => on(`COLUMN ${name}.${quoteIdentifier(column.name)}`, column.comment)),
  ];
}
