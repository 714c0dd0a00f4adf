import type { CatalogSnapshot, DistributedTable } from '../catalog/snapshot.ts';
import { unsupported } from '../core/errors.ts';
import { type ConstraintShape, columnsOf, type TableShape } from './table-shape.ts';

/** Of the referencing table: its own entry in the catalog need not exist yet. */
export interface Referencing {
  readonly shape: TableShape;
  /** null: a reference table. */
  readonly distribution: { readonly key: readonly number[]; readonly groupId: number } | null;
}

/**
 * PostgreSQL on the node can keep a foreign key when what it references is on the same node: the same shard, or a
 * reference table. Anything else is refused.
 */
export function checkForeignKeys(referencing: Referencing, snapshot: CatalogSnapshot): void {
  for (const constraint of referencing.shape.constraints) {
    if (constraint.type === 'f') checkForeignKey(referencing, constraint, snapshot);
  }
}

function checkForeignKey(
  { shape, distribution }: Referencing,
  constraint: ConstraintShape,
  snapshot: CatalogSnapshot,
): void {
  const reference = constraint.reference!;
  const own = reference.oid === shape.oid;
  const target = snapshot.relationsByOid.get(reference.oid);
  const refuse = (why: string) =>
    unsupported('PH010', `foreign key "${constraint.name}" of table "${shape.name}" cannot be kept: ${why}`);
  checkActions(constraint, distribution?.key ?? [], refuse);
  const referenced = own ? null : (target?.distributed ?? null);
  if (!own && referenced === null) throw refuse(`table "${target?.name ?? reference.oid}" is not distributed`);
  if (referenced?.distribution.kind === 'reference' || (own && distribution === null)) return;
  if (distribution === null) throw refuse(`reference tables cannot reference distributed table "${target?.name}"`);
  if (distribution.key.length === 0) throw refuse(`the rows of table "${shape.name}" are spread at random`);
  const { groupId, key } = own ? distribution : keyOf(referenced!);
  if (groupId !== distribution.groupId) throw refuse(`the tables are not co-located`);
  const joined = distribution.key.every((attnum, i) => {
    const at = constraint.columns.indexOf(attnum);
    return at >= 0 && reference.columns[at] === key[i];
  });
  if (!joined) throw refuse('it does not tie the distribution columns together');
}

function keyOf(table: DistributedTable): { groupId: number; key: readonly number[] } {
  const { distribution } = table;
  if (distribution.kind === 'reference') return { groupId: -1, key: [] };
  return { groupId: distribution.group.id, key: distribution.keys.map((column) => column.attnum) };
}

/** An action must not change the distribution column: the row would belong elsewhere. */
function checkActions(constraint: ConstraintShape, key: readonly number[], refuse: (why: string) => Error): void {
  const { onUpdate, onDelete, setColumns } = constraint.reference!;
  const touches = (columns: readonly number[]) => key.some((attnum) => columns.includes(attnum));
  const set = setColumns.length > 0 ? setColumns : constraint.columns;
  if (setActions.has(onDelete) && touches(set)) throw refuse('ON DELETE would change the distribution column');
  if ((onUpdate === 'c' || setActions.has(onUpdate)) && touches(constraint.columns)) {
    throw refuse('ON UPDATE would change the distribution column');
  }
}

const setActions: ReadonlySet<string> = new Set(['n', 'd']);

export function columnNames(shape: TableShape, attnums: readonly number[]): string[] {
  return columnsOf(shape, attnums).map((column) => column.name);
}
