import { isKeptByServers, type KeySide, sideOf } from '../catalog/foreign-key.ts';
import type { CatalogSnapshot } from '../catalog/snapshot.ts';
import { type ConstraintShape, columnsOf, type TableShape } from './table-shape.ts';

/** The table without the foreign keys that the router keeps: nodes have none of these. */
export function withServersKeys(shape: TableShape, snapshot: CatalogSnapshot): TableShape {
  const own = sideOf(snapshot.relationsByOid.get(shape.oid)?.distributed);
  const constraints = shape.constraints.filter(
    (constraint) => constraint.type !== 'f' || isNodes(shape, own, constraint, snapshot),
  );
  return constraints.length === shape.constraints.length ? shape : { ...shape, constraints };
}

function isNodes(shape: TableShape, child: KeySide, constraint: ConstraintShape, snapshot: CatalogSnapshot): boolean {
  const reference = constraint.reference!;
  const parent = reference.oid === shape.oid ? child : sideOf(snapshot.relationsByOid.get(reference.oid)?.distributed);
  return isKeptByServers({
    ...{ child, parent, childColumns: constraint.columns, parentColumns: reference.columns },
    ...{ onUpdate: reference.onUpdate, onDelete: reference.onDelete, setColumns: reference.setColumns },
    validated: constraint.validated,
  });
}

export function columnNames(shape: TableShape, attnums: readonly number[]): string[] {
  return columnsOf(shape, attnums).map((column) => column.name);
}
