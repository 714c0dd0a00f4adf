import type { Node, ResTarget } from '@pgsql/types';
import type { ColumnEntry } from '../catalog/snapshot.ts';
import { PgError, unsupported } from '../core/errors.ts';
import { tokenize } from '../sql/tokens.ts';
import { fingerprint, nameParts } from '../sql/walk.ts';
import type { Fact } from './facts.ts';
import type { RelationItem } from './model.ts';

/** The columns that SET clauses of an UPDATE, MERGE or ON CONFLICT assign. */
export function assignedColumns(targets: readonly Node[]): string[] {
  return targets.flatMap((target) => ('ResTarget' in target && target.ResTarget.name ? [target.ResTarget.name] : []));
}

/**
 * Assignments that a node would carry out otherwise than PostgreSQL does for the whole table: to the distribution column (but by an
 * UPDATE, which can move rows: `changesKey`), to identity columns, to defaults that nodes don't have.
 */
export function checkAssignments(targets: readonly Node[], item: RelationItem, facts: readonly Fact[]): void {
  if (item.block.kind !== 'update' && changesKey(targets, item, facts)) throw keyAssigned(item);
  for (const target of targets) {
    if (!('ResTarget' in target)) continue;
    const column = item.table?.columns.find(({ name }) => name === target.ResTarget.name);
    if (!column) continue;
    checkGeneratedKey(column, item);
    checkIdentity(column, target.ResTarget);
  }
}

/** Whether the distribution column may get another value. */
export function changesKey(targets: readonly Node[], item: RelationItem, facts: readonly Fact[]): boolean {
  const distribution = item.table?.distribution;
  if (distribution?.kind !== 'distributed') return false;
  return targets.some((target) => {
    if (!('ResTarget' in target)) return false;
    const { name, val } = target.ResTarget;
    const isKey = distribution.keys.some((key) => key.name === name);
    return isKey && (!val || !keepsValue(name ?? '', val, item, facts));
  });
}

function keyAssigned(item: RelationItem, column?: string): PgError {
  const name = column ?? (item.table?.distribution.kind === 'distributed' ? item.table.distribution.keys[0]?.name : '');
  return unsupported('PH006', `assigning "${name}" of ${item.table?.name}`, column ? { column } : {});
}

function checkGeneratedKey(column: ColumnEntry, item: RelationItem): void {
  const distribution = item.table?.distribution;
  if (distribution?.kind !== 'distributed') return;
  for (const { name } of distribution.keys) {
    const key = item.table?.columns.find((each) => each.name === name);
    if (key?.default.kind === 'generated' && mentions(key.default.expression, column.name))
      throw keyAssigned(item, column.name);
  }
}

/** `SET k = k`, `SET k = excluded.k`, or the very value that WHERE asks for. */
function keepsValue(name: string, value: Node, item: RelationItem, facts: readonly Fact[]): boolean {
  if ('ColumnRef' in value) {
    const names = nameParts(value.ColumnRef.fields);
    const qualifier = names.at(-2);
    const own = qualifier === undefined ? item.block.from.length === 1 : qualifier === item.name;
    return (
      names.at(-1) === name && names.length <= 2 && (own || (qualifier === 'excluded' && item.block.kind === 'insert'))
    );
  }
  const written = fingerprint(value);
  return facts.some(({ expression, columns }) => {
    if (!('A_Expr' in expression) || expression.A_Expr.kind !== 'AEXPR_OP') return false;
    const { lexpr, rexpr, name: operator } = expression.A_Expr;
    if (!lexpr || !rexpr || !('ColumnRef' in lexpr) || nameParts(operator).join('.') !== '=') return false;
    const bound = columns.get(lexpr.ColumnRef);
    const index = item.relation?.columns.findIndex((column) => column.name === name) ?? -1;
    return (
      bound?.item === item && bound.column === item.columns?.[index] && fingerprint(rexpr) === written && isValue(rexpr)
    );
  });
}

function isValue(node: Node): boolean {
  return 'ParamRef' in node || ('A_Const' in node && !node.A_Const.isnull);
}

function mentions(expression: string, name: string): boolean {
  const quoted = `"${name.replaceAll('"', '""')}"`;
  const bytes = (text: string) => Buffer.from(text).toString('latin1');
  return tokenize(bytes(expression)).some(({ text }) => text === bytes(name) || text === bytes(quoted));
}

/** Nodes hold identity columns as plain ones, without a sequence. */
function checkIdentity(column: ColumnEntry, { val }: ResTarget): void {
  const toDefault = val !== undefined && 'SetToDefault' in val;
  if (toDefault && (column.default.kind === 'sequence' || column.default.kind === 'volatile')) {
    throw unsupported('PH002', `SET "${column.name}" = DEFAULT, which nodes don't know`);
  }
  if (!toDefault && column.default.kind === 'sequence' && column.default.identity === 'always') {
    throw new PgError({
      ...{ severity: 'ERROR', code: '428C9', message: `column "${column.name}" can only be updated to DEFAULT` },
      detail: `Column "${column.name}" is an identity column defined as GENERATED ALWAYS.`,
    });
  }
}

/** ON CONFLICT DO UPDATE where the rows go to several nodes. */
export function checkConflictAction(item: RelationItem): void {
  if (item.block.kind !== 'insert') return;
  const clause = item.block.node.onConflictClause;
  if (clause?.action !== 'ONCONFLICT_UPDATE') return;
  checkAssignments(clause.targetList ?? [], item, []);
}
