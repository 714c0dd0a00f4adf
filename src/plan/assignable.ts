import type { Node } from '@pgsql/types';
import type { ColumnEntry } from '../catalog/snapshot.ts';
import type { PlanContext } from './context.ts';
import { type InsertShape, isDefault } from './insert-shape.ts';
import type { Block } from './model.ts';
import { bind, blockOutputs, columnEntry } from './resolve.ts';
import { inferType } from './type-inference.ts';

const numbers = new Set([20, 21, 23, 700, 701, 1700]);
const dates = new Set([1082, 1114, 1184]);
const strings = new Set([25, 1042, 1043]);

/**
 * Whether PostgreSQL would surely assign all given values to their columns. Where rows travel, their values are cast explicitly,
 * which allows more than an assignment: integer to boolean, text to anything.
 */
export function isAssignable({ source, columns }: InsertShape, context: PlanContext): boolean {
  switch (source.kind) {
    case 'values':
      return source.rows.every((row) =>
        row.every((value, i) => isDefault(value) || fits(value, columns[i], null, context)),
      );
    case 'query': {
      const outputs = blockOutputs(source.block);
      const list = source.block.kind === 'select' ? (source.block.node.targetList ?? []) : [];
      if (outputs === null) return false;
      return outputs.every(({ bound }, i) => {
        const own = bound && columnEntry(bound);
        if (own) return isOfKind(own.typeOid, columns[i]);
        const item = outputs.length === list.length ? list[i] : undefined;
        const value = item && 'ResTarget' in item ? item.ResTarget.val : undefined;
        return value !== undefined && fits(value, columns[i], source.block, context);
      });
    }
    default:
      return true;
  }
}

function fits(value: Node, column: ColumnEntry | undefined, block: Block | null, context: PlanContext): boolean {
  // A literal is read as what the column is.
  if ('A_Const' in value && (value.A_Const.sval !== undefined || value.A_Const.isnull)) return true;
  const type = inferType(value, { context, bind: (ref) => (block ? bind(ref, block) : null) });
  return type !== null && isOfKind(type.typeOid, column);
}

/** Of the same type, or of a kind whose types are all assigned to each other; to strings everything is. */
function isOfKind(typeOid: number, column: ColumnEntry | undefined): boolean {
  if (column === undefined) return false;
  const { typeOid: to } = column;
  return typeOid === to || strings.has(to) || [numbers, dates].some((kind) => kind.has(typeOid) && kind.has(to));
}
