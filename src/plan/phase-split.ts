import type { Node, SelectStmt } from '@pgsql/types';
import { figureColumnName } from '../sql/column-name.ts';
import { restate } from '../sql/restate.ts';
import { columnRef, fingerprint, mapNodes, nameParts } from '../sql/walk.ts';
import { analyze } from './analyze.ts';
import { askedTypes } from './asked-types.ts';
import type { PlanContext } from './context.ts';
import type { Hashed } from './locus.ts';
import type { Model, SelectBlock } from './model.ts';
import { type PhaseColumns, rowsHoleName } from './phase-columns.ts';
import { bind, expandStar } from './resolve.ts';
import { type InferredType, inferType, type Scope } from './type-inference.ts';

/** A SELECT in two parts: what each node computes, and what the coordinator makes of it. */
export interface Split {
  readonly fragment: SelectStmt;
  readonly final: SelectStmt;
}

export interface PhaseQuestion {
  readonly model: Model;
  readonly block: SelectBlock;
  readonly locus: Hashed;
  readonly context: PlanContext;
  readonly scope: Scope;
  readonly columns: PhaseColumns;
}

/** A statement that can't be split says why by throwing this; it then goes down a rung. */
export class NotSplit extends Error {}

/** Expressions that mean the same have one identity, however their columns are qualified. FROM items have different names. */
export function identityOf(expression: Node, { block }: PhaseQuestion): string {
  const resolved = mapNodes(expression, (kind, fields: never) => {
    const bound = kind === 'ColumnRef' ? bind(fields, block) : null;
    return bound ? columnRef('column of', bound.item.name ?? '', bound.column) : undefined;
  });
  return fingerprint(resolved);
}

function typeOf(expression: Node, question: PhaseQuestion): InferredType {
  const { scope } = question;
  // A literal that nothing gives another type to is text.
  if ('A_Const' in expression && expression.A_Const.sval) return { typeOid: 25, typeName: 'text', collation: null };
  const type = inferType(expression, scope) ?? askedType(expression, question);
  if (!type) throw new NotSplit(`the type of "${figureColumnName(expression)}" is not known beforehand`);
  return type;
}

/** What the coordinator says of an expression over the block's FROM. Collations it doesn't tell, so none may be around. */
export function askedType(expression: Node, { block, model, context }: PhaseQuestion): InferredType | null {
  if (model.relations.some(({ relation }) => relation?.columns.some(({ collation }) => collation !== null)))
    return null;
  const statement = restate({
    SelectStmt: {
      ...{ targetList: [{ ResTarget: { name: 'c', val: expression } }], fromClause: block.node.fromClause ?? [] },
      ...{ limitOption: 'LIMIT_OPTION_DEFAULT', op: 'SETOP_NONE' },
    },
  });
  const [type] = askedTypes(analyze(statement.node, statement, context), context) ?? [];
  return type ? { typeOid: type.typeOid, typeName: type.typeName, collation: null } : null;
}

export function columnFor(expression: Node, question: PhaseQuestion): Node {
  return question.columns.add(expression, identityOf(expression, question), typeOf(expression, question));
}

export interface Target {
  readonly value: Node;
  /** As PostgreSQL names it. */
  readonly name: string;
}

/** The SELECT list with its stars expanded and every item named as PostgreSQL names it. */
export function targetsOf({ block }: PhaseQuestion): Target[] {
  return (block.node.targetList ?? []).flatMap((node): Target[] => {
    if (!('ResTarget' in node) || !node.ResTarget.val) throw new NotSplit('an odd SELECT list');
    const { val, name } = node.ResTarget;
    const fields = 'ColumnRef' in val ? nameParts(val.ColumnRef.fields) : [];
    if (fields.at(-1) !== null || fields.length === 0) return [{ value: val, name: name ?? figureColumnName(val) }];
    const outputs = expandStar(fields, block);
    if (!outputs) throw new NotSplit('the columns of * are not known beforehand');
    return outputs.map((output): Target => {
      if (!output.bound?.item.name) throw new NotSplit('a column of * is not known beforehand');
      return {
        value: columnRef(output.bound.item.name, output.bound.column),
        name: output.name,
      };
    });
  });
}

/** What a sort item stands for: an output by number or name, or an expression of its own. */
export function sortTarget(node: Node, targets: readonly Target[]): { target: Target | null; index: number } {
  const none = { target: null, index: -1 };
  if ('A_Const' in node && node.A_Const.ival) {
    const index = (node.A_Const.ival.ival ?? 0) - 1;
    const target = targets[index];
    if (!target) throw new NotSplit('ORDER BY position');
    return { target, index };
  }
  const names = 'ColumnRef' in node ? nameParts(node.ColumnRef.fields) : [];
  if (names.length !== 1) return none;
  const index = targets.findIndex(({ name }) => name === names[0]);
  if (targets.filter(({ name }) => name === names[0]).length > 1)
    throw new NotSplit('ORDER BY of a name that several outputs have');
  return index < 0 ? none : { target: targets[index]!, index };
}

export function sortBy(sort: Node) {
  if (!('SortBy' in sort) || !sort.SortBy.node || sort.SortBy.useOp) throw new NotSplit('ORDER BY … USING');
  return { ...sort.SortBy, node: sort.SortBy.node };
}

export function integer(value: number): Node {
  return value > 2_147_483_647
    ? { A_Const: { fval: { fval: String(value) } } }
    : { A_Const: { ival: value === 0 ? {} : { ival: value } } };
}

/** FROM of the final step: the rows of the motion. */
export const rowsFrom: Node[] = [{ RangeVar: { relname: rowsHoleName, inh: true, relpersistence: 'p' } }];
