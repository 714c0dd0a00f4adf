import type { DistributedTable } from './snapshot.ts';

/** A foreign key between tables of which no single server has all rows: the router keeps it (DESIGN 6). */
export interface KeptForeignKey {
  /** OID of the constraint on the coordinator. */
  readonly oid: number;
  readonly name: string;
  /** OIDs of the referencing and the referenced table. */
  readonly child: number;
  readonly parent: number;
  /** Columns of both, side by side, and attribute numbers of them. */
  readonly childColumns: readonly string[];
  readonly parentColumns: readonly string[];
  readonly match: 'simple' | 'full';
  readonly onUpdate: ForeignKeyAction;
  readonly onDelete: ForeignKeyAction;
  /** Columns that ON DELETE SET … sets; empty: all. */
  readonly setColumns: readonly string[];
  readonly deferrable: boolean;
  readonly initiallyDeferred: boolean;
  readonly validated: boolean;
}

/** As in `pg_constraint.confdeltype`: no action, restrict, cascade, set null, set default. */
export type ForeignKeyAction = 'a' | 'r' | 'c' | 'n' | 'd';

/** One side of a foreign key, as far as it matters where its rows are. */
export type KeySide =
  | { readonly kind: 'local' | 'reference' }
  | {
      readonly kind: 'distributed';
      readonly groupId: number;
      /** All rows are in one shard. */
      readonly oneShard: boolean;
      readonly key: readonly number[];
    };

export interface KeyTie {
  readonly child: KeySide;
  readonly parent: KeySide;
  /** Attribute numbers, side by side. */
  readonly childColumns: readonly number[];
  readonly parentColumns: readonly number[];
  readonly onUpdate: string;
  readonly onDelete: string;
  readonly setColumns: readonly number[];
  readonly validated: boolean;
}

export function sideOf(table: DistributedTable | null | undefined): KeySide {
  const distribution = table?.distribution;
  if (!distribution) return { kind: 'local' };
  if (distribution.kind === 'reference') return { kind: 'reference' };
  const { group, keys } = distribution;
  const key = keys.map(({ attnum }) => attnum);
  return { kind: 'distributed', groupId: group.id, oneShard: group.shards.length === 1, key };
}

/**
 * Whether PostgreSQL keeps it by itself: what a row references is always on the same server, and no action changes where a
 * row belongs. (Partitioned tables have no NOT VALID foreign keys before PostgreSQL 18.)
 */
export function isKeptByServers(tie: KeyTie): boolean {
  const { child, parent, validated } = tie;
  if (child.kind === 'distributed' && !validated) return false;
  if (parent.kind === 'reference') return child.kind !== 'distributed' || !movesRows(tie, child.key);
  if (child.kind !== 'distributed') return child.kind === 'local' && parent.kind === 'local';
  if (parent.kind !== 'distributed' || parent.groupId !== child.groupId) return false;
  if (child.oneShard && parent.oneShard) return true;
  // A table that is spread at random has no distribution column.
  if (child.key.length === 0 || child.key.length !== parent.key.length) return false;
  const tied = child.key.every((attnum, i) => {
    const at = tie.childColumns.indexOf(attnum);
    return at >= 0 && tie.parentColumns[at] === parent.key[i];
  });
  return tied && !movesRows(tie, child.key);
}

const setActions: ReadonlySet<string> = new Set(['n', 'd']);

function movesRows({ childColumns, onUpdate, onDelete, setColumns }: KeyTie, key: readonly number[]): boolean {
  const touches = (columns: readonly number[]) => key.some((attnum) => columns.includes(attnum));
  const set = setColumns.length > 0 ? setColumns : childColumns;
  if (setActions.has(onDelete) && touches(set)) return true;
  return (onUpdate === 'c' || setActions.has(onUpdate)) && touches(childColumns);
}
