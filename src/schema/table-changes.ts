import { leafSchema } from '../catalog/snapshot.ts';
import { quoteIdentifier, quoteLiteral, quoteQualified } from '../sql/quote.ts';
import { type ColumnChanges, changeColumnsSql, retyped } from './column-changes.ts';
import {
  addIndexSql,
  addKeySql,
  addLookupSql,
  changeIndexSettingsSql,
  dropIndexSql,
  dropKeySql,
  renameIndexSql,
} from './node-index.ts';
import { holders, keyOf, type NodeTable, parentName, relationNames } from './node-relations.ts';
import {
  foreignKeySql,
  leafSchemaSql,
  replicaIdentitySql,
  runsOnNodes,
  statisticsSql,
  triggerSql,
} from './node-table.ts';
import { checkSql, grantsSql, optionList, revokeAllSql } from './relation-sql.ts';
import type { ConstraintShape, IndexShape, TableShape } from './table-shape.ts';
import { type DividedKeys, divideKeys, type GlobalKey } from './unique-keys.ts';

/**
 * The SQL that makes a table on a node follow a DDL statement which the coordinator has carried out: not the user's text,
 * but the difference between the shapes before and after. So all forms of DDL, cascades too, come to the same few changes,
 * and names that PostgreSQL chose are the same everywhere.
 */
export interface TableChanges {
  /** Runs before the changes of any table: drops what may stand in the way of another's. */
  readonly first: readonly string[];
  /** Names, columns, and what had to go. */
  readonly columns: readonly string[];
  /** Runs when new columns have their values. */
  readonly keys: readonly string[];
  /** Runs after the changes of all tables: what may need another's. */
  readonly last: readonly string[];
}

/** `after` is the table as it is to be; `before` its shape until now. */
export function changeTable(before: TableShape, after: NodeTable, columns: ColumnChanges): TableChanges {
  const was: NodeTable = { ...after, shape: before };
  const keys = { before: divideKeys(before, keyOf(after)), after: divideKeys(after.shape, keyOf(after)) };
  const retypedColumns = retyped(before, after.shape);
  const constraints = compare(keys.before.constraints, keys.after.constraints, (a, b) =>
    sameConstraint(a, b, retypedColumns),
  );
  return {
    // Of a table that was dropped the keys that reference it are gone already.
    first: constraints.gone.filter(isForeignKey).map((constraint) => dropConstraintSql(was, constraint, 'IF EXISTS ')),
    columns: [
      ...renameTableSql(before, after),
      ...dropSql(before, after, constraints.gone, keys),
      ...changeColumnsSql(before, after, columns),
      ...renameKeysSql(after, constraints.kept),
    ],
    keys: [
      ...constraints.added
        .filter((constraint) => constraint.type === 'c')
        .map((constraint) => addCheckSql(after, constraint)),
      ...constraints.kept.flatMap(([a, b]) => validateSql(after, a, b)),
      ...constraints.added
        .filter((constraint) => constraint.index)
        .flatMap((constraint) => addKeySql(after, constraint)),
      ...changeIndexesSql(after, keys, retypedColumns),
      ...settingsSql(before, after),
    ],
    last: [
      ...constraints.added.filter(isForeignKey).map((constraint) => foreignKeySql(parentName(after), constraint)),
      ...addedTriggersSql(before, after),
    ],
  };
}

interface Comparison<T> {
  readonly kept: readonly (readonly [T, T])[];
  readonly gone: readonly T[];
  readonly added: readonly T[];
}

function compare<T>(before: readonly T[], after: readonly T[], same: (a: T, b: T) => boolean): Comparison<T> {
  const kept = before.flatMap((a) => {
    const b = after.find((candidate) => same(a, candidate));
    return b === undefined ? [] : [[a, b] as const];
  });
  return {
    kept,
    gone: before.filter((a) => !kept.some(([left]) => left === a)),
    added: after.filter((b) => !kept.some(([, right]) => right === b)),
  };
}

/**
 * An object with the same OID was at most renamed or validated. PostgreSQL makes constraints anew when the type of one of
 * their columns changes: so it does on the node.
 */
function sameConstraint(a: ConstraintShape, b: ConstraintShape, retypedColumns: ReadonlySet<number>): boolean {
  if (a.type !== b.type) return false;
  if (a.oid === b.oid) {
    // A foreign key's copies on leaves cannot be renamed or changed.
    return a.type !== 'f' || (a.name === b.name && deferral(a) === deferral(b));
  }
  return a.name === b.name && (a.definition === b.definition || a.columns.some((attnum) => retypedColumns.has(attnum)));
}

function deferral(constraint: ConstraintShape): string {
  return /( DEFERRABLE( INITIALLY DEFERRED)?)?( NOT ENFORCED)?( NOT VALID)?$/
    .exec(constraint.definition)![0]
    .replace(' NOT VALID', '');
}

function isForeignKey(constraint: ConstraintShape): boolean {
  return constraint.type === 'f';
}

function sameIndex(a: IndexShape, b: IndexShape, retypedColumns: ReadonlySet<number>): boolean {
  return a.oid === b.oid || (a.name === b.name && (a.definition === b.definition || retypedColumns.size > 0));
}

function renameTableSql(before: TableShape, { shape, shards, schema }: NodeTable): string[] {
  const statements: string[] = [];
  if (before.schema !== shape.schema) {
    const moves = shards.map(
      (shard) => [leafSchema(shard.index, before.schema), leafSchema(shard.index, shape.schema)] as const,
    );
    for (const shard of shards) statements.push(...leafSchemaSql(shard.index, schema));
    for (const [from, to] of [...moves, [before.schema, shape.schema] as const]) {
      statements.push(`ALTER TABLE ${quoteQualified(from, before.name)} SET SCHEMA ${quoteIdentifier(to)}`);
    }
  }
  if (before.name !== shape.name) {
    for (const schemaName of [...shards.map((shard) => leafSchema(shard.index, shape.schema)), shape.schema]) {
      statements.push(
        `ALTER TABLE ${quoteQualified(schemaName, before.name)} RENAME TO ${quoteIdentifier(shape.name)}`,
      );
    }
  }
  return statements;
}

interface KeyPair {
  readonly before: DividedKeys;
  readonly after: DividedKeys;
}

/** The table has its new name by now, but nothing else. */
function dropSql(
  before: TableShape,
  after: NodeTable,
  goneConstraints: readonly ConstraintShape[],
  keys: KeyPair,
): string[] {
  const retypedColumns = retyped(before, after.shape);
  const indexes = compare(keys.before.indexes, keys.after.indexes, (a, b) => sameIndex(a, b, retypedColumns));
  const lookups = compare(lookupsOf(keys.before), lookupsOf(keys.after), sameLookup);
  const relations = relationNames(after);
  return [
    // A dropped table has taken the policies that read it along.
    ...goneBy(before.policies, after.shape.policies).flatMap(({ name }) =>
      relations.map((relation) => `DROP POLICY IF EXISTS ${quoteIdentifier(name)} ON ${relation}`),
    ),
    ...goneBy(before.triggers, after.shape.triggers)
      .filter((trigger) => runsOnNodes(after, trigger))
      .map(({ name }) => `DROP TRIGGER ${quoteIdentifier(name)} ON ${parentName(after)}`),
    ...goneBy(before.statistics, after.shape.statistics).map(({ schema, name }) =>
      dropStatisticsSql(before, after, schema, name),
    ),
    ...goneConstraints
      .filter((constraint) => constraint.type !== 'f')
      .flatMap((constraint) =>
        constraint.index ? dropKeySql(after, constraint) : [dropConstraintSql(after, constraint)],
      ),
    ...indexes.gone.flatMap((index) => dropIndexSql(after, index.name, index.valid)),
    ...lookups.gone.flatMap((lookup) => dropIndexSql(after, lookup.name)),
  ];
}

/** What is gone, or is to be made anew because its definition differs. */
function goneBy<T extends { readonly name: string }>(before: readonly T[], after: readonly T[]): T[] {
  const text = (value: T) => JSON.stringify(value);
  return before.filter((a) => !after.some((b) => text(a) === text(b)));
}

/** Statistics do not move with their table: those of the leaves are in the schemas of its old name. */
function dropStatisticsSql(before: TableShape, after: NodeTable, schema: string, name: string): string {
  const leaves = after.shards.map((shard) => quoteQualified(leafSchema(shard.index, before.schema), name));
  return `DROP STATISTICS ${[quoteQualified(schema, name), ...leaves].join(', ')}`;
}

function dropConstraintSql(table: NodeTable, { name }: ConstraintShape, condition = ''): string {
  return `ALTER TABLE ${parentName(table)} DROP CONSTRAINT ${condition}${quoteIdentifier(name)}`;
}

function addCheckSql(table: NodeTable, constraint: ConstraintShape): string {
  return `ALTER TABLE ${parentName(table)} ADD ${checkSql(constraint)}`;
}

function renameKeysSql(table: NodeTable, kept: readonly (readonly [ConstraintShape, ConstraintShape])[]): string[] {
  return kept
    .filter(([a, b]) => a.name !== b.name)
    .flatMap(([a, b]) =>
      a.index
        ? renameIndexSql(table, a.name, b.name, a.type !== 'x')
        : [
            `ALTER TABLE ${parentName(table)} RENAME CONSTRAINT ${quoteIdentifier(a.name)} TO ${quoteIdentifier(b.name)}`,
          ],
    );
}

function validateSql(table: NodeTable, a: ConstraintShape, b: ConstraintShape): string[] {
  if (a.validated || !b.validated || a.type === 'f') return [];
  return [`ALTER TABLE ${parentName(table)} VALIDATE CONSTRAINT ${quoteIdentifier(b.name)}`];
}

function changeIndexesSql(table: NodeTable, keys: KeyPair, retypedColumns: ReadonlySet<number>): string[] {
  const indexes = compare(keys.before.indexes, keys.after.indexes, (a, b) => sameIndex(a, b, retypedColumns));
  const lookups = compare(lookupsOf(keys.before), lookupsOf(keys.after), sameLookup);
  return [
    ...indexes.kept.flatMap(([a, b]) => [
      ...(a.name === b.name ? [] : renameIndexSql(table, a.name, b.name, true)),
      ...changeIndexSettingsSql(table, b.name, a, b),
    ]),
    ...lookups.kept.flatMap(([a, b]) => (a.name === b.name ? [] : renameIndexSql(table, a.name, b.name, true))),
    ...indexes.added.flatMap((index) => addIndexSql(table, index)),
    ...lookups.added.flatMap((lookup) => addLookupSql(table, lookup)),
  ];
}

interface Lookup {
  readonly oid: number;
  readonly name: string;
  readonly definition: string;
}

function lookupsOf(keys: DividedKeys): Lookup[] {
  return keys.lookups.map((lookup, i) => ({ ...lookup, oid: (keys.global[i] as GlobalKey).oid }));
}

function sameLookup(a: Lookup, b: Lookup): boolean {
  return a.oid === b.oid || (a.name === b.name && a.definition === b.definition);
}

/** Of the relations as wholes. */
function settingsSql(before: TableShape, table: NodeTable): string[] {
  const { shape } = table;
  const relations = relationNames(table);
  const alterAll = (change: string) => relations.map((relation) => `ALTER TABLE ${relation} ${change}`);
  const alterHolders = (change: string) => holders(table).map(({ relation }) => `ALTER TABLE ${relation} ${change}`);
  const statements: string[] = [];
  if (before.persistence !== shape.persistence)
    statements.push(...alterHolders(shape.persistence === 'u' ? 'SET UNLOGGED' : 'SET LOGGED'));
  statements.push(...optionsSql(before, shape).flatMap(alterHolders));
  if (before.replicaIdentity !== shape.replicaIdentity && shape.replicaIdentity !== 'i') {
    const changed = holders(table).flatMap(({ relation }) => replicaIdentitySql(relation, shape));
    statements.push(...(changed.length > 0 ? changed : alterHolders('REPLICA IDENTITY DEFAULT')));
  }
  if (before.owner !== shape.owner) statements.push(...alterAll(`OWNER TO ${quoteIdentifier(shape.owner)}`));
  if (before.rowSecurity !== shape.rowSecurity)
    statements.push(...alterAll(`${shape.rowSecurity ? 'ENABLE' : 'DISABLE'} ROW LEVEL SECURITY`));
  if (before.forceRowSecurity !== shape.forceRowSecurity) {
    statements.push(...alterAll(`${shape.forceRowSecurity ? 'FORCE' : 'NO FORCE'} ROW LEVEL SECURITY`));
  }
  if (grantsText(before) !== grantsText(shape)) {
    statements.push(
      ...relations.flatMap((relation) => [...revokeAllSql(relation, before, shape), ...grantsSql(relation, shape)]),
    );
  }
  if (before.comment !== shape.comment) {
    const comment = shape.comment === null ? 'NULL' : quoteLiteral(shape.comment);
    statements.push(`COMMENT ON TABLE ${parentName(table)} IS ${comment}`);
  }
  const policies = goneBy(shape.policies, before.policies);
  return [
    ...statements,
    ...goneBy(shape.statistics, before.statistics).flatMap((statistics) => statisticsSql(table, statistics)),
    ...policies.flatMap(({ name, definition }) =>
      relations.map((relation) => `CREATE POLICY ${quoteIdentifier(name)} ON ${relation} ${definition}`),
    ),
  ];
}

function grantsText(shape: TableShape): string {
  return JSON.stringify([shape.grants, shape.columns.map((column) => [column.attnum, column.grants])]);
}

function optionsSql(before: TableShape, after: TableShape): string[] {
  const gone = before.options.filter(
    (option) => !after.options.some((other) => optionName(other) === optionName(option)),
  );
  const changed = after.options.filter((option) => !before.options.includes(option));
  return [
    ...(gone.length > 0
      ? [`RESET (${gone.map((option) => optionName(option).split('.').map(quoteIdentifier).join('.')).join(', ')})`]
      : []),
    ...(changed.length > 0 ? [`SET (${optionList(changed)})`] : []),
  ];
}

function optionName(option: string): string {
  return option.slice(0, option.indexOf('='));
}

function addedTriggersSql(before: TableShape, table: NodeTable): string[] {
  return goneBy(table.shape.triggers, before.triggers)
    .filter((trigger) => runsOnNodes(table, trigger))
    .flatMap((trigger) => triggerSql(parentName(table), trigger));
}
