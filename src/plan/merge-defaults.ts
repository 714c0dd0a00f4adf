import type { MergeWhenClause, Node } from '@pgsql/types';
import type { ColumnEntry } from '../catalog/snapshot.ts';
import { assert } from '../core/assert.ts';
import { unsupported } from '../core/errors.ts';
import { deparseChecked } from '../sql/deparse.ts';
import { parseStatements, type RawStatement } from '../sql/parse.ts';
import { columnRef, nameParts } from '../sql/walk.ts';
import { hasDefaults, mergeActions } from './change-checks.ts';
import { defaultSql } from './insert-rows.ts';
import type { Model } from './model.ts';

/**
 * MERGE that leaves columns to defaults which nodes do not have (sequences, now()): the source's rows get them as columns, computed once
 * on the coordinator, and INSERT names these. Null: there are none.
 */
export function withMergeDefaults(model: Model, node: Node): RawStatement | null {
  const { root } = model;
  const target = model.relations.find((item) => item.isTarget && item.block === root);
  const table = target?.table;
  if (root.kind !== 'merge' || !('MergeStmt' in node) || table?.distribution.kind !== 'distributed') return null;
  const { mergeWhenClauses = [], sourceRelation, returningClause } = root.node;
  const inserts = mergeActions(mergeWhenClauses).filter(({ commandType }) => commandType === 'CMD_INSERT');
  if (inserts.every((action) => hasDefaults(action, table))) return null;
  const refused = (what: string) =>
    unsupported('PH002', `MERGE into ${target!.name} with defaults that nodes do not have, and ${what}`);
  const source = root.from[1];
  if (!sourceRelation || !source || source.kind === 'join' || source.name === null)
    throw refused('a source without a name');
  const alias = source.name;
  const hasStar = (returningClause?.exprs ?? []).some(
    (item) =>
      'ResTarget' in item &&
      item.ResTarget.val !== undefined &&
      'ColumnRef' in item.ResTarget.val &&
      nameParts(item.ResTarget.val.ColumnRef.fields).at(-1) === null &&
      nameParts(item.ResTarget.val.ColumnRef.fields).at(-2) !== target!.name,
  );
  if (hasStar) throw refused('RETURNING all columns of the source');
  const drawn = table.columns.filter(({ default: { kind } }) => kind === 'sequence' || kind === 'volatile');
  const nameOf = (column: ColumnEntry) => `pgherd default ${column.attnum}`;
  const filled = mergeWhenClauses.map((each) => {
    const isInsert = 'MergeWhenClause' in each && each.MergeWhenClause.commandType === 'CMD_INSERT';
    return isInsert
      ? {
          MergeWhenClause: withValues(each.MergeWhenClause, table.columns, drawn, (column) =>
            columnRef(alias, nameOf(column)),
          ),
        }
      : each;
  });
  const statement: Node = {
    MergeStmt: {
      ...root.node,
      sourceRelation: {
        RangeSubselect: {
          alias: { aliasname: alias },
          subquery: {
            SelectStmt: {
              targetList: [
                { ResTarget: { val: { ColumnRef: { fields: [{ String: { sval: alias } }, { A_Star: {} }] } } } },
                ...drawn.map(
                  (column): Node => ({ ResTarget: { name: nameOf(column), val: expressionOf(defaultSql(column)) } }),
                ),
              ],
              fromClause: [sourceRelation],
              limitOption: 'LIMIT_OPTION_DEFAULT',
              op: 'SETOP_NONE',
            },
          },
        },
      },
      mergeWhenClauses: filled,
    },
  };
  const [again] = parseStatements(deparseChecked(statement));
  assert(again, 'what was written is a statement');
  return again;
}

function withValues(
  clause: MergeWhenClause,
  columns: readonly ColumnEntry[],
  drawn: readonly ColumnEntry[],
  drawnValue: (column: ColumnEntry) => Node,
): MergeWhenClause {
  const given = clause.values ?? [];
  const named = clause.targetList?.map((node) => ('ResTarget' in node ? (node.ResTarget.name ?? '') : ''));
  const names = named ?? columns.slice(0, given.length).map(({ name }) => name);
  const values = given.map((value, i) => {
    const column = 'SetToDefault' in value ? drawn.find(({ name }) => name === names[i]) : undefined;
    return column ? drawnValue(column) : value;
  });
  const added = drawn.filter(({ name }) => !names.includes(name));
  const isAlways = ({ name, default: own }: ColumnEntry) =>
    own.kind === 'sequence' &&
    own.identity === 'always' &&
    (!names.includes(name) || 'SetToDefault' in given[names.indexOf(name)]!);
  return {
    ...clause,
    ...(drawn.some(isAlways) ? { override: 'OVERRIDING_SYSTEM_VALUE' as const } : {}),
    targetList: [
      ...(clause.targetList ?? names.map((name): Node => ({ ResTarget: { name } }))),
      ...added.map(({ name }): Node => ({ ResTarget: { name } })),
    ],
    values: [...values, ...added.map(drawnValue)],
  };
}

function expressionOf(sql: string): Node {
  const [statement] = parseStatements(`SELECT ${sql}`);
  const select = statement && 'SelectStmt' in statement.node ? statement.node.SelectStmt : undefined;
  const [item] = select?.targetList ?? [];
  const value = item && 'ResTarget' in item ? item.ResTarget.val : undefined;
  assert(value, 'a default is an expression');
  return value;
}
