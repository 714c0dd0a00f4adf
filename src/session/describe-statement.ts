import type { DeclareCursorStmt, ExecuteStmt } from '@pgsql/types';
import type { BoundValue } from '../execute/statement-bytes.ts';
import { dialectStatementKind } from '../sql/dialect.ts';
import { createSource, textBetween } from '../sql/source.ts';
import type { FieldDescription } from '../wire/backend.ts';
import { withClusterWideNames } from './cluster-wide-names.ts';
import { describeOn, type StatementDescription } from './describe.ts';
import { describeDirect } from './execute-direct.ts';
import { withOwnNames } from './own-names.ts';
import { resultShape } from './result-shape.ts';
import type { SessionState } from './session-state.ts';
import type { ParsedStatement } from './statement-cache.ts';

/**
 * Parameter and row types of a statement, from preparing it on the coordinator; remembered for as long as the catalog, the search
 * path and the role stay the same and no temporary table shadows anything.
 */
export async function describeStatement(
  session: SessionState,
  statement: ParsedStatement,
  parameterOids: readonly number[],
): Promise<StatementDescription> {
  if (statement.kind === 'ExecuteStmt') {
    const { name } = (statement.node as { ExecuteStmt: ExecuteStmt }).ExecuteStmt;
    const prepared = session.prepared.get(name ?? '');
    if (prepared !== undefined) return { parameterOids: [], fields: prepared.fields };
  }
  if (statement.kind === dialectStatementKind) {
    if (statement.dialect?.kind !== 'execute direct') return { parameterOids: [], fields: null };
    return { parameterOids: [], fields: await describeDirect(session, statement.dialect) };
  }
  const ofCursor = fetchedFields(session, statement);
  // The format is Bind's to say.
  if (ofCursor !== null) return { parameterOids: [], fields: ofCursor.map((field) => ({ ...field, format: 0 })) };
  return withOwnNames(session, statement, (found) => remembered(session, found, parameterOids, found.text));
}

/**
 * The columns that a statement without parameters gives, as the coordinator describes them: other servers have other OIDs for tables
 * and types. Rejects with the coordinator's error if it finds one in the statement.
 */
export async function describeRows(
  session: SessionState,
  { statement, parameters }: { readonly statement: ParsedStatement; readonly parameters: readonly BoundValue[] },
): Promise<readonly FieldDescription[] | null> {
  const oids = parameters.map(({ typeOid }) => typeOid);
  const { fields } = await remembered(session, statement, oids, resultShape(createSource(statement)));
  return fields;
}

/** A cursor over motions was declared: its columns are those of the query as the client wrote it. */
export async function noteCursor(
  session: SessionState,
  statement: ParsedStatement,
  parameterOids: readonly number[],
): Promise<void> {
  const source = createSource(statement);
  const query = source.tokens().find((token) => token.kind === 'word' && token.text === 'for');
  const { portalname = '', options = 0 } = (statement.node as { DeclareCursorStmt: DeclareCursorStmt })
    .DeclareCursorStmt;
  const text = textBetween(source, query?.end ?? 0, source.bytes.length);
  const [inner] = session.services.statements.parse(text);
  if (inner === undefined) return;
  const { fields } = await remembered(session, inner, parameterOids, inner.text);
  const format = (options & binaryCursor) === 0 ? 0 : 1;
  session.cursorFields.set(portalname, fields?.map((field) => ({ ...field, format })) ?? null);
}

/** CURSOR_OPT_BINARY of parsenodes.h: in the simple protocol FETCH gives rows in binary. */
const binaryCursor = 0x0001;

/** CLOSE: the name may come to mean another cursor. */
export function forgetCursor(session: SessionState, { node }: ParsedStatement): void {
  const name = 'ClosePortalStmt' in node ? node.ClosePortalStmt.portalname : undefined;
  if (name === undefined) session.cursorFields.clear();
  else session.cursorFields.delete(name);
}

/** What FETCH gives of such a cursor; null: the coordinator knows. */
export function fetchedFields(session: SessionState, { node }: ParsedStatement): StatementDescription['fields'] {
  if (!('FetchStmt' in node) || node.FetchStmt.ismove) return null;
  return session.cursorFields.get(node.FetchStmt.portalname ?? '') ?? null;
}

/** What is known already of a statement without parameters: that it gives no rows, or which. Undefined: nothing. */
export function knownDescription(session: SessionState, statement: ParsedStatement): StatementDescription | undefined {
  if (!givesRows(statement)) return { parameterOids: [], fields: null };
  if (!isRemembered(session, statement)) return undefined;
  return session.services.descriptions.get(descriptionKey(session, [], resultShape(createSource(statement))));
}

/** Whether the answer to a SELECT, INSERT, UPDATE, DELETE or MERGE has rows. */
export function givesRows({ kind, node }: ParsedStatement): boolean {
  if (kind === 'SelectStmt') return true;
  const statement = Object.values(node)[0] as { readonly returningList?: unknown; readonly returningClause?: unknown };
  return statement.returningList !== undefined || statement.returningClause !== undefined;
}

/** Statements with the same `shape` have the same description. */
async function remembered(
  session: SessionState,
  statement: ParsedStatement,
  parameterOids: readonly number[],
  shape: string,
): Promise<StatementDescription> {
  const { services } = session;
  const cacheable = isRemembered(session, statement);
  const key = descriptionKey(session, parameterOids, shape);
  const known = cacheable ? services.descriptions.get(key) : undefined;
  if (known !== undefined) return known;
  const connection = await session.coordinator();
  const { text } = await withClusterWideNames(session, statement);
  const description = await describeOn(connection, text, parameterOids);
  if (cacheable) services.descriptions.set(key, description);
  return description;
}

/** Nothing of the session or its transaction alone has a part in what names mean. */
export function isRemembered(session: SessionState, statement: ParsedStatement): boolean {
  const { transactionCatalog, temporaryNames, transaction } = session;
  const isOwn = transactionCatalog !== null || temporaryNames.size > 0 || transaction.hasLocalSettings;
  return !isOwn && statement.kind !== 'FetchStmt';
}

function descriptionKey(session: SessionState, parameterOids: readonly number[], shape: string): string {
  const { transaction } = session;
  return [
    session.catalog.version,
    session.identity.user,
    // The role too: `"$user"` in the search path.
    ...['search_path', 'role', 'session_authorization'].map((name) => transaction.settings.values.get(name) ?? ''),
    parameterOids.join(','),
    shape,
  ].join('\0');
}
