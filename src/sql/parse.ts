import type { Node } from '@pgsql/types';
import { hasSqlDetails, loadModule, parseSync } from 'libpg-query';
import { pgError } from '../core/errors.ts';
import { type Dialect, dialectStatementKind } from './dialect.ts';
import { blankOut, type DialectFind, scanDialects } from './dialect-scan.ts';

/** One statement of a text. Offsets are bytes into the UTF-8 text, as the parser reports all locations. */
export interface RawStatement {
  readonly node: Node;
  /** The statement's own text, without the semicolon and what surrounds it. */
  readonly text: string;
  /** Byte offset of `text` in the source; subtract it from a node's `location`. */
  readonly offsetBytes: number;
  /** What it has of Greenplum's or Postgres-XL's; `text` has spaces there, unless the whole statement is theirs. */
  readonly dialect?: Dialect;
}

await loadModule();

/** Splits a text into its statements and their syntax trees. Throws 42601 with the position that PostgreSQL would give. */
export function parseStatements(source: string): RawStatement[] {
  // libpg_query refuses the empty text, which PostgreSQL takes for no statement.
  if (source === '') return [];
  try {
    return parsePlain(source);
  } catch (error) {
    const finds = scanDialects(source);
    if (finds.length === 0) throw error;
    return withDialects(source, parsePlain(blankOut(source, finds)), finds);
  }
}

function parsePlain(source: string): RawStatement[] {
  let parsed: ReturnType<typeof parseSync>;
  try {
    parsed = parseSync(source);
  } catch (error) {
    const position = hasSqlDetails(error) && error.sqlDetails ? error.sqlDetails.cursorPosition + 1 : 0;
    const message = error instanceof Error ? error.message : String(error);
    throw pgError('syntaxError', message, position > 0 ? { position: String(position) } : {});
  }
  const bytes = Buffer.from(source, 'utf8');
  return (parsed.stmts ?? []).map((raw) => {
    const start = raw.stmt_location ?? 0;
    const end = raw.stmt_len ? start + raw.stmt_len : bytes.length;
    return { node: raw.stmt as Node, text: bytes.toString('utf8', start, end), offsetBytes: start };
  });
}

/** Joins what the grammar has read and what was taken off before, in the order of the text. */
function withDialects(source: string, statements: readonly RawStatement[], finds: readonly DialectFind[]) {
  const bytes = Buffer.from(source, 'utf8');
  const around = statements.map((statement): RawStatement => {
    const end = statement.offsetBytes + Buffer.byteLength(statement.text);
    const inside = finds.find((find) => !find.isStatement && find.start >= statement.offsetBytes && find.end <= end);
    return inside ? { ...statement, dialect: inside.dialect } : statement;
  });
  const own = finds.flatMap(({ isStatement, dialect, start, end }): RawStatement[] => {
    const node = { [dialectStatementKind]: {} } as unknown as Node;
    return isStatement ? [{ node, text: bytes.toString('utf8', start, end), offsetBytes: start, dialect }] : [];
  });
  return [...around, ...own].sort((a, b) => a.offsetBytes - b.offsetBytes);
}
