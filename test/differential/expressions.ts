import { predicate } from './predicates.ts';
import { columnsOf, deeper, literal, type Scope } from './scope.ts';
import { scalarSubquery } from './subqueries.ts';
import { type ColumnType, sqlTypes } from './tables.ts';
import { choice, list, sql, type Tree } from './tree.ts';

type Maker = (scope: Scope) => Tree;

/** An expression of the given type. None of them can fail at run time, so that the order of evaluation doesn't matter. */
export function expression(scope: Scope, type: ColumnType): Tree {
  const { random } = scope;
  if (scope.depth <= 0 || random.chance(0.55)) return leaf(scope, type);
  const inner = deeper(scope);
  const compound = random.pick<Maker>([...makers[type], ...makers[type], caseOf(type), coalesceOf(type)]);
  return choice(compound(inner), leaf(scope, type));
}

/** A column if there is one, else a literal. */
export function leaf(scope: Scope, type: ColumnType): Tree {
  const { random } = scope;
  const columns = columnsOf(scope, type);
  const outer = scope.outer.filter((column) => column.type === type);
  if (outer.length > 0 && random.chance(0.15)) return random.pick(outer).sql;
  if (columns.length > 0 && random.chance(0.85)) return random.pick(columns).sql;
  return random.chance(0.06) ? `NULL::${sqlTypes[type]}` : literal(scope, type);
}

const int = (scope: Scope) => expression(scope, 'int');
const big = (scope: Scope) => expression(scope, 'big');
const num = (scope: Scope) => expression(scope, 'num');
const float = (scope: Scope) => expression(scope, 'float');
const text = (scope: Scope) => expression(scope, 'text');
const date = (scope: Scope) => expression(scope, 'date');
const ts = (scope: Scope) => expression(scope, 'ts');
const tz = (scope: Scope) => expression(scope, 'tz');
const arr = (scope: Scope) => expression(scope, 'arr');
const json = (scope: Scope) => expression(scope, 'json');

/** Each gets the scope of its operands. Results stay small enough that sums of sums don't overflow. */
const makers: Readonly<Record<ColumnType, readonly Maker[]>> = {
  int: [
    (s) => sql`(${int(s)} + ${int(s)})`,
    (s) => sql`(${int(s)} - ${int(s)})`,
    (s) => sql`(${int(s)} % 3)`,
    (s) => sql`abs(${int(s)})`,
    (s) => sql`length(${text(s)})`,
    (s) => sql`coalesce(cardinality(${arr(s)}), 0)`,
    (s) => sql`extract(day from ${date(s)})::int`,
    (s) => sql`(${date(s)} - date '2020-01-01')`,
    (s) => sql`nullif(${int(s)}, ${int(s)})`,
    (s) => sql`greatest(${int(s)}, ${int(s)})`,
    (s) => sql`(${arr(s)})[1]`,
    (s) => sql`strpos(${text(s)}, 'a')`,
    (s) => sql`ascii(${text(s)})`,
    (s) => sql`f_twice(${int(s)})`,
    (s) => scalarSubquery(s, 'int'),
  ],
  big: [
    (s) => sql`(${big(s)} + ${int(s)})`,
    (s) => sql`(${int(s)})::bigint`,
    (s) => sql`(${big(s)} % 5)`,
    (s) => sql`least(${big(s)}, ${int(s)})`,
    (s) => scalarSubquery(s, 'big'),
  ],
  num: [
    (s) => sql`(${num(s)} + ${num(s)})`,
    (s) => sql`(${num(s)} - ${num(s)})`,
    (s) => sql`round(${num(s)} * ${int(s)}, 2)`,
    (s) => sql`round(${num(s)} / nullif(${int(s)}, 0), 2)`,
    (s) => sql`abs(${num(s)})`,
    (s) => sql`(${int(s)})::numeric(12,2)`,
    (s) => scalarSubquery(s, 'num'),
  ],
  float: [(s) => sql`(${float(s)} + ${float(s)})`, (s) => sql`(${int(s)})::float8`, (s) => sql`(- ${float(s)})`],
  text: [
    (s) => sql`(${text(s)} || ${text(s)})`,
    (s) => sql`upper(${text(s)})`,
    (s) => sql`lower(${text(s)})`,
    (s) => sql`substr(${text(s)}, 1, 2)`,
    (s) => sql`(${int(s)})::text`,
    (s) => sql`(${date(s)})::text`,
    (s) => sql`(${expression(s, 'mood')})::text`,
    (s) => sql`replace(${text(s)}, 'a', 'ä')`,
    (s) => sql`concat(${text(s)}, '-', ${int(s)})`,
    (s) => sql`to_char(${date(s)}, 'YYYY-MM')`,
    (s) => sql`format('%s/%s', ${text(s)}, ${int(s)})`,
    (s) => sql`md5(${text(s)})`,
    (s) => sql`f_quote(${text(s)})`,
    (s) => sql`(${json(s)} ->> 't')`,
    (s) => sql`(${tz(s)})::text`,
    (s) => scalarSubquery(s, 'text'),
  ],
  date: [
    (s) => sql`(${date(s)} + ${leaf(s, 'int')})`,
    (s) => sql`(${ts(s)})::date`,
    (s) => sql`greatest(${date(s)}, ${date(s)})`,
    (s) => sql`date_trunc('month', ${date(s)}::timestamp)::date`,
    (s) => scalarSubquery(s, 'date'),
  ],
  ts: [
    (s) => sql`(${date(s)})::timestamp`,
    (s) => sql`date_trunc('day', ${ts(s)})`,
    (s) => sql`(${ts(s)} + interval '1 day 02:00')`,
    (s) => sql`(${tz(s)} at time zone 'UTC')`,
  ],
  tz: [(s) => sql`(${ts(s)})::timestamptz`, (s) => sql`(${tz(s)} - interval '1 month')`],
  bool: [(s) => predicate(s)],
  mood: [(s) => sql`greatest(${expression(s, 'mood')}, ${leaf(s, 'mood')})`],
  uuid: [(s) => sql`md5(${text(s)})::uuid`],
  arr: [
    (s) => sql`array[${int(s)}, ${int(s)}]`,
    (s) => sql`(${arr(s)} || ${int(s)})`,
    (s) => sql`array_remove(${arr(s)}, ${int(s)})`,
  ],
  json: [
    (s) => sql`jsonb_build_object('i', ${int(s)}, 't', ${text(s)})`,
    (s) => sql`(${json(s)} -> 'x')`,
    (s) => sql`to_jsonb(${arr(s)})`,
    (s) => sql`(${json(s)} || '[0]'::jsonb)`,
  ],
};

function caseOf(type: ColumnType): Maker {
  return (scope) => {
    const when = () => sql`WHEN ${predicate(scope)} THEN ${expression(scope, type)}`;
    const arms = scope.random.chance(0.3) ? [when(), when()] : [when()];
    return sql`CASE ${list(arms, ' ')} ELSE ${expression(scope, type)} END`;
  };
}

function coalesceOf(type: ColumnType): Maker {
  return (scope) => sql`coalesce(${list([expression(scope, type), expression(scope, type)], ', ')})`;
}
