import type { A_Expr, Node } from '@pgsql/types';
import type { LiteralScan } from '../../sql/literal-scan.ts';
import type { ParsedStatement } from '../statement-cache.ts';
import type { SentValues } from './node-messages.ts';

/*
 * A text of the simple protocol whose numbers may stand for others: where a column is compared with a plain integer, the statement means the same
 * with a parameter of type integer in its place. All other literals stay what they are, since types, names and places in lists hang on them.
 */

/** Which literals of the text may become parameters: places in the scan, ascending. */
export function comparedLiterals({ node }: ParsedStatement, scan: LiteralScan): number[] {
  const select = 'SelectStmt' in node ? node.SelectStmt : undefined;
  const locations = new Set(select?.op === 'SETOP_NONE' ? comparedIntegers(select.whereClause) : []);
  const places = Array.from({ length: scan.count }, (_, place) => place);
  // Both count in bytes of the whole text. A sign stands in front of its literal, which is left then.
  return places.filter((place) => locations.has(scan.starts[place]!));
}

function comparedIntegers(node: Node | undefined): number[] {
  if (node === undefined) return [];
  if ('BoolExpr' in node) return (node.BoolExpr.args ?? []).flatMap(comparedIntegers);
  return 'A_Expr' in node ? integersBeside(node.A_Expr) : [];
}

function integersBeside({ kind, name, lexpr, rexpr }: A_Expr): number[] {
  const isList = kind === 'AEXPR_BETWEEN' || kind === 'AEXPR_IN';
  if (isList) return isColumn(lexpr) && rexpr !== undefined && 'List' in rexpr ? allOf(rexpr.List.items ?? []) : [];
  if (kind !== 'AEXPR_OP' || !comparisons.has(operatorOf(name))) return [];
  if (isColumn(lexpr)) return integersIn(rexpr) ?? [];
  return isColumn(rexpr) ? (integersIn(lexpr) ?? []) : [];
}

const comparisons = new Set(['=', '<>', '<', '<=', '>', '>=']);

/** Empty: it is qualified. */
function operatorOf(name: readonly Node[] | undefined): string {
  const [operator, ...more] = name ?? [];
  return operator !== undefined && 'String' in operator && more.length === 0 ? (operator.String.sval ?? '') : '';
}

function isColumn(node: Node | undefined): boolean {
  return node !== undefined && 'ColumnRef' in node;
}

function allOf(nodes: readonly Node[]): number[] {
  return nodes.flatMap((node) => integersIn(node) ?? []);
}

/** Integers, and sums and differences of them; null: there is something else in it. */
function integersIn(node: Node | undefined): number[] | null {
  if (node === undefined) return null;
  if ('A_Const' in node) return node.A_Const.ival === undefined ? null : [node.A_Const.location ?? 0];
  if (!('A_Expr' in node) || node.A_Expr.kind !== 'AEXPR_OP') return null;
  const { name, lexpr, rexpr } = node.A_Expr;
  if (operatorOf(name) !== '+' && operatorOf(name) !== '-') return null;
  const [left, right] = [integersIn(lexpr), integersIn(rexpr)];
  return left && right && [...left, ...right];
}

/** The text with parameters in these places. One character for each byte, as the scan has it. */
export function withParameters(text: string, scan: LiteralScan, places: readonly number[]): string {
  let from = 0;
  let written = '';
  for (const [i, place] of places.entries()) {
    // Spaces: the scan lets an integer stand right behind an operator, where a parameter could not.
    written += `${text.slice(from, scan.starts[place])} $${i + 1} `;
    from = scan.ends[place]!;
  }
  return Buffer.from(written + text.slice(from), 'latin1').toString('utf8');
}

/** What the other literals say. */
export function otherLiterals(text: string, scan: LiteralScan, places: readonly number[]): string {
  let key = '';
  let next = 0;
  for (let place = 0; place < scan.count; place++) {
    if (places[next] === place) next += 1;
    else key += `${text.slice(scan.starts[place], scan.ends[place])}\0`;
  }
  return key;
}

/** The literals that have become parameters, as text. Those of the message looked at last. */
export class SentLiterals implements SentValues {
  readonly #scan: LiteralScan;
  text = '';
  places: readonly number[] = [];

  constructor(scan: LiteralScan) {
    this.#scan = scan;
  }

  formatOf(): 0 {
    return 0;
  }

  isNull(): boolean {
    return false;
  }

  bytesOf(parameter: number): Buffer {
    const place = this.places[parameter]!;
    return Buffer.from(this.text.slice(this.#scan.starts[place], this.#scan.ends[place]), 'latin1');
  }
}
