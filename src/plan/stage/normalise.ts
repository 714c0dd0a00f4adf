import type { Node, SelectStmt } from '@pgsql/types';
import { figureColumnName } from '../../sql/column-name.ts';
import { columnRef, mapNodes, nameParts } from '../../sql/walk.ts';
import { type Block, isInside, joinsOf, leavesOf, type Model, type SelectBlock } from '../model.ts';
import { expandStar, mergedColumns } from '../resolve.ts';
import { allBlocks, isUncorrelated } from '../sublink.ts';
import { changeTree, conditionsOf, conjunction, fromNodes } from './tree.ts';

/** Inner joins with ON as members of the FROM list, their conditions in WHERE: the same rows, and one form for what follows. */
export function flattenJoins(tree: Node): Node {
  return mapNodes<Node>(tree, (kind, fields: SelectStmt) => {
    if (kind !== 'SelectStmt') return undefined;
    const inner = Object.fromEntries(
      Object.entries(fields).map(([key, value]) => [key, flattenInside(value)]),
    ) as SelectStmt;
    if (!inner.fromClause) return { SelectStmt: inner };
    const conditions: Node[] = [];
    const fromClause = inner.fromClause.flatMap((node) => flattenItem(node, conditions));
    const whereClause = conjunction([...conditions, ...conditionsOf(inner.whereClause)]);
    return { SelectStmt: { ...inner, fromClause, ...(whereClause ? { whereClause } : {}) } };
  });
}

/** The arms of a set operation stand unwrapped. */
function flattenInside<T>(value: T): T {
  if (typeof value === 'object' && value !== null && 'op' in value && 'limitOption' in value) {
    const flat = flattenJoins({ SelectStmt: value as SelectStmt }) as { SelectStmt: SelectStmt };
    return flat.SelectStmt as T;
  }
  return flattenJoins(value as Node) as T;
}

function flattenItem(node: Node, conditions: Node[]): Node[] {
  if (!('JoinExpr' in node)) return [node];
  const { jointype, isNatural, usingClause, alias, larg, rarg, quals } = node.JoinExpr;
  const plain = (jointype ?? 'JOIN_INNER') === 'JOIN_INNER' && !isNatural && !usingClause && !alias;
  if (!plain || !larg || !rarg) return [node];
  const items = [...flattenItem(larg, conditions), ...flattenItem(rarg, conditions)];
  conditions.push(...conditionsOf(quals));
  return items;
}

/** A NATURAL JOIN as one with USING, or with nothing to compare; one at a time. null: there is none whose columns are known. */
export function nameJoinColumns(model: Model, tree: Node): Node | null {
  for (const block of model.blocks) {
    if (block.kind !== 'select') continue;
    const nodes = fromNodes(block);
    for (const join of joinsOf(block.from)) {
      const node = nodes.get(join);
      const columns = mergedColumns(join);
      if (!join.natural || columns === null || !node || !('JoinExpr' in node)) continue;
      const { isNatural: _, ...plain } = node.JoinExpr;
      const usingClause = columns.map((sval): Node => ({ String: { sval } }));
      const condition = columns.length > 0 ? { usingClause } : { quals: { A_Const: { boolval: { boolval: true } } } };
      return changeTree(tree, { nodes: new Map([[node.JoinExpr, { JoinExpr: { ...plain, ...condition } }]]) });
    }
  }
  return null;
}

/** `*` as the columns it stands for, and names for items whose name comes from their expression. null: nothing to do. */
export function nameOutputs(model: Model, tree: Node): Node | null {
  const queries = new Map<object, SelectStmt>();
  const existing = existsSelects(model);
  for (const block of model.blocks) {
    if (block.kind !== 'select' || existing.has(block)) continue;
    const { targetList = [] } = block.node;
    const list = targetList.flatMap((item) => namedTargets(item, block));
    if (list.length === targetList.length && list.every((item, i) => item === targetList[i])) continue;
    queries.set(block.node, { ...block.node, targetList: list });
  }
  return queries.size === 0 ? null : changeTree(tree, { queries });
}

function existsSelects(model: Model): ReadonlySet<Block> {
  const children = model.blocks.flatMap((block) => block.children);
  return new Set(
    children.flatMap((child) =>
      child.via === 'sublink' && child.link?.subLinkType === 'EXISTS_SUBLINK' ? [child.block] : [],
    ),
  );
}

function namedTargets(item: Node, block: SelectBlock): Node[] {
  if (!('ResTarget' in item) || !item.ResTarget.val || item.ResTarget.name !== undefined) return [item];
  const { val } = item.ResTarget;
  const fields = 'ColumnRef' in val ? nameParts(val.ColumnRef.fields) : [];
  if (fields.length === 0 || fields.at(-1) !== null)
    return [{ ResTarget: { ...item.ResTarget, name: figureColumnName(val) } }];
  const outputs = expandStar(fields, block);
  if (!outputs?.every(({ bound }) => bound?.item.name)) return [item];
  return outputs.map(({ name, bound }) => ({ ResTarget: { name, val: columnRef(bound!.item.name!, bound!.column) } }));
}

/** Views as the subqueries that they stand for. null: there is none. */
export function expandViews(model: Model, tree: Node): Node | null {
  const expanded = new Map<object, Node>();
  for (const { view, block, name } of model.views) {
    if (!view) continue;
    const alias = view.node.alias ?? { aliasname: name ?? '' };
    expanded.set(view.node, { RangeSubselect: { subquery: { SelectStmt: block.node as SelectStmt }, alias } });
  }
  return expanded.size === 0 ? null : replaceDeep(tree, expanded);
}

/** What takes a node's place may itself hold such nodes. */
function replaceDeep(tree: Node, replacements: ReadonlyMap<object, Node>): Node {
  return mapNodes<Node>(tree, (_, fields: never) => {
    const found = replacements.get(fields);
    return found ? replaceDeep(found, replacements) : undefined;
  });
}

/** A CTE that can be taken out of its WITH next: it reads no other one. */
export interface NextCte {
  readonly owner: Block;
  readonly block: Block;
  readonly name: string;
  /** As it stands in WITH. */
  readonly node: Node;
  /** It reads itself. */
  readonly isRecursive: boolean;
  /** Besides in itself. */
  readonly uses: number;
  /** The tree without it; `standIn` takes the place of each use, under the alias that the use has. */
  without(standIn: (alias: { aliasname: string; colnames?: Node[] }) => Node): Node;
}

/** null: there is none. A reason: it can't be taken out. */
export function nextCte(model: Model, tree: Node): NextCte | { readonly reason: string } | null {
  const owner = model.blocks.find((block) => block.children.some((child) => child.via === 'cte'));
  if (!owner) return null;
  const clause = 'withClause' in owner.node ? owner.node.withClause : undefined;
  const children = model.blocks.flatMap((block) => block.children.filter((child) => child.via === 'cte'));
  const names = children.map((child) => (child.via === 'cte' ? child.name : ''));
  const [first] = clause?.ctes ?? [];
  const cte = first && 'CommonTableExpr' in first ? first.CommonTableExpr : undefined;
  const child = owner.children.find((each) => each.via === 'cte' && each.name === cte?.ctename);
  if (!clause || !first || !cte || !child) return { reason: 'a recursive query' };
  const isRecursive = clause.recursive === true && readsCte(child.block, [cte.ctename ?? '']);
  const later = names.filter((name) => name !== cte.ctename);
  // With RECURSIVE it may read one that comes after it.
  if (clause.recursive && readsCte(child.block, later)) return { reason: 'a recursive query' };
  const clash = model.relations.some(({ node }) => node.schemaname === undefined && names.includes(node.relname ?? ''));
  if (clash || new Set(names).size < names.length)
    return { reason: 'a CTE that shares its name with another relation' };
  if (cte.search_clause || cte.cycle_clause || (!isRecursive && !isUncorrelated(child.block)))
    return { reason: 'a CTE of a form of its own' };
  const around = isRecursive ? model.blocks.filter((block) => !isInside(block, child.block)) : model.blocks;
  const uses = around.flatMap((block) =>
    block.from.flatMap(leavesOf).flatMap((leaf) => {
      if (leaf.kind !== 'other' || leaf.what !== 'cte' || !('RangeVar' in leaf.node)) return [];
      return leaf.node.RangeVar.relname === cte.ctename ? [leaf.node.RangeVar] : [];
    }),
  );
  return {
    ...{ owner, block: child.block, name: cte.ctename ?? '', node: first, isRecursive, uses: uses.length },
    without(standIn) {
      const replacements = new Map<object, Node>();
      for (const use of uses) {
        const { aliasname = cte.ctename ?? '', colnames = cte.aliascolnames } = use.alias ?? {};
        replacements.set(use, standIn({ aliasname, ...(colnames ? { colnames } : {}) }));
      }
      const rest = (clause.ctes ?? []).slice(1);
      const { withClause: _, ...fields } = owner.node as SelectStmt;
      const select = rest.length > 0 ? { ...fields, withClause: { ...clause, ctes: rest } } : fields;
      return changeTree(tree, { nodes: replacements, queries: new Map([[owner.node, select]]) });
    },
  };
}

function readsCte(block: Block, names: readonly string[]): boolean {
  const leaves = allBlocks(block).flatMap((each) => each.from.flatMap(leavesOf));
  return leaves.some((leaf) => {
    if (leaf.kind !== 'other' || leaf.what !== 'cte' || !('RangeVar' in leaf.node)) return false;
    return names.includes(leaf.node.RangeVar.relname ?? '');
  });
}
