import type { Node } from '@pgsql/types';
import { deparseChecked } from './deparse.ts';
import { parseStatements, type RawStatement } from './parse.ts';

/** A query that has been changed, as a statement of its own: its text is written anew, so its locations fit. */
export function restate(query: Node): RawStatement {
  const [statement] = parseStatements(deparseChecked(query));
  if (!statement) throw new TypeError('a query has text');
  return statement;
}
