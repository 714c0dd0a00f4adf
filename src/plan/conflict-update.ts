import type { DistributedTable, GlobalIndex } from '../catalog/snapshot.ts';
import { assert } from '../core/assert.ts';
import { unsupported } from '../core/errors.ts';
import { quoteIdentifier } from '../sql/quote.ts';
import type { SqlSource } from '../sql/source.ts';
import { nameParts } from '../sql/walk.ts';
import { type Extent, tokenAt } from './edits.ts';
import type { RelationItem } from './model.ts';
import type { ConflictUpdate, MotionColumn, SqlTemplate } from './plan.ts';
import { assignedSql, castName } from './type-name.ts';

/**
 * ON CONFLICT … DO UPDATE by a global unique index, which no node has: where the index knows the value already, the nodes get an UPDATE
 * of the row that has it, with the row that was to be inserted beside it, as `excluded`.
 */
export function conflictUpdate(
  target: RelationItem,
  tailStart: number,
  index: GlobalIndex,
  rows: {
    readonly columns: readonly MotionColumn[];
    readonly part: (extent: Extent) => SqlTemplate;
    readonly checked: SqlTemplate;
  },
): ConflictUpdate {
  const { block, table } = target;
  assert(block.kind === 'insert' && table, 'a clause of INSERT');
  const refused = (what: string) =>
    unsupported('PH002', `ON CONFLICT DO UPDATE by global unique index ${index.name}: ${what}`);
  if (table.hasRowTriggers) throw refused(`${table.name} has row triggers, which may change what is inserted`);
  if (table.hasRowSecurity) throw refused(`${table.name} has row security`);
  const { returningClause, onConflictClause } = block.node;
  const versions = block.columnRefs.some((ref) => ['old', 'new'].includes(nameParts(ref.fields).at(-2) ?? ''));
  if (returningClause?.options || (returningClause && versions)) throw refused('RETURNING with old and new rows');
  const text = clauseText(block.source, tailStart);
  const part = (extent: Extent | null) => (extent === null ? null : rows.part(extent));
  const assigned = (onConflictClause?.targetList ?? []).flatMap((each) =>
    'ResTarget' in each ? [each.ResTarget] : [],
  );
  return {
    ...{ alias: target.name, set: rows.part(text.set), where: part(text.where), returning: part(text.returning) },
    movesKey: assigned.some(({ name = '', val }) => index.columns.includes(name) && !isProposed(name, val)),
    proposed: proposedSql(table, rows.columns),
    checked: rows.checked,
  };
}

/** `mail = excluded.mail`: the value by which the row was found. */
function isProposed(name: string, value: object | undefined): boolean {
  if (!value || !('ColumnRef' in value)) return false;
  return nameParts((value.ColumnRef as { fields?: [] }).fields).join('.') === `excluded.${name}`;
}

interface ClauseText {
  /** Behind SET. */
  readonly set: Extent;
  /** Behind WHERE. */
  readonly where: Extent | null;
  /** Behind RETURNING. */
  readonly returning: Extent | null;
}

function clauseText(source: SqlSource, tailStart: number): ClauseText {
  const tokens = source.tokens();
  let at = tokenAt(tokens, tailStart);
  while (!(tokens[at]?.text === 'do' && tokens[at + 1]?.text === 'update' && tokens[at + 2]?.text === 'set')) at++;
  const marks: { readonly word: string; readonly start: number; readonly end: number }[] = [tokens[at + 2]!].map(
    ({ start, end }) => ({ word: 'set', start, end }),
  );
  let depth = 0;
  for (const { kind, text, start, end } of tokens.slice(at + 3)) {
    if (text === '(' || text === '[') depth++;
    else if (text === ')' || text === ']') depth--;
    else if (depth === 0 && kind === 'word' && (text === 'where' || text === 'returning')) {
      marks.push({ word: text, start, end });
    }
  }
  const extent = (word: string): Extent | null => {
    const place = marks.findIndex((mark) => mark.word === word);
    if (place < 0) return null;
    return { start: marks[place]!.end, end: marks[place + 1]?.start ?? source.bytes.length };
  };
  return { set: extent('set')!, where: extent('where'), returning: extent('returning') };
}

/** Name of the travelling rows; `c0` … are their columns, as they travel. */
export const proposedRows = 'pgherd_p';

/** The row as it would be stored: its columns under their names, defaults filled in, generated ones computed. */
function proposedSql(table: DistributedTable, columns: readonly MotionColumn[]): string {
  const generated = table.columns.flatMap((column) =>
    column.default.kind === 'generated' ? [{ column, expression: column.default.expression }] : [],
  );
  const list = table.columns.map((column) => {
    const name = quoteIdentifier(column.name);
    if (column.default.kind === 'generated') return `NULL::${castName(column.typeOid, column.typeName)} AS ${name}`;
    const place = columns.findIndex((each) => each.name === column.name);
    if (place >= 0) return `${assignedSql(`${proposedRows}.c${place}`, column)} AS ${name}`;
    const value = column.default.kind === 'constant' ? column.default.expression : 'NULL';
    return `${assignedSql(`(${value})`, column)} AS ${name}`;
  });
  const base = `SELECT ${list.join(', ')}`;
  if (generated.length === 0) return base;
  const outer = table.columns.map((column) => {
    const name = quoteIdentifier(column.name);
    const found = generated.find((each) => each.column === column);
    return found ? `(${found.expression})::${castName(column.typeOid, column.typeName)} AS ${name}` : name;
  });
  return `SELECT ${outer.join(', ')} FROM (${base}) AS ${quoteIdentifier(table.name)}`;
}
