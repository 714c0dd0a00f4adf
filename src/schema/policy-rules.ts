import type { BoolExpr, Node, RangeVar, SelectStmt, SubLink } from '@pgsql/types';
import type { CatalogSnapshot, DistributedTable } from '../catalog/snapshot.ts';
import { unsupported } from '../core/errors.ts';
import { parseStatements } from '../sql/parse.ts';
import { nameParts, walk } from '../sql/walk.ts';
import { columnsOf, type TableShape } from './table-shape.ts';

/** The table whose policies are judged: its own entry in the catalog need not exist yet. */
export interface Secured {
  readonly shape: TableShape;
  /** null: a reference table. */
  readonly distribution: { readonly key: readonly number[]; readonly groupId: number } | null;
}

/**
 * Policies are applied by the node that holds the row. A subquery in one therefore sees all rows it asks for only when it reads
 * reference tables, or co-located tables by equality of the distribution columns. Anything else is refused: the answer would be
 * that of one node's rows. (What a policy's functions read, the nodes' guards watch.)
 */
export function checkPolicies(secured: Secured, snapshot: CatalogSnapshot): void {
  for (const policy of secured.shape.policies) {
    for (const expression of [policy.using, policy.check]) {
      if (expression === null || !/\bSELECT\b/.test(expression)) continue;
      const [statement] = parseStatements(`SELECT ${expression}`);
      const found = statement ? obstacle(statement.node, secured, snapshot) : 'it cannot be read';
      if (found === null) continue;
      throw unsupported(
        'PH050',
        `policy "${policy.name}" of table "${secured.shape.name}" cannot be applied: ${found}`,
      );
    }
  }
}

/** Names in the expression are as PostgreSQL writes them under an empty search_path: qualified, and aliases are never used twice. */
function obstacle(expression: Node, secured: Secured, snapshot: CatalogSnapshot): string | null {
  const ctes = new Set<string>();
  const distributed = new Map<string, DistributedTable>();
  let found: string | null = null;
  walk(expression, (kind, fields: { ctename?: string }) => {
    if (kind === 'CommonTableExpr') ctes.add(fields.ctename ?? '');
    return undefined;
  });
  walk(expression, (kind, fields: RangeVar) => {
    if (kind === 'RangeTableSample') found ??= 'it samples a table';
    if (kind !== 'RangeVar') return undefined;
    const name = fields.relname ?? '';
    if (fields.schemaname === undefined) {
      if (!ctes.has(name) && !roleCatalogs.has(name)) found ??= `system relation "${name}" differs between servers`;
      return undefined;
    }
    const table = snapshot.relations.get(fields.schemaname)?.get(name)?.distributed;
    if (!table) found ??= `it reads "${name}", which the nodes do not have`;
    else if (!fields.inh) found ??= `it reads ONLY "${name}"`;
    else if (table.distribution.kind === 'distributed') distributed.set(fields.alias?.aliasname ?? name, table);
    return undefined;
  });
  if (found !== null || distributed.size === 0) return found;
  const bound = boundAliases(expression, secured, distributed);
  for (const [alias, table] of distributed) {
    if (!bound.has(alias))
      return `it reads distributed table "${table.name}" other than by the same distribution column`;
  }
  return null;
}

/** Roles and their memberships are alike on all servers. */
const roleCatalogs: ReadonlySet<string> = new Set(['pg_roles', 'pg_authid', 'pg_auth_members', 'pg_user', 'pg_group']);

/** A key column and what it is compared as: varchar is compared as text. */
interface Key {
  readonly name: string;
  readonly isVarchar: boolean;
}

/** The aliases of co-located tables of which only rows with the policy row's own key can matter. */
function boundAliases(
  expression: Node,
  { shape, distribution }: Secured,
  tables: ReadonlyMap<string, DistributedTable>,
): ReadonlySet<string> {
  if (distribution === null) return new Set();
  const keys = new Map<string, readonly Key[]>();
  for (const [alias, { distribution: other }] of tables) {
    if (other.kind !== 'distributed' || other.group.id !== distribution.groupId) continue;
    keys.set(
      alias,
      other.keys.map(({ name, typeName }) => ({ name, isVarchar: isVarchar(typeName) })),
    );
  }
  keys.set(
    shape.name,
    columnsOf(shape, distribution.key).map(({ name, type }) => ({ name, isVarchar: isVarchar(type) })),
  );
  const scopes = readScopes(expression, shape.name);
  const bound = new Set([shape.name]);
  const isTied = (alias: string, to: string) => {
    const [own, other] = [keys.get(alias) ?? [], keys.get(to) ?? []];
    const pairs = scopes.find((scope) => scope.aliases.has(alias))?.pairs;
    return (
      own.length > 0 &&
      own.length === other.length &&
      own.every((key, i) => pairs?.has(pairName([alias, comparedAs(key)], [to, comparedAs(other[i]!)])))
    );
  };
  for (let size = 0; size < bound.size; ) {
    size = bound.size;
    for (const alias of keys.keys()) {
      if ([...bound].some((other) => other !== alias && isTied(alias, other))) bound.add(alias);
    }
  }
  return bound;
}

function isVarchar(type: string): boolean {
  return type.startsWith('character varying');
}

function comparedAs({ name, isVarchar: asText }: Key): string {
  return asText ? `${name}::text` : name;
}

type Column = readonly [alias: string, name: string];

function pairName(a: Column, b: Column): string {
  return JSON.stringify(a.join('\0') < b.join('\0') ? [a, b] : [b, a]);
}

/** One SELECT: the aliases of its own FROM, and pairs of columns that must be equal for a row of them to matter. */
interface Scope {
  readonly aliases: ReadonlySet<string>;
  readonly pairs: ReadonlySet<string>;
}

/** Conditions bind only the tables of their own SELECT: those of a subquery beneath say nothing of which rows it is asked for. */
function readScopes(expression: Node, ownTable: string): Scope[] {
  const links = new Map(positiveLinks(expression).map((link) => [selectOf(link), link]));
  const scopes: Scope[] = [];
  walk(expression, (kind, fields: SelectStmt) => {
    if (kind !== 'SelectStmt') return undefined;
    const aliases = new Set<string>();
    const conditions = [fields.whereClause];
    for (const item of fields.fromClause ?? []) readFrom(item, aliases, conditions, true);
    const pairs = new Set<string>();
    const add = (a: Column | null, b: Column | null) => {
      if (a && b) pairs.add(pairName(a, b));
    };
    for (const part of conditions.flatMap(conjunctsOf)) {
      if (!('A_Expr' in part) || part.A_Expr.kind !== 'AEXPR_OP' || !isEquals(part.A_Expr.name)) continue;
      add(columnOf(part.A_Expr.lexpr), columnOf(part.A_Expr.rexpr));
    }
    const link = links.get(fields);
    if (link && isMembership(link) && isPlain(fields)) {
      const [target] = fields.targetList ?? [];
      const value = target && 'ResTarget' in target ? target.ResTarget.val : undefined;
      add(ownColumn(link.testexpr, ownTable), columnOf(value));
    }
    scopes.push({ aliases, pairs });
    return undefined;
  });
  return scopes;
}

function readFrom(item: Node, aliases: Set<string>, conditions: (Node | undefined)[], inner: boolean): void {
  if ('RangeVar' in item) aliases.add(item.RangeVar.alias?.aliasname ?? item.RangeVar.relname ?? '');
  if (!('JoinExpr' in item)) return;
  const { jointype, larg, rarg, quals } = item.JoinExpr;
  const isInner = inner && jointype === 'JOIN_INNER';
  if (isInner) conditions.push(quals);
  for (const side of [larg, rarg]) if (side) readFrom(side, aliases, conditions, isInner);
}

function selectOf({ subselect }: SubLink): SelectStmt | undefined {
  return subselect && 'SelectStmt' in subselect ? subselect.SelectStmt : undefined;
}

/** `x IN (SELECT …)`, `x = ANY (SELECT …)` */
function isMembership({ subLinkType, operName }: SubLink): boolean {
  return subLinkType === 'ANY_SUBLINK' && (operName === undefined || isEquals(operName));
}

function isEquals(name: readonly Node[] | undefined): boolean {
  return nameParts(name).join('.') === '=';
}

function conjunctsOf(condition: Node | undefined): Node[] {
  if (!condition) return [];
  const { BoolExpr: bool } = condition as { BoolExpr?: BoolExpr };
  return bool?.boolop === 'AND_EXPR' ? (bool.args ?? []).flatMap(conjunctsOf) : [condition];
}

/** Where a NULL of the comparison counts as FALSE: under AND and OR only. */
function positiveLinks(expression: Node): SubLink[] {
  if ('SubLink' in expression) return [expression.SubLink];
  if ('BoolExpr' in expression && expression.BoolExpr.boolop !== 'NOT_EXPR') {
    return (expression.BoolExpr.args ?? []).flatMap(positiveLinks);
  }
  if (!('SelectStmt' in expression)) return [];
  return (expression.SelectStmt.targetList ?? []).flatMap((target) =>
    'ResTarget' in target && target.ResTarget.val ? positiveLinks(target.ResTarget.val) : [],
  );
}

/** Each of its rows stands for itself. */
function isPlain(select: SelectStmt): boolean {
  const { groupClause, havingClause, limitCount, limitOffset, distinctClause, op, targetList = [] } = select;
  return (
    ![groupClause, havingClause, limitCount, limitOffset, distinctClause].some((clause) => clause !== undefined) &&
    (op === undefined || op === 'SETOP_NONE') &&
    targetList.length === 1
  );
}

/** A qualified column, or one cast to text. */
function columnOf(node: Node | undefined): Column | null {
  return readColumn(node, (parts) => (parts.length === 2 && parts[0] && parts[1] ? [parts[0], parts[1]] : null));
}

/** Outside subqueries the table's own columns go unqualified. */
function ownColumn(node: Node | undefined, ownTable: string): Column | null {
  return readColumn(node, (parts) => (parts.length === 1 && parts[0] ? [ownTable, parts[0]] : null));
}

function readColumn(node: Node | undefined, read: (parts: readonly (string | null)[]) => Column | null): Column | null {
  if (node === undefined) return null;
  if ('TypeCast' in node && nameParts(node.TypeCast.typeName?.names).at(-1) === 'text') {
    const column = readColumn(node.TypeCast.arg, read);
    return column && [column[0], `${column[1]}::text`];
  }
  return 'ColumnRef' in node ? read(nameParts(node.ColumnRef.fields)) : null;
}
