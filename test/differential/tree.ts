import type { RowOrder } from '../oracle/compare.ts';

/**
 * A generated statement: text, with the places marked where it can be made simpler and stay a statement.
 * Shrinking knows nothing else about SQL: a variant that PostgreSQL refuses is not a reproduction and falls out.
 */
export type Tree = string | Sequence | Optional | List | Choice | Value | Select | SetOperation | Query;

export type Sequence = { readonly kind: 'sequence'; readonly parts: readonly Tree[] };
/** May be left out. */
export type Optional = { readonly kind: 'optional'; readonly part: Tree };
/** Any item may be left out as long as `min` remain. */
export type List = {
  readonly kind: 'list';
  readonly items: readonly Tree[];
  readonly separator: string;
  readonly min: number;
};
/** May be replaced by something simpler of the same type. */
export type Choice = { readonly kind: 'choice'; readonly current: Tree; readonly simpler: readonly Tree[] };
/** A literal in the simple protocol, a parameter in the extended one. Without `cast`, its type is left to inference. */
export type Value = {
  readonly kind: 'value';
  readonly text: string | null;
  readonly type: string;
  readonly cast: boolean;
};
export type Select = {
  readonly kind: 'select';
  readonly distinct: boolean;
  readonly items: readonly Tree[];
  /** From FROM to HAVING and WINDOW. */
  readonly rest: Tree;
};
export type SetOperation = {
  readonly kind: 'set';
  readonly operator: string;
  readonly left: Tree;
  readonly right: Tree;
};
export type Ordering = { readonly column: number; readonly direction: string };
export type Query = {
  readonly kind: 'query';
  readonly ctes: Tree;
  readonly core: Tree;
  readonly order: readonly Ordering[];
  /** A sort key before those, not among the output columns. Written only while the order is total. */
  readonly hiddenKey: Tree;
  /** DISTINCT ON the first output column: written only while the order is total and starts with it. */
  readonly distinctOnFirst: boolean;
  /** LIMIT and OFFSET: written only while the order is total, since otherwise any rows would be right. */
  readonly limit: Tree;
  readonly tail: Tree;
  /** An arm of a set operation. */
  readonly parentheses: boolean;
};

/** Joins text and trees: sql`a + ${b}`. */
export function sql(texts: TemplateStringsArray, ...trees: readonly Tree[]): Tree {
  const parts: Tree[] = [];
  for (const [index, text] of texts.entries()) {
    if (text !== '') parts.push(text);
    const tree = trees[index];
    if (tree !== undefined && tree !== '') parts.push(tree);
  }
  return parts.length === 1 ? parts[0]! : { kind: 'sequence', parts };
}

export function optional(part: Tree): Tree {
  return part === '' ? '' : { kind: 'optional', part };
}

export function list(items: readonly Tree[], separator: string, min = 1): Tree {
  return { kind: 'list', items, separator, min };
}

export function choice(current: Tree, ...simpler: readonly Tree[]): Tree {
  return { kind: 'choice', current, simpler };
}

export function select(items: readonly Tree[], rest: Tree, distinct = false): Tree {
  return { kind: 'select', items, rest, distinct };
}

export function query(core: Tree, parts: Partial<Omit<Query, 'kind' | 'core'>> = {}): Query {
  return {
    kind: 'query',
    ctes: '',
    core,
    order: [],
    hiddenKey: '',
    distinctOnFirst: false,
    limit: '',
    tail: '',
    parentheses: false,
    ...parts,
  };
}

export type Protocol = 'simple' | 'extended';
export type Rendered = { readonly text: string; readonly values: readonly (string | null)[] };

export function render(tree: Tree, protocol: Protocol): Rendered {
  const values: (string | null)[] = [];
  return { text: write(tree, protocol, values).replace(/\s+/g, ' ').trim(), values };
}

function write(tree: Tree, protocol: Protocol, values: (string | null)[]): string {
  if (typeof tree === 'string') return tree;
  const inner = (part: Tree) => write(part, protocol, values);
  switch (tree.kind) {
    case 'sequence':
      return tree.parts.map(inner).join('');
    case 'optional':
      return inner(tree.part);
    case 'list':
      return tree.items.map(inner).join(tree.separator);
    case 'choice':
      return inner(tree.current);
    case 'value':
      return writeValue(tree, protocol, values);
    case 'select':
      return `SELECT ${tree.distinct ? 'DISTINCT ' : ''}${tree.items.map(inner).join(', ')} ${inner(tree.rest)}`;
    case 'set':
      return `${inner(tree.left)} ${tree.operator} ${inner(tree.right)}`;
    case 'query':
      return writeQuery(tree, inner);
    default:
      return unreachable(tree);
  }
}

function writeValue(value: Value, protocol: Protocol, values: (string | null)[]): string {
  const cast = value.cast ? `::${value.type}` : '';
  if (protocol === 'extended') {
    values.push(value.text);
    return `$${values.length}${cast}`;
  }
  if (value.text === null) return `NULL${cast}`;
  // A bare number where the cast is left out: '5' would be text to some operators.
  if (!value.cast && /^(int|bigint|numeric)/.test(value.type) && !value.text.startsWith('-')) return value.text;
  return `'${value.text.replaceAll("'", "''")}'${cast}`;
}

function writeQuery(tree: Query, inner: (part: Tree) => string): string {
  const total = isTotal(tree);
  const plain = typeof tree.core === 'object' && tree.core.kind === 'select' && !tree.core.distinct;
  const distinctOn = tree.distinctOnFirst && plain && total && tree.order[0]?.column === 0;
  const core = inner(tree.core);
  const keys = tree.order.map((ordering) => `${ordering.column + 1} ${ordering.direction}`);
  if (tree.hiddenKey !== '' && plain && total && !distinctOn) keys.unshift(inner(tree.hiddenKey));
  const text = [
    inner(tree.ctes),
    distinctOn ? core.replace(/^SELECT /, 'SELECT DISTINCT ON (1) ') : core,
    keys.length === 0 ? '' : `ORDER BY ${keys.join(', ')}`,
    total ? inner(tree.limit) : '',
    inner(tree.tail),
  ].join(' ');
  return tree.parentheses ? `(${text})` : text;
}

/** Output columns, or undefined where the tree doesn't tell. */
export function widthOf(tree: Tree): number | undefined {
  if (typeof tree === 'string') return undefined;
  if (tree.kind === 'select') return tree.items.length;
  if (tree.kind === 'set') return widthOf(tree.left);
  if (tree.kind === 'query') return widthOf(tree.core);
  return undefined;
}

function isTotal(tree: Query): boolean {
  return tree.order.length > 0 && new Set(tree.order.map((ordering) => ordering.column)).size === widthOf(tree.core);
}

/** What the outermost query promises about the order of its rows. */
export function orderOf(tree: Tree): RowOrder {
  if (typeof tree === 'string' || tree.kind !== 'query' || tree.order.length === 0) return 'none';
  return isTotal(tree) ? 'total' : { columns: tree.order.map((ordering) => ordering.column) };
}

/** Every tree that is one step simpler, the bold steps first. */
export function* simplerTrees(tree: Tree): Generator<Tree> {
  if (typeof tree === 'string') return;
  switch (tree.kind) {
    case 'optional':
      yield '';
      for (const part of simplerTrees(tree.part)) yield { ...tree, part };
      return;
    case 'choice':
      yield* tree.simpler;
      for (const current of simplerTrees(tree.current)) yield { ...tree, current };
      return;
    case 'list':
      yield* fewerItems(tree);
      for (const items of oneSimpler(tree.items)) yield { ...tree, items };
      return;
    case 'sequence':
      for (const parts of oneSimpler(tree.parts)) yield { ...tree, parts };
      return;
    case 'value':
      if (tree.text !== null && tree.text.length > 1 && /^\d+$/.test(tree.text)) yield { ...tree, text: '1' };
      return;
    case 'select':
      if (tree.distinct) yield { ...tree, distinct: false };
      for (const rest of simplerTrees(tree.rest)) yield { ...tree, rest };
      for (const items of oneSimpler(tree.items)) yield { ...tree, items };
      return;
    case 'set':
      yield tree.left;
      yield tree.right;
      for (const left of simplerTrees(tree.left)) yield { ...tree, left };
      for (const right of simplerTrees(tree.right)) yield { ...tree, right };
      return;
    case 'query':
      yield* simplerQueries(tree);
      return;
    default:
      return unreachable(tree);
  }
}

/** The queries inside a tree, the outermost first: each may stand as a statement of its own. */
export function* innerQueries(tree: Tree): Generator<Query> {
  for (const child of childrenOf(tree)) {
    if (typeof child === 'object' && child.kind === 'query') yield { ...child, parentheses: false };
    yield* innerQueries(child);
  }
}

function childrenOf(tree: Tree): readonly Tree[] {
  if (typeof tree === 'string') return [];
  switch (tree.kind) {
    case 'sequence':
      return tree.parts;
    case 'list':
      return tree.items;
    case 'optional':
      return [tree.part];
    case 'choice':
      return [tree.current];
    case 'value':
      return [];
    case 'select':
      return [...tree.items, tree.rest];
    case 'set':
      return [tree.left, tree.right];
    case 'query':
      return [tree.ctes, tree.core, tree.hiddenKey, tree.limit];
    default:
      return unreachable(tree);
  }
}

function* simplerQueries(tree: Query): Generator<Tree> {
  if (tree.ctes !== '') yield { ...tree, ctes: '' };
  if (tree.tail !== '') yield { ...tree, tail: '' };
  if (tree.limit !== '') yield { ...tree, limit: '' };
  if (tree.hiddenKey !== '') yield { ...tree, hiddenKey: '' };
  if (tree.distinctOnFirst) yield { ...tree, distinctOnFirst: false };
  if (tree.order.length > 0) yield { ...tree, order: [], limit: '', distinctOnFirst: false };
  for (let column = (widthOf(tree.core) ?? 0) - 1; column >= 0; column--) {
    const core = withoutColumn(tree.core, column);
    if (core === undefined) continue;
    const order = tree.order
      .filter((ordering) => ordering.column !== column)
      .map((ordering) => (ordering.column > column ? { ...ordering, column: ordering.column - 1 } : ordering));
    yield { ...tree, core, order };
  }
  for (const core of simplerTrees(tree.core)) yield { ...tree, core };
  for (const ctes of simplerTrees(tree.ctes)) yield { ...tree, ctes };
  for (const limit of simplerTrees(tree.limit)) yield { ...tree, limit };
}

/** Leaves one output column out, in both arms of a set operation. */
function withoutColumn(tree: Tree, column: number): Tree | undefined {
  if (typeof tree === 'string' || (widthOf(tree) ?? 0) < 2) return undefined;
  if (tree.kind === 'select') return { ...tree, items: tree.items.filter((_, index) => index !== column) };
  if (tree.kind === 'query') {
    const core = withoutColumn(tree.core, column);
    return core === undefined ? undefined : { ...tree, core, order: [], limit: '', distinctOnFirst: false };
  }
  if (tree.kind !== 'set') return undefined;
  const left = withoutColumn(tree.left, column);
  const right = withoutColumn(tree.right, column);
  return left === undefined || right === undefined ? undefined : { ...tree, left, right };
}

function* fewerItems(tree: List): Generator<Tree> {
  const { items, min } = tree;
  const half = Math.ceil(items.length / 2);
  if (items.length > 3) {
    if (half >= min) yield { ...tree, items: items.slice(0, half) };
    if (items.length - half >= min) yield { ...tree, items: items.slice(half) };
  }
  if (items.length <= min) return;
  for (let index = items.length - 1; index >= 0; index--)
    yield { ...tree, items: items.filter((_, other) => other !== index) };
}

function* oneSimpler(trees: readonly Tree[]): Generator<Tree[]> {
  for (const [index, tree] of trees.entries())
    for (const simpler of simplerTrees(tree)) yield trees.map((other, at) => (at === index ? simpler : other));
}

function unreachable(value: never): never {
  throw new Error(`unexpected ${JSON.stringify(value)}`);
}
