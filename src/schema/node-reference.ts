import { quoteIdentifier, quoteQualified } from '../sql/quote.ts';
import { guardReferenceSql } from './guard.ts';
import { createStatisticsSql, replicaIdentitySql, triggerSql } from './node-table.ts';
import {
  accessSql,
  checkSql,
  columnSql,
  columnStatisticsSql,
  columnStorageSql,
  commentsSql,
  optionList,
} from './relation-sql.ts';
import type { ConstraintShape, IndexShape, TableShape } from './table-shape.ts';

/** A reference table on a node, without its rows. */
export function createReferenceSql(shape: TableShape): string[] {
  const name = quoteQualified(shape.schema, shape.name);
  const checks = shape.constraints.filter(isEarly);
  const elements = [...shape.columns.map((column) => columnSql(column, false)), ...checks.map(checkSql)];
  const unlogged = shape.persistence === 'u' ? 'UNLOGGED ' : '';
  const options = shape.options.length > 0 ? ` WITH (${optionList(shape.options)})` : '';
  return [
    `CREATE ${unlogged}TABLE ${name} (${elements.join(', ')})${options}`,
    ...shape.columns.flatMap((column) => [...columnStorageSql(name, column), ...columnStatisticsSql(name, column)]),
  ];
}

/** Keys and indexes, built once the rows are there. */
export function referenceKeysSql(shape: TableShape): string[] {
  const later = shape.constraints.filter((constraint) => constraint.type !== 'f' && !isEarly(constraint));
  return [
    ...later.flatMap((constraint) => referenceConstraintSql(shape, constraint)),
    ...shape.indexes.flatMap((index) => referenceIndexSql(shape, index)),
  ];
}

/** What may need other tables to be there, and what watches over the finished table. */
export function referenceLinksSql(shape: TableShape): string[] {
  const name = quoteQualified(shape.schema, shape.name);
  return [
    ...shape.constraints
      .filter((constraint) => constraint.type === 'f')
      .flatMap((constraint) => referenceConstraintSql(shape, constraint)),
    ...replicaIdentitySql([name], shape),
    ...shape.triggers.filter(runsOnCopies).flatMap((trigger) => triggerSql(name, trigger)),
    ...shape.statistics.flatMap((statistics) =>
      createStatisticsSql(quoteQualified(statistics.schema, statistics.name), name, statistics),
    ),
    ...accessSql(name, shape),
    ...commentsSql(shape),
    ...guardReferenceSql(shape),
  ];
}

/** A valid CHECK costs nothing while rows are copied. */
function isEarly(constraint: ConstraintShape): boolean {
  return constraint.type === 'c' && constraint.validated;
}

/** A BEFORE row trigger makes the row what it is, on every copy; any other acts elsewhere, so on the coordinator alone. */
export function runsOnCopies(trigger: TableShape['triggers'][number]): boolean {
  return trigger.before && trigger.row;
}

export function referenceConstraintSql(shape: TableShape, constraint: ConstraintShape): string[] {
  const { index } = constraint;
  const name = quoteQualified(shape.schema, shape.name);
  const add = `ALTER TABLE ${name} ADD CONSTRAINT ${quoteIdentifier(constraint.name)} ${constraint.definition}`;
  if (!index) return [add];
  const indexName = quoteQualified(shape.schema, constraint.name);
  const options = index.options.length > 0 ? [`ALTER INDEX ${indexName} SET (${optionList(index.options)})`] : [];
  return [add, ...options, ...referenceIndexFlagsSql(name, constraint.name, index.clustered, index.replicaIdentity)];
}

export function referenceIndexSql(shape: TableShape, index: IndexShape): string[] {
  const name = quoteQualified(shape.schema, shape.name);
  return [
    `CREATE ${index.unique ? 'UNIQUE ' : ''}INDEX ${quoteIdentifier(index.name)} ON ${name} ${index.definition}`,
    ...referenceIndexFlagsSql(name, index.name, index.clustered, index.replicaIdentity),
  ];
}

function referenceIndexFlagsSql(relation: string, index: string, clustered: boolean, identity: boolean): string[] {
  return [
    ...(clustered ? [`ALTER TABLE ${relation} CLUSTER ON ${quoteIdentifier(index)}`] : []),
    ...(identity ? [`ALTER TABLE ${relation} REPLICA IDENTITY USING INDEX ${quoteIdentifier(index)}`] : []),
  ];
}
