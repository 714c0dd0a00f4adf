import { quoteIdentifier, quoteQualified } from '../sql/quote.ts';
import { holders, keyOf, type NodeTable, parentName } from './node-relations.ts';
import { checkSql, optionList } from './relation-sql.ts';
import type { ConstraintShape, IndexDetails, IndexShape } from './table-shape.ts';
import { divideKeys } from './unique-keys.ts';

/**
 * Keys and indexes of a table on a node. Each leaf's index has the name that the index has on the shell (leaves have a
 * schema of their own), so that errors name what the user knows; the parent's index only holds them together.
 */

/** Part two of making a table: see node-table.ts. */
export function nodeKeysSql(table: NodeTable): string[] {
  const { constraints, indexes, lookups } = divideKeys(table.shape, keyOf(table));
  return [
    ...constraints.filter((constraint) => constraint.index).flatMap((constraint) => addKeySql(table, constraint)),
    ...indexes.flatMap((index) => addIndexSql(table, index)),
    ...lookups.flatMap((lookup) => addLookupSql(table, lookup)),
    ...table.shape.constraints
      .filter((constraint) => constraint.type === 'c' && !constraint.validated)
      .map((constraint) => `ALTER TABLE ${parentName(table)} ADD ${checkSql(constraint)}`),
  ];
}

/** The same for leaves that are not attached yet; the parent has its indexes already. */
export function nodeKeysOfLeafSql(table: NodeTable): string[] {
  const { constraints, indexes, lookups } = divideKeys(table.shape, keyOf(table));
  return [
    ...constraints.filter((constraint) => constraint.index).flatMap((constraint) => keyOnHoldersSql(table, constraint)),
    ...indexes.flatMap((index) => [...indexOnHoldersSql(table, index), ...indexFlagsSql(table, index.name, index)]),
    ...lookups.flatMap((lookup) => indexOnHoldersSql(table, { ...lookup, unique: false })),
  ];
}

/** PRIMARY KEY and UNIQUE; an exclusion constraint stands on the leaves alone, which is enough when it has the key in it. */
export function addKeySql(table: NodeTable, constraint: ConstraintShape): string[] {
  const onParent = `ALTER TABLE ONLY ${parentName(table)} ${addConstraint(constraint)}`;
  const held = table.group === null || constraint.type === 'x';
  return [...keyOnHoldersSql(table, constraint), ...(held ? [] : [onParent, ...attachSql(table, constraint.name)])];
}

function keyOnHoldersSql(table: NodeTable, constraint: ConstraintShape): string[] {
  const { options } = constraint.index!;
  const added = holders(table).flatMap(({ relation, schema }) => [
    `ALTER TABLE ${relation} ${addConstraint(constraint)}`,
    ...(options.length > 0
      ? [`ALTER INDEX ${quoteQualified(schema, constraint.name)} SET (${optionList(options)})`]
      : []),
  ]);
  return [...added, ...indexFlagsSql(table, constraint.name, constraint.index!)];
}

function addConstraint(constraint: ConstraintShape): string {
  return `ADD CONSTRAINT ${quoteIdentifier(constraint.name)} ${constraint.definition}`;
}

export function addIndexSql(table: NodeTable, index: IndexShape): string[] {
  return [...indexEverywhereSql(table, index), ...indexFlagsSql(table, index.name, index)];
}

/** Stands for a unique key that only a global unique index can keep, so that lookups by it stay fast. */
export function addLookupSql(
  table: NodeTable,
  lookup: { readonly name: string; readonly definition: string },
): string[] {
  return indexEverywhereSql(table, { ...lookup, unique: false });
}

interface PlainIndex {
  readonly name: string;
  readonly definition: string;
  readonly unique: boolean;
}

function indexEverywhereSql(table: NodeTable, index: PlainIndex): string[] {
  if (table.group === null) return indexOnHoldersSql(table, index);
  return [
    ...indexOnHoldersSql(table, index),
    `${createIndex(index)} ON ONLY ${parentName(table)} ${index.definition}`,
    ...attachSql(table, index.name),
  ];
}

function indexOnHoldersSql(table: NodeTable, index: PlainIndex): string[] {
  return holders(table).map(({ relation }) => createIndexSql(index, relation));
}

export function createIndexSql(index: PlainIndex & { readonly concurrently?: true }, relation: string): string {
  return `${createIndex(index)} ON ${relation} ${index.definition}`;
}

/** The parent's index over those that its leaves have already. Again and again the same. */
export function attachIndexSql(table: NodeTable, index: PlainIndex): string[] {
  const onParent = createIndex(index).replace(' INDEX ', ' INDEX IF NOT EXISTS ');
  return [`${onParent} ON ONLY ${parentName(table)} ${index.definition}`, ...attachSql(table, index.name)];
}

function createIndex({ name, unique, concurrently }: PlainIndex & { readonly concurrently?: true }): string {
  return `CREATE ${unique ? 'UNIQUE ' : ''}INDEX ${concurrently ? 'CONCURRENTLY ' : ''}${quoteIdentifier(name)}`;
}

function attachSql(table: NodeTable, name: string): string[] {
  const parent = quoteQualified(table.shape.schema, name);
  return holders(table).map(({ schema }) => `ALTER INDEX ${parent} ATTACH PARTITION ${quoteQualified(schema, name)}`);
}

function indexFlagsSql(table: NodeTable, name: string, { clustered, replicaIdentity }: IndexDetails): string[] {
  return holders(table).flatMap(({ relation }) => [
    ...(clustered ? [`ALTER TABLE ${relation} CLUSTER ON ${quoteIdentifier(name)}`] : []),
    ...(replicaIdentity ? [`ALTER TABLE ${relation} REPLICA IDENTITY USING INDEX ${quoteIdentifier(name)}`] : []),
  ]);
}

export function dropKeySql(table: NodeTable, constraint: ConstraintShape): string[] {
  const relations = constraint.type === 'x' ? holders(table).map((holder) => holder.relation) : [parentName(table)];
  return relations.map((relation) => `ALTER TABLE ${relation} DROP CONSTRAINT ${quoteIdentifier(constraint.name)}`);
}

/** Of an invalid index nobody knows how much of it there is. */
export function dropIndexSql(table: NodeTable, name: string, valid = true): string[] {
  const onParent = quoteQualified(table.shape.schema, name);
  if (valid) return [`DROP INDEX ${onParent}`];
  const schemas = holders(table).map(({ schema }) => quoteQualified(schema, name));
  return [onParent, ...schemas].map((index) => `DROP INDEX IF EXISTS ${index}`);
}

/** Renames a constraint's index with the constraint. An exclusion constraint has no index on the parent. */
export function renameIndexSql(table: NodeTable, from: string, to: string, onParent: boolean): string[] {
  const schemas = holders(table).map((holder) => holder.schema);
  if (onParent && table.group !== null) schemas.unshift(table.shape.schema);
  return schemas.map((schema) => `ALTER INDEX ${quoteQualified(schema, from)} RENAME TO ${quoteIdentifier(to)}`);
}

export function changeIndexSettingsSql(
  table: NodeTable,
  name: string,
  before: IndexDetails,
  after: IndexDetails,
): string[] {
  const statements: string[] = [];
  if (before.options.join() !== after.options.join()) {
    const names = before.options.map((option) => quoteIdentifier(option.split('=')[0]!)).join(', ');
    for (const { schema } of holders(table)) {
      const alter = `ALTER INDEX ${quoteQualified(schema, name)}`;
      if (before.options.length > 0) statements.push(`${alter} RESET (${names})`);
      if (after.options.length > 0) statements.push(`${alter} SET (${optionList(after.options)})`);
    }
  }
  if (before.clustered && !after.clustered) {
    statements.push(...holders(table).map(({ relation }) => `ALTER TABLE ${relation} SET WITHOUT CLUSTER`));
  }
  return [
    ...statements,
    ...indexFlagsSql(table, name, {
      ...after,
      clustered: after.clustered && !before.clustered,
      replicaIdentity: after.replicaIdentity && !before.replicaIdentity,
    }),
  ];
}
