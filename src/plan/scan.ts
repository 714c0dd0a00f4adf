import type { Node } from '@pgsql/types';
import { assert } from '../core/assert.ts';
import { walk } from '../sql/walk.ts';
import type { Block, Child } from './model.ts';
import type { Surroundings } from './surroundings.ts';

/** Files what the expressions of a block hold, and the blocks inside them. */
export function scan(value: unknown, block: Block, around: Surroundings, clause: 'on' | 'other' = 'other'): void {
  const nested = (query: Node): Block => around.analyzeQuery(query, { ...around, scopeParent: block, lock: null });
  const enter = (kind: string, fields: never): boolean | undefined => {
    switch (kind) {
      case 'SubLink': {
        const link = fields as Extract<Child, { via: 'sublink' }>['link'];
        assert(link?.subselect, 'a sublink has a query');
        walk(link.testexpr, enter);
        block.children.push({ via: 'sublink', link, clause, block: nested(link.subselect) });
        return false;
      }
      case 'SelectStmt':
        block.children.push({ via: 'sublink', link: null, clause, block: nested({ SelectStmt: fields }) });
        return false;
      case 'ColumnRef':
        block.columnRefs.push(fields);
        return false;
      case 'FuncCall':
        block.functions.push(fields);
        return true;
      case 'SQLValueFunction':
        block.sessionValues.push(fields);
        return true;
      case 'ParamRef':
        block.parameters.push(fields);
        return true;
      case 'TypeCast':
        block.casts.push(fields);
        return true;
      case 'A_Expr':
        block.operators.push(fields);
        return true;
      case 'ResTarget':
        block.targets.push(fields);
        return true;
      case 'CurrentOfExpr':
        block.currentOf = true;
        return true;
      default:
        return true;
    }
  };
  walk(value, enter);
}
