import type { Node } from '@pgsql/types';
import { checkBoundsSql } from '../catalog/bounds-sql.ts';
import type { KeyedMethod, ShardBounds } from '../catalog/snapshot.ts';
import { PgError, unsupported } from '../core/errors.ts';
import type { SqlRunner } from '../core/runner.ts';
import { deparseExpression } from '../sql/deparse.ts';
import { parseStatements } from '../sql/parse.ts';
import type { DistributionKey } from './distribution-key.ts';
import { ownerOf } from './owner.ts';

/**
 * Reads `shard_bounds`: PostgreSQL's own notation for the bounds of partitions, one per shard, separated by semicolons:
 * `FROM (MINVALUE) TO (100); FROM (100) TO (MAXVALUE); DEFAULT` or `IN ('de', 'at'); IN (NULL); DEFAULT`. Values may be any
 * expressions; the coordinator evaluates them and gives them back in the key's type's own form.
 */
export async function readShardBounds(
  runner: SqlRunner,
  text: string,
  method: Exclude<KeyedMethod, 'hash'>,
  key: DistributionKey,
): Promise<ShardBounds[]> {
  const written = splitBounds(text).map((part) => parseBound(part, method));
  const expressions = written.flatMap((bound) => bound.expressions);
  const values = await evaluate(runner, expressions, key.columns[0]!.typeName);
  let next = 0;
  const take = (expression: string | null) => (expression === null ? null : (values[next++] ?? null));
  return written.map((bound): ShardBounds => {
    if (bound.kind === 'default') return { kind: 'default' };
    if (bound.kind === 'list') return { kind: 'list', values: bound.values.map(take) };
    const from = take(bound.from);
    return { kind: 'range', from, to: take(bound.to) };
  });
}

/** Fails when two shards would take the same value, a range is empty, or a value is none of the key's type. */
export async function checkBoundsApart(
  runner: SqlRunner,
  bounds: readonly ShardBounds[],
  method: 'range' | 'list',
  key: DistributionKey,
): Promise<void> {
  if (bounds.length > 0) await ownerOf(runner).query(checkBoundsSql(method, key.columns[0]!, bounds));
}

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
