import type { Node } from '@pgsql/types';
import { quoteIdentifier } from '../sql/quote.ts';
import { columnRef } from '../sql/walk.ts';
import type { MotionColumn } from './plan.ts';
import type { InferredType } from './type-inference.ts';
import { isTextual } from './type-name.ts';

/** What the rows of the fragment are called in the final step. */
export const rowsName = 'pgherd_rows';

/** Where they stand in the final step's tree: its first hole (see holeNode). */
export const rowsHoleName = 'pgherd hole 0';

/** The columns that a fragment yields, filled one by one while its statement is taken apart. */
export interface PhaseColumns {
  readonly motion: readonly MotionColumn[];
  /** The fragment's SELECT list. */
  targets(): Node[];
  /** The column of an expression in the final step; the same expression has one column. */
  add(expression: Node, identity: string, type: InferredType): Node;
  /** `(SELECT c0::numeric(12,2) AS c0, … FROM`: the rows in their own types and collations. */
  arrivalHead(): string;
}

export function createPhaseColumns(): PhaseColumns {
  const expressions: Node[] = [];
  const motion: MotionColumn[] = [];
  const identities: string[] = [];
  return {
    motion,
    targets() {
      return expressions.map((expression, i): Node => {
        const { name, viaText } = motion[i]!;
        const typeName = { names: [{ String: { sval: 'text' } }], typemod: -1 };
        return { ResTarget: { name, val: viaText ? { TypeCast: { arg: expression, typeName } } : expression } };
      });
    },
    add(expression, identity, type) {
      const known = identities.indexOf(identity);
      if (known >= 0) return columnRef(rowsName, `c${known}`);
      const name = `c${identities.push(identity) - 1}`;
      expressions.push(expression);
      const { typeOid, typeName, collation } = type;
      motion.push({ name, typeOid, typeName, collation, viaText: isTextual(typeOid, typeName) });
      return columnRef(rowsName, name);
    },
    arrivalHead() {
      const list = motion.map(({ name, typeName, collation, viaText }) => {
        const cast = viaText || typeName.includes('(') ? `::${typeName}` : '';
        return `${quoteIdentifier(name)}${cast}${collation === null ? '' : ` COLLATE ${collation}`} AS ${quoteIdentifier(name)}`;
      });
      return `(SELECT ${list.join(', ')} FROM `;
    },
  };
}
