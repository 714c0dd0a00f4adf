import type { Node } from '@pgsql/types';
import type { DistributionMethod, ShardBounds } from '../catalog/snapshot.ts';
import { PgError, unsupported } from '../core/errors.ts';
import type { SqlRunner } from '../core/runner.ts';
import { parseStatements } from '../sql/parse.ts';
import { deparseExpression } from '../sql/deparse.ts';
import type { DistributionKey } from './distribution-key.ts';

/**
 * Reads `shard_bounds`: PostgreSQL's own notation for the bounds of partitions, one per shard, separated by semicolons:
 * `FROM (MINVALUE) TO (100); FROM (100) TO (MAXVALUE); DEFAULT` or `IN ('de', 'at'); IN (NULL); DEFAULT`. Values may be any
 * expressions; the coordinator evaluates them and gives them back in the key's type's own form.
 */
export async function readShardBounds(
  runner: SqlRunner,
  text: string,
  method: Exclude<DistributionMethod, 'hash'>,
  key: DistributionKey,
): Promise<ShardBounds[]> {
  const written = splitBounds(text).map((part) => parseBound(part, method));
  const expressions = written.flatMap((bound) => bound.expressions);
  const values = await evaluate(runner, expressions, key.type);
  let next = 0;
  const take = (expression: string | null) => (expression === null ? null : (values[next++] ?? null));
  return written.map((bound): ShardBounds => {
    if (bound.kind === 'default') return { kind: 'default' };
    if (bound.kind === 'list') return { kind: 'list', values: bound.values.map(take) };
    const from = take(bound.from);
    return { kind: 'range', from, to: take(bound.to) };
  });
}

/** Fails when two shards would take the same value, before any node is asked. Equality and order are PostgreSQL's. */
export async function checkBoundsApart(
  runner: SqlRunner,
  bounds: readonly ShardBounds[],
  key: DistributionKey,
): Promise<void> {
  if (bounds.filter((bound) => bound.kind === 'default').length > 1) {
    throw unsupported('PH037', 'there may be one DEFAULT shard');
  }
  const ranges = bounds.flatMap((bound, at) => (bound.kind === 'range' ? [{ at, ...bound }] : []));
  const values = bounds.flatMap((bound, at) => (bound.kind === 'list' ? bound.values.map((value) => ({ at, value })) : []));
  const { rows } = await runner.query(overlapSql(key.type), [JSON.stringify(ranges), JSON.stringify(values)]);
  const [first, second] = rows[0] ?? [];
  if (first != null) throw unsupported('PH037', `shard bounds ${Number(first) + 1} and ${Number(second) + 1} overlap`);
  const [empty] = (await runner.query(emptySql(key.type), [JSON.stringify(ranges)])).rows;
  if (empty) throw unsupported('PH037', `shard bounds ${Number(empty[0]) + 1} hold no value: FROM must be less than TO`);
}

const rangesOf = (parameter: string, type: string) =>
  `(SELECT at, "from"::${type} AS low, "to"::${type} AS high FROM json_to_recordset(${parameter}::json) AS r(at integer, "from" text, "to" text))`;

const overlapSql = (type: string) => `SELECT a.at, b.at FROM ${rangesOf('$1', type)} a JOIN ${rangesOf('$1', type)} b ON a.at < b.at
  AND (a.low IS NULL OR b.high IS NULL OR a.low < b.high) AND (b.low IS NULL OR a.high IS NULL OR b.low < a.high)
UNION ALL
SELECT a.at, b.at FROM json_to_recordset($2::json) AS a(at integer, value text)
  JOIN json_to_recordset($2::json) AS b(at integer, value text)
  ON a.at < b.at AND a.value::${type} IS NOT DISTINCT FROM b.value::${type}
LIMIT 1`;

const emptySql = (type: string) => `SELECT at FROM ${rangesOf('$1', type)} r WHERE low >= high`;

type WrittenBound =
  | { readonly kind: 'default'; readonly expressions: readonly [] }
  | { readonly kind: 'list'; readonly values: readonly (string | null)[]; readonly expressions: readonly string[] }
  | {
      readonly kind: 'range';
      readonly from: string | null;
      readonly to: string | null;
      readonly expressions: readonly string[];
    };

/** Splits at semicolons outside quotes and parentheses. */
function splitBounds(text: string): string[] {
  const parts = text.match(/(?:'(?:[^']|'')*'|"(?:[^"]|"")*"|[^;'"])+/g) ?? [];
  return parts.map((part) => part.trim()).filter((part) => part !== '');
}

function parseBound(text: string, method: 'range' | 'list'): WrittenBound {
  if (/^default$/i.test(text)) return { kind: 'default', expressions: [] };
  const spec = boundSpec(text);
  if (method === 'range' && spec?.strategy === 'r') {
    const from = rangeEdge(spec.lowerdatums);
    const to = rangeEdge(spec.upperdatums);
    return { kind: 'range', from, to, expressions: [from, to].filter((edge) => edge !== null) };
  }
  if (method === 'list' && spec?.strategy === 'l') {
    const values = (spec.listdatums ?? []).map((value) => (isNull(value) ? null : deparseExpression(value)));
    return { kind: 'list', values, expressions: values.filter((value) => value !== null) };
  }
  throw unsupported('PH037', `"${text}" is no bound of a shard of a table distributed by ${method.toUpperCase()}`);
}

function boundSpec(text: string) {
  try {
    const [statement] = parseStatements(`CREATE TABLE a PARTITION OF b FOR VALUES ${text}`);
    return statement && 'CreateStmt' in statement.node ? statement.node.CreateStmt.partbound : undefined;
  } catch (error) {
    if (error instanceof PgError) return undefined;
    throw error;
  }
}

/** MINVALUE and MAXVALUE come as bare column references. */
function rangeEdge(datums: readonly Node[] | undefined): string | null {
  const [datum, ...more] = datums ?? [];
  if (!datum || more.length > 0) throw unsupported('PH037', 'a bound has one value');
  if ('ColumnRef' in datum) {
    const [name] = datum.ColumnRef.fields ?? [];
    if (name && 'String' in name && /^(min|max)value$/i.test(name.String.sval ?? '')) return null;
  }
  return deparseExpression(datum);
}

function isNull(value: Node): boolean {
  return 'A_Const' in value && value.A_Const.isnull === true;
}

async function evaluate(runner: SqlRunner, expressions: readonly string[], type: string): Promise<(string | null)[]> {
  if (expressions.length === 0) return [];
  const { rows } = await runner.query(
    `SELECT ${expressions.map((expression) => `CAST(CAST((${expression}) AS ${type}) AS text)`).join(', ')}`,
  );
  return [...rows[0]!];
}
