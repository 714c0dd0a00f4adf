import type { Node, SelectStmt } from '@pgsql/types';
import { Deparser } from 'pgsql-deparser';
import { assert } from '../core/assert.ts';
import { unsupported } from '../core/errors.ts';
import { parseStatements } from './parse.ts';
import { joinParts } from './source.ts';
import { fingerprint } from './walk.ts';

/**
 * A statement as text. The deparser knows nearly all of the grammar and is wrong about corners of it, so what it wrote is parsed
 * again and must be the same tree; otherwise the statement is refused, never changed.
 */
export function deparseChecked(statement: Node): string {
  const counts: Node[] = [];
  const marked = markTies(statement, counts);
  const text = withTies(Deparser.deparse(marked as never, { pretty: false }).trim(), counts);
  let again: Node | undefined;
  try {
    again = parseStatements(text)[0]?.node;
  } catch {
    again = undefined;
  }
  if (again === undefined || fingerprint(again) !== fingerprint(statement)) {
    throw unsupported('PH002', 'a statement that can not be written back as text faithfully');
  }
  return text;
}

/** The deparser forgets WITH TIES: such a count becomes a mark, which is found again in the text. */
function markTies<T>(value: T, counts: Node[]): T {
  if (Array.isArray(value)) return value.map((item) => markTies(item, counts)) as T;
  if (typeof value !== 'object' || value === null) return value;
  const select: SelectStmt = value;
  if (select.limitOption !== 'LIMIT_OPTION_WITH_TIES' || !select.limitCount) {
    return Object.fromEntries(Object.entries(value).map(([key, child]) => [key, markTies(child, counts)])) as T;
  }
  const name = `pgherd ties ${counts.push(select.limitCount) - 1}`;
  const limitCount: Node = { ColumnRef: { fields: [{ String: { sval: name } }] } };
  return markTies({ ...value, limitCount, limitOption: 'LIMIT_OPTION_COUNT' }, counts);
}

function withTies(text: string, counts: readonly Node[]): string {
  if (counts.length === 0) return text;
  const count = (place: string) => deparseExpression(counts[Number(place)]!);
  return text.replace(
    /LIMIT "pgherd ties (\d+)"/g,
    (_, place: string) => `FETCH FIRST (${count(place)}) ROWS WITH TIES`,
  );
}

/** An expression as text, safe inside parentheses. */
export function deparseExpression(expression: Node): string {
  const select: Node = {
    SelectStmt: {
      targetList: [{ ResTarget: { val: expression } }],
      limitOption: 'LIMIT_OPTION_DEFAULT',
      op: 'SETOP_NONE',
    },
  };
  const text = deparseChecked(select);
  assert(/^select\s/i.test(text), 'the deparser writes SELECT first');
  return text.slice('select'.length).trim();
}

const holePattern = /"pgherd hole (\d+)"/;

/** A node that stands for a hole in the text: an identifier that nobody uses. */
export function holeNode(index: number): Node {
  return { ColumnRef: { fields: [{ String: { sval: holeName(index) } }] } };
}

/** The identifier itself, for a hole in the place of a relation. */
export function holeName(index: number): string {
  return `pgherd hole ${index}`;
}

/** The text with its hole nodes as parts again. Text of the user's own that looks like a hole is refused. */
export function fillHoles<Hole>(text: string, holes: readonly (readonly (string | Hole)[])[]): (string | Hole)[] {
  const pieces = text.split(holePattern);
  if ((pieces.length - 1) / 2 !== holes.length) throw unsupported('PH002', 'an identifier that pgherd uses itself');
  return joinParts(pieces.flatMap((piece, i) => (i % 2 === 0 ? [piece] : (holes[Number(piece)] ?? []))));
}
