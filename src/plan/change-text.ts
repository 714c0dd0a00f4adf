import type { Node } from '@pgsql/types';
import { assert } from '../core/assert.ts';
import { unsupported } from '../core/errors.ts';
import type { Token } from '../sql/tokens.ts';
import { closing, type Extent, relationExtent } from './edits.ts';
import type { RelationItem } from './model.ts';

/** Where the parts of an UPDATE or DELETE stand in its text. */
export interface ChangeText {
  /** WITH …, up to UPDATE or DELETE. */
  readonly before: Extent;
  /** What stands on the right of each item of SET, in order. */
  readonly values: readonly Extent[];
  /** What follows FROM or USING. */
  readonly from: Extent | null;
  readonly where: Extent | null;
  /** What follows RETURNING. */
  readonly returning: Extent | null;
}

const clauseWords = new Set(['set', 'from', 'using', 'where', 'returning']);

export function changeText(target: RelationItem): ChangeText {
  const { source, kind } = target.block;
  assert(kind === 'update' || kind === 'delete', 'an UPDATE or DELETE');
  const tokens = source.tokens();
  const relation = relationExtent(source, target.node);
  const next = tokens.findIndex((token) => token.start >= relation.end);
  let verb = tokens.findIndex((token) => token.start === relation.start);
  while (tokens[verb]?.text !== kind) verb--;
  const clauses = clausesOf(tokens, next < 0 ? tokens.length : next);
  const extentOf = (...words: string[]): Extent | null => {
    const index = clauses.findIndex(({ word }) => words.includes(word));
    if (index < 0) return null;
    const end = clauses[index + 1]?.at ?? tokens.length;
    return { start: tokens[clauses[index]!.at]!.end, end: tokens[end - 1]!.end };
  };
  const set = extentOf('set');
  return {
    before: { start: 0, end: tokens[verb]!.start },
    values: set === null ? [] : assignedValues(tokens, set),
    from: kind === 'update' ? extentOf('from') : extentOf('using'),
    where: extentOf('where'),
    returning: extentOf('returning'),
  };
}

/** The clauses of the statement itself, each by the token that begins it. */
function clausesOf(tokens: readonly Token[], from: number): { word: string; at: number }[] {
  const found: { word: string; at: number }[] = [];
  for (let i = from; i < tokens.length; i++) {
    const { text, kind } = tokens[i]!;
    if (text === '(' || text === '[') i = closing(tokens, i);
    else if (kind !== 'word' || !clauseWords.has(text) || tokens[i - 1]?.text === '.') continue;
    else if (text === 'from' && (tokens[i - 1]?.text === 'distinct' || found.some(({ word }) => word === 'from')))
      continue;
    else if (text === 'using' && tokens[i + 1]?.text === '(' && found.length > 0) continue;
    else if (!found.some(({ word }) => word === text)) found.push({ word: text, at: i });
  }
  return found;
}

function assignedValues(tokens: readonly Token[], set: Extent): Extent[] {
  const first = tokens.findIndex((token) => token.start >= set.start);
  const last = tokens.findIndex((token) => token.end === set.end);
  return splitAtCommas(tokens, first, last + 1).map(([from, to]) => {
    let equals = from;
    while (tokens[equals]!.text !== '=')
      equals = tokens[equals]!.text === '(' ? closing(tokens, equals) + 1 : equals + 1;
    return { start: tokens[equals + 1]!.start, end: tokens[to - 1]!.end };
  });
}

/** The items of a list between two tokens, each as its first token and the one behind its last. */
function splitAtCommas(tokens: readonly Token[], from: number, to: number): [number, number][] {
  const items: [number, number][] = [];
  let start = from;
  for (let i = from; i < to; i++) {
    const { text } = tokens[i]!;
    if (text === '(' || text === '[') i = closing(tokens, i);
    else if (text === ',') {
      items.push([start, i]);
      start = i + 1;
    }
  }
  return [...items, [start, to]];
}

/** What a column is set to: an expression, its default, or a column of a subquery. */
export type AssignedValue =
  | { readonly kind: 'expression'; readonly extent: Extent }
  | { readonly kind: 'default' }
  | { readonly kind: 'subquery'; readonly extent: Extent; readonly column: number; readonly width: number };

export interface Assignment {
  readonly column: string;
  readonly value: AssignedValue;
}

/** The items of SET, one for each column. Parts of columns (`a[1]`, `c.field`) are refused. */
export function assignmentsOf(target: RelationItem, text: ChangeText): Assignment[] {
  if (target.block.kind !== 'update') return [];
  const targets = (target.block.node.targetList ?? []).flatMap((node) => ('ResTarget' in node ? [node.ResTarget] : []));
  const assignments: Assignment[] = [];
  let place = 0;
  for (const extent of text.values) {
    const value = targets[place]?.val;
    const width = value && 'MultiAssignRef' in value ? (value.MultiAssignRef.ncolumns ?? 1) : 1;
    const columns = targets.slice(place, place + width);
    place += width;
    if (columns.some(({ indirection }) => indirection !== undefined)) {
      throw unsupported('PH002', `assigning a part of a column of ${target.name} by rows that are elsewhere`);
    }
    const values = valuesOf(value, extent, width, target);
    for (const [i, { name = '' }] of columns.entries()) assignments.push({ column: name, value: values[i]! });
  }
  assert(place === targets.length, 'every item of SET is found in the text');
  return assignments;
}

function valuesOf(value: Node | undefined, extent: Extent, width: number, target: RelationItem): AssignedValue[] {
  if (!value || !('MultiAssignRef' in value)) return [oneValue(value, extent)];
  const source = value.MultiAssignRef.source;
  if (source && 'SubLink' in source) {
    return Array.from({ length: width }, (_, column) => ({ kind: 'subquery', extent, column, width }));
  }
  if (!source || !('RowExpr' in source) || source.RowExpr.args?.length !== width) {
    throw unsupported('PH002', `a row of values for columns of ${target.name}`);
  }
  const tokens = target.block.source.tokens();
  let open = tokens.findIndex((token) => token.start === extent.start);
  while (tokens[open]!.text !== '(') open++;
  const items = splitAtCommas(tokens, open + 1, closing(tokens, open));
  const { args } = source.RowExpr;
  return items.map(([from, to], i) => oneValue(args[i], { start: tokens[from]!.start, end: tokens[to - 1]!.end }));
}

function oneValue(value: Node | undefined, extent: Extent): AssignedValue {
  return value && 'SetToDefault' in value ? { kind: 'default' } : { kind: 'expression', extent };
}
