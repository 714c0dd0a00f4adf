import type { ColumnRef, Node, RangeVar } from '@pgsql/types';
import { deparseExpression, fillHoles, holeName, holeNode } from '../sql/deparse.ts';
import { mapNodes, nameParts, walk } from '../sql/walk.ts';
import type { PlanContext } from './context.ts';
import {
  constantFunctions,
  isAggregate,
  isForeignOperator,
  isLookupCast,
  placementOf,
  sessionValueType,
} from './functions.ts';
import type { SqlPart, SqlTemplate } from './plan.ts';
import { type ConstantPool, parameterParts } from './rewrite.ts';

/** Whether an expression gives the same on a node as on the coordinator, now() and the like being constants. */
export function runsAnywhere(expression: Node, context: PlanContext): boolean {
  let fine = true;
  walk(expression, (kind, fields) => {
    if (kind === 'FuncCall') {
      const placement = placementOf(fields, context);
      fine &&= (placement === 'anywhere' || placement === 'constant') && !isAggregate(fields, context);
    } else if (kind === 'TypeCast') fine &&= !isLookupCast(fields);
    else if (kind === 'A_Expr') fine &&= !isForeignOperator(fields);
    else if (kind === 'SubLink' || kind === 'SelectStmt' || kind === 'GroupingFunc' || kind === 'CurrentOfExpr')
      fine = false;
    return fine;
  });
  return fine;
}

export interface FragmentNames {
  readonly context: PlanContext;
  readonly constants: ConstantPool;
  /** What a column reference is called in the fragment; null: as it is. */
  column(ref: ColumnRef): Node | null;
  /** What stands in a relation's place in FROM; null, or left out: its name. */
  rows?(range: RangeVar): SqlTemplate | null;
}

/** An expression of the statement as text of a fragment: columns renamed, parameters and constants as holes. */
export function fragmentExpression(expression: Node, names: FragmentNames): SqlTemplate {
  const { tree, holes } = withHoles(expression, names);
  return fillHoles<Exclude<SqlPart, string>>(deparseExpression(tree), holes);
}

/** The tree with hole nodes in it, and what each hole is. */
export function withHoles<T>(tree: T, names: FragmentNames): { tree: T; holes: SqlPart[][] } {
  const { context, constants } = names;
  const holes: SqlPart[][] = [];
  const hole = (parts: SqlPart[]): Node => holeNode(holes.push(parts) - 1);
  const constant = (node: Node, typeName: string) =>
    hole(['(', { constant: constants.add([deparseExpression(node)], typeName) }, ')']);
  const rangeHole = (range: RangeVar): Node | undefined => {
    const parts = names.rows?.(range);
    if (!parts) return undefined;
    const alias = range.alias ?? { aliasname: range.relname ?? '' };
    return { RangeVar: { relname: holeName(holes.push([...parts]) - 1), inh: true, relpersistence: 'p', alias } };
  };
  const mapped = mapNodes(tree, (kind, fields: never) => {
    if (kind === 'ColumnRef') return names.column(fields) ?? undefined;
    if (kind === 'RangeVar') return rangeHole(fields);
    if (kind === 'ParamRef') return hole(parameterParts((fields as { number?: number }).number ?? 0, context));
    if (kind === 'SQLValueFunction') return constant({ SQLValueFunction: fields }, sessionValueType(fields));
    if (kind === 'FuncCall' && placementOf(fields, context) === 'constant') {
      const name = nameParts((fields as { funcname?: Node[] }).funcname).at(-1) ?? '';
      return constant({ FuncCall: fields }, constantFunctions[name] ?? 'text');
    }
    return undefined;
  });
  return { tree: mapped, holes };
}
