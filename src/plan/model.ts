import type {
  A_Expr,
  ColumnRef,
  DeleteStmt,
  FuncCall,
  InsertStmt,
  LockingClause,
  MergeStmt,
  Node,
  ParamRef,
  RangeSubselect,
  RangeTableSample,
  RangeVar,
  ResTarget,
  SelectStmt,
  SQLValueFunction,
  SubLink,
  TypeCast,
  UpdateStmt,
} from '@pgsql/types';
import type { DistributedTable, RelationEntry } from '../catalog/snapshot.ts';
import type { SqlSource } from '../sql/source.ts';
import type { PlanEdit } from './edits.ts';
import type { SqlTemplate } from './plan.ts';

/*
 * A statement as the planner sees it: query blocks, each with what its FROM yields, the expressions that belong to it and
 * the blocks nested in it. The tree itself is never changed; everything here points into it.
 */

export interface Model {
  readonly source: SqlSource;
  readonly root: Block;
  /** All blocks, views expanded, parents first. */
  readonly blocks: readonly Block[];
  /** Every use of a relation, in any block. */
  readonly relations: readonly RelationItem[];
  /** Views that are replaced by their definitions. */
  readonly views: readonly QueryItem[];
  /** Parts of the text that have become something else, whatever is made of the rest. */
  readonly edits?: readonly PlanEdit[];
  /** OIDs of relations that change before the statement's last step: what it reads of them travels before that. */
  readonly readsBefore?: ReadonlySet<number>;
  /** The statement for the coordinator to check types in, where the text is not what the client wrote. */
  readonly asWritten?: SqlTemplate;
}

interface BlockParts {
  readonly source: SqlSource;
  /** Where a name goes that this block doesn't know. */
  readonly scopeParent: Block | null;
  readonly from: FromItem[];
  readonly where: Node | null;
  readonly children: Child[];
  readonly columnRefs: ColumnRef[];
  readonly functions: FuncCall[];
  readonly sessionValues: SQLValueFunction[];
  readonly parameters: ParamRef[];
  readonly casts: TypeCast[];
  readonly operators: A_Expr[];
  /** Unnamed items of SELECT lists and RETURNING: their names come from the expression. */
  readonly targets: ResTarget[];
  /** WHERE CURRENT OF is somewhere in it. */
  currentOf: boolean;
}

export type Block = BlockParts &
  (
    | { readonly kind: 'select'; readonly node: SelectStmt }
    | { readonly kind: 'set operation'; readonly node: SelectStmt }
    | { readonly kind: 'values'; readonly node: SelectStmt }
    | { readonly kind: 'insert'; readonly node: InsertStmt }
    | { readonly kind: 'update'; readonly node: UpdateStmt }
    | { readonly kind: 'delete'; readonly node: DeleteStmt }
    | { readonly kind: 'merge'; readonly node: MergeStmt }
  );

export type SelectBlock = Extract<Block, { kind: 'select' }>;

/** How a block hangs in another one. */
export type Child = { readonly block: Block } & (
  | { readonly via: 'sublink'; readonly link: SubLink | null; readonly clause: 'on' | 'other' }
  | { readonly via: 'cte'; readonly name: string }
  | { readonly via: 'arm' }
  | { readonly via: 'insert source' }
  | { readonly via: 'from' }
);

export type RelationRole = 'distributed' | 'reference' | 'virtual' | 'local';

export interface RelationItem {
  readonly kind: 'relation';
  readonly node: RangeVar;
  readonly block: Block;
  /** The name its columns are qualified with. */
  readonly name: string;
  readonly role: RelationRole;
  /** null: a system catalog, a temporary table, or nothing at all. */
  readonly relation: RelationEntry | null;
  readonly table: DistributedTable | null;
  /** Column names as the statement sees them (after an alias's column list), in the relation's order. */
  readonly columns: readonly string[] | null;
  readonly sample: RangeTableSample | null;
  readonly lock: LockingClause | null;
  /** The table that the statement changes. */
  readonly isTarget: boolean;
  /** A view over what is not the coordinator's alone is changed. */
  readonly isChangedView?: true;
}

/** A subquery in FROM, or an expanded view. */
export interface QueryItem {
  readonly kind: 'query';
  readonly block: Block;
  readonly owner: Block;
  readonly name: string | null;
  readonly aliasColumns: readonly string[];
  readonly lateral: boolean;
  readonly view: { readonly node: RangeVar; readonly relation: RelationEntry } | null;
  readonly node: RangeSubselect | null;
}

/** What FROM holds besides: a reference to a CTE, a function, XMLTABLE, JSON_TABLE. */
export interface OtherItem {
  readonly kind: 'other';
  readonly what: 'cte' | 'function';
  readonly name: string | null;
  readonly node: Node;
}

export interface JoinItem {
  readonly kind: 'join';
  readonly type: 'inner' | 'left' | 'right' | 'full';
  readonly left: FromItem;
  readonly right: FromItem;
  readonly on: Node | null;
  readonly using: readonly string[];
  readonly natural: boolean;
  /** With an alias it hides the names inside. */
  readonly name: string | null;
  readonly renamesColumns: boolean;
  /** `USING (…) AS name`: the merged columns go by it too. */
  readonly usingName: string | null;
}

export type LeafItem = RelationItem | QueryItem | OtherItem;
export type FromItem = LeafItem | JoinItem;

export function leavesOf(item: FromItem): LeafItem[] {
  return item.kind === 'join' ? [...leavesOf(item.left), ...leavesOf(item.right)] : [item];
}

export function isChange(block: Block): boolean {
  return block.kind === 'insert' || block.kind === 'update' || block.kind === 'delete' || block.kind === 'merge';
}

/** Whether a block is another one, or nested in it in any way. */
export function isInside(block: Block, outer: Block): boolean {
  return block === outer || outer.children.some((child) => isInside(block, child.block));
}

/** The FROM items of joins too, outermost first. */
export function joinsOf(items: readonly FromItem[]): JoinItem[] {
  return items.flatMap((item) => (item.kind === 'join' ? [item, ...joinsOf([item.left, item.right])] : []));
}
