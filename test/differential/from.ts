import { predicate } from './predicates.ts';
import { anyQuery } from './queries.ts';
import {
  type Column,
  columnsOf,
  deeper,
  literal,
  type Relation,
  relations,
  type Scope,
  type Source,
  sourceOf,
} from './scope.ts';
import type { ColumnType } from './tables.ts';
import { choice, list, optional, sql, type Tree } from './tree.ts';

export type From = {
  /** Without the word FROM. */
  readonly tree: Tree;
  readonly sources: readonly Source[];
  /** Only tables, so that FOR UPDATE may follow. */
  readonly lockable: boolean;
};

/** One relation, or up to six joined in every way that PostgreSQL knows. */
export function fromClause(scope: Scope, most = 6): From {
  const { random } = scope;
  const wanted = random.weighted([
    [46, 1],
    [32, 2],
    [12, 3],
    [6, 4],
    [2, 5],
    [2, 6],
  ]);
  const count = Math.min(wanted, most, scope.depth <= 0 ? 2 : 6);
  if (count === 2 && random.chance(0.08)) return naturalJoin(scope);
  let from = fromItem(scope);
  for (let joined = 1; joined < count; ) {
    // A join in parentheses: bushy trees, and outer joins below outer joins.
    const nested = joined + 2 <= count && random.chance(0.2);
    const right = nested ? parenthesizedJoin(scope, count) : undefined;
    from = join(scope, from, count, right);
    joined += nested ? 2 : 1;
  }
  return from;
}

function parenthesizedJoin(scope: Scope, total: number): From {
  const inner = join({ ...scope, depth: 0 }, fromItem(scope), total, fromItem(scope));
  return { ...inner, tree: sql`(${inner.tree})` };
}

/** The scope of the select list and WHERE of a query over `from`. */
export function scopeOver(scope: Scope, from: From): Scope {
  return { ...scope, sources: from.sources };
}

function fromItem(scope: Scope): From {
  const { random } = scope;
  const tableItem = () => relationItem(scope, random.pick(relations.filter((relation) => relation.lockable)));
  return random.weighted<() => From>([
    [60, tableItem],
    [9, () => relationItem(scope, random.pick(relations.filter((relation) => !relation.lockable)))],
    [scope.depth > 0 ? 11 : 0, () => subqueryItem(scope, '', [])],
    [scope.ctes.length > 0 ? 45 : 0, () => relationItem(scope, random.pick(scope.ctes))],
    [4, () => valuesItem(scope)],
    [5, () => functionItem(scope)],
  ])();
}

function relationItem(scope: Scope, relation: Relation): From {
  const alias = scope.names.next('t');
  const as = scope.random.chance(0.5) ? ' AS' : '';
  return {
    tree: `${relation.name}${as} ${alias}`,
    sources: [sourceOf(relation, alias)],
    lockable: relation.lockable,
  };
}

function subqueryItem(scope: Scope, prefix: string, outer: readonly Column[]): From {
  const alias = scope.names.next('s');
  const inner = anyQuery({ ...deeper(scope), sources: [], outer });
  const unique = inner.columns.map((column) => column.name);
  const source = sourceOf({ name: alias, columns: inner.columns, unique, keyed: false, lockable: false }, alias);
  return { tree: sql`${prefix}(${inner.tree}) AS ${alias}`, sources: [source], lockable: false };
}

function valuesItem(scope: Scope): From {
  const { random } = scope;
  const alias = scope.names.next('v');
  const types = random.sample<ColumnType>(['int', 'text', 'date', 'num'], 2);
  const row = () =>
    sql`(${list(
      types.map((type) => literal(scope, type)),
      ', ',
      types.length,
    )})`;
  const rows = Array.from({ length: random.int(1, 4) }, row);
  const columns = types.map((type, index) => ({ name: `x${index + 1}`, type }));
  const names = columns.map((column) => column.name);
  return {
    tree: sql`(VALUES ${list(rows, ', ')}) AS ${alias} (${names.join(', ')})`,
    sources: [sourceOf({ name: alias, columns, unique: names, keyed: false, lockable: false }, alias)],
    lockable: false,
  };
}

function functionItem(scope: Scope): From {
  const { random } = scope;
  const alias = scope.names.next('g');
  const series = sql`generate_series(${String(random.int(0, 2))}, ${literal(scope, 'int')})`;
  const unnest = sql`unnest(array[1, 2, 2, 5, NULL])`;
  return {
    tree: sql`${random.pick([series, series, unnest])} AS ${alias} (i)`,
    sources: [
      sourceOf(
        { name: alias, columns: [{ name: 'i', type: 'int' }], unique: ['i'], keyed: false, lockable: false },
        alias,
      ),
    ],
    lockable: false,
  };
}

/** `given`: what to join to it; otherwise anything. */
function join(scope: Scope, left: From, total: number, given?: From): From {
  const { random } = scope;
  if (given === undefined) {
    if (random.chance(0.08)) return functionJoin(scope, left);
    if (scope.depth > 0 && random.chance(0.12)) return lateralJoin(scope, left);
  }
  const right = given ?? fromItem(scope);
  const both = [...left.sources, ...right.sources];
  const lockable = left.lockable && right.lockable;
  const finish = (tree: Tree, locks: boolean): From => ({
    tree: choice(tree, left.tree, right.tree),
    sources: both,
    lockable: locks && lockable,
  });
  const using = usingColumns(left.sources, right.sources);
  if (using.length > 0 && random.chance(0.15)) {
    const kind = random.pick(['JOIN', 'LEFT JOIN', 'RIGHT JOIN', 'FULL JOIN']);
    return finish(sql`${left.tree} ${kind} ${right.tree} USING (${random.pick(using)})`, kind === 'JOIN');
  }
  const equality = joinEquality(scope, left.sources, right.sources, total > 2);
  if (equality === undefined || (total === 2 && random.chance(0.06)))
    return finish(sql`${left.tree} ${random.pick([', ', ' CROSS JOIN '])} ${right.tree}`, true);
  const kind = random.pick(['JOIN', 'JOIN', 'JOIN', 'LEFT JOIN', 'LEFT JOIN', 'RIGHT JOIN', 'FULL JOIN']);
  const on = joinCondition(scope, { left, right, kind, equality, total });
  return finish(sql`${left.tree} ${kind} ${right.tree} ON ${on}`, kind === 'JOIN');
}

type JoinParts = {
  readonly left: From;
  readonly right: From;
  readonly kind: string;
  readonly equality: string;
  readonly total: number;
};

/** PostgreSQL takes nothing but equalities for FULL JOIN. */
function joinCondition(scope: Scope, { left, right, kind, equality, total }: JoinParts): Tree {
  const { random } = scope;
  const both = [...left.sources, ...right.sources];
  const more = () => joinEquality(scope, left.sources, right.sources, false) ?? equality;
  if (kind === 'FULL JOIN') return random.chance(0.15) ? sql`${equality}${optional(` AND ${more()}`)}` : equality;
  const inner = deeper({ ...scope, sources: both });
  return random.weighted<() => Tree>([
    [70, () => equality],
    [14, () => sql`${equality}${optional(sql` AND ${predicate(inner)}`)}`],
    [6, () => sql`${equality}${optional(` AND ${more()}`)}`],
    [total === 2 ? 4 : 0, () => equality.replace(' = ', random.pick([' < ', ' >= ', ' <> ']))],
    [total === 2 ? 2 : 0, () => choice(sql`(${equality} OR ${predicate(inner)})`, equality)],
    [2, () => equality.replace(' = ', ' IS NOT DISTINCT FROM ')],
    [total === 2 ? 1 : 0, () => 'true'],
  ])();
}

/** A function of the relations before it. */
function functionJoin(scope: Scope, left: From): From {
  const { random } = scope;
  const alias = scope.names.next('f');
  const columns = left.sources.flatMap((source) => source.columns);
  const arrays = columns.filter((column) => column.type === 'arr');
  const objects = columns.filter((column) => column.type === 'json');
  const numbers = columns.filter((column) => column.type === 'int');
  const finish = (call: string, names: Readonly<Record<string, ColumnType>>): From => {
    const own = Object.entries(names).map(([name, type]) => ({ name, type }));
    const unique = own.map((column) => column.name);
    const source = sourceOf({ name: alias, columns: own, unique, keyed: false, lockable: false }, alias);
    const item = `${call} AS ${alias} (${unique.join(', ')})`;
    const tree = random.chance(0.6) ? sql`${left.tree}, ${item}` : sql`${left.tree} LEFT JOIN ${item} ON true`;
    return { tree: choice(tree, left.tree), sources: [...left.sources, source], lockable: false };
  };
  if (arrays.length > 0) return finish(`unnest(${random.pick(arrays).sql}) WITH ORDINALITY`, { i: 'int', o: 'big' });
  if (objects.length > 0) {
    const object = random.pick(objects).sql;
    return finish(`jsonb_each_text(CASE jsonb_typeof(${object}) WHEN 'object' THEN ${object} END)`, {
      key: 'text',
      value: 'text',
    });
  }
  if (numbers.length > 0) return finish(`generate_series(1, ${random.pick(numbers).sql} % 4)`, { i: 'int' });
  return finish('generate_series(1, 2)', { i: 'int' });
}

function lateralJoin(scope: Scope, left: From): From {
  const columns = left.sources.flatMap((source) => source.columns);
  const right = subqueryItem(scope, 'LATERAL ', columns);
  const tree = scope.random.chance(0.5)
    ? sql`${left.tree} CROSS JOIN ${right.tree}`
    : sql`${left.tree} LEFT JOIN ${right.tree} ON true`;
  return { tree: choice(tree, left.tree), sources: [...left.sources, ...right.sources], lockable: false };
}

/** Over two relations cut down to a few columns, since whole rows hardly ever agree in all common ones. */
function naturalJoin(scope: Scope): From {
  const { random } = scope;
  const common = random.pick(['id', 'a']);
  const withColumn = relations.filter((relation) => relation.columns.some((column) => column.name === common));
  const kind = random.pick(['NATURAL JOIN', 'NATURAL LEFT JOIN', 'NATURAL FULL JOIN']);
  const side = (): From => {
    const relation = random.pick(withColumn);
    const alias = scope.names.next('n');
    const own = random.pick(relation.columns.filter((column) => column.name !== common));
    const renamed = { name: `${alias}x`, type: own.type };
    const columns = [{ name: common, type: 'int' as const }, renamed];
    const unique = columns.map((column) => column.name);
    return {
      tree: `(SELECT ${common}, ${own.name} AS ${renamed.name} FROM ${relation.name}) AS ${alias}`,
      sources: [sourceOf({ name: alias, columns, unique, keyed: false, lockable: false }, alias)],
      lockable: false,
    };
  };
  const [left, right] = [side(), side()];
  const tree = choice(sql`${left.tree} ${kind} ${right.tree}`, left.tree);
  return { tree, sources: [...left.sources, ...right.sources], lockable: false };
}

const joinable: readonly ColumnType[] = ['int', 'big', 'text', 'num', 'date', 'uuid', 'mood'];

/**
 * An equality of two columns of one type, keys first, so that joins find partners and some are co-located. `narrow`: one side is a key that
 * few rows share, so that several joins in a row don't multiply.
 */
function joinEquality(
  scope: Scope,
  left: readonly Source[],
  right: readonly Source[],
  narrow: boolean,
): string | undefined {
  const { random } = scope;
  // Types that compare through a cast don't hash alike.
  const mixed = random.chance(0.1);
  const pairs: { condition: string; keys: boolean; narrow: boolean }[] = [];
  for (const a of left.flatMap((source) => source.columns))
    for (const b of right.flatMap((source) => source.columns))
      if (joinTypes(a.type, b.type) || (mixed && mixable(a.type, b.type))) {
        const condition = `${a.sql} = ${b.sql}`;
        pairs.push({ condition, keys: isKey(a) && isKey(b), narrow: isUnique(a) && isUnique(b) });
      }
  if (pairs.length === 0) return undefined;
  const narrowed = pairs.filter((pair) => pair.narrow);
  if (narrow && narrowed.length > 0 && random.chance(0.85)) return random.pick(narrowed).condition;
  const keyed = pairs.filter((pair) => pair.keys);
  return random.pick(keyed.length > 0 && random.chance(0.6) ? keyed : pairs).condition;
}

function joinTypes(a: ColumnType, b: ColumnType): boolean {
  return joinable.includes(a) && (a === b || (['int', 'big'].includes(a) && ['int', 'big'].includes(b)));
}

function mixable(a: ColumnType, b: ColumnType): boolean {
  return mixtures.some((types) => types.includes(a) && types.includes(b));
}

const mixtures: readonly (readonly ColumnType[])[] = [
  ['int', 'big', 'num', 'float'],
  ['date', 'ts', 'tz'],
];

function isUnique(column: Column): boolean {
  return ['id', 'h_id', 'hid', 'cid', 'u'].includes(column.name);
}

function isKey(column: Column): boolean {
  return ['id', 'k', 'p', '"K e y"', 'h_id', 'hid', 'cid', 'i', 'u'].includes(column.name);
}

function usingColumns(left: readonly Source[], right: readonly Source[]): string[] {
  const rightColumns = right.flatMap((source) => source.columns);
  const leftColumns = left.flatMap((source) => source.columns);
  return rightColumns
    .filter((column) => {
      const same = leftColumns.filter((other) => other.name === column.name);
      return same.length === 1 && same[0]!.type === column.type && joinable.includes(column.type);
    })
    .map((column) => column.name);
}

/** WHERE with some conditions, or nothing. */
export function whereClause(scope: Scope, probability = 0.75): Tree {
  const { random } = scope;
  if (columnsOf(scope).length === 0 || !random.chance(probability)) return '';
  const conditions = Array.from({ length: random.chance(0.35) ? 2 : 1 }, () => predicate(scope));
  return optional(sql` WHERE ${list(conditions, ' AND ')}`);
}
