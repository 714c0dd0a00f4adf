import type { DeallocateStmt, ExecuteStmt, PrepareStmt, TypeName } from '@pgsql/types';
import { pgError } from '../core/errors.ts';
import { limits } from '../core/limits.ts';
import type { ClientOutput } from '../execute/client-output.ts';
import type { BoundValue } from '../execute/statement-bytes.ts';
import { castName } from '../plan/type-name.ts';
import { deparseExpression } from '../sql/deparse.ts';
import { describeStatement } from './describe-statement.ts';
import { runStatement } from './run-statement.ts';
import type { PreparedStatement, SessionState } from './session-state.ts';
import type { ParsedStatement } from './statement-cache.ts';
import { typeNameOf } from './type-names.ts';

/** PREPARE, EXECUTE and DEALLOCATE: the same named statements as those of Parse, as in PostgreSQL. */
export async function runPrepare(
  session: SessionState,
  statement: ParsedStatement,
  output: ClientOutput,
): Promise<void> {
  const command = (statement.node as { PrepareStmt: PrepareStmt }).PrepareStmt;
  const name = command.name ?? '';
  if (session.prepared.has(name)) {
    throw pgError('duplicatePreparedStatement', `prepared statement "${name}" already exists`);
  }
  if (session.prepared.size >= limits.maxPreparedStatementsPerSession) {
    throw pgError('programLimitExceeded', 'too many prepared statements in this session');
  }
  const text = queryText(statement, command);
  const [inner] = session.services.statements.parse(text);
  if (inner === undefined) throw pgError('syntaxError', 'PREPARE needs a statement');
  const oids = await parameterTypes(session, command);
  const described = await describeStatement(session, inner, oids);
  session.prepared.set(name, {
    name,
    statement: inner,
    parameterOids: described.parameterOids,
    fields: described.fields,
    describedIn: session.catalog.version,
    text: statement.text,
    preparedAtMs: session.services.clock.nowMs(),
    fromSql: true,
  });
  output.complete('PREPARE');
}

export async function runExecute(
  session: SessionState,
  statement: ParsedStatement,
  output: ClientOutput,
): Promise<void> {
  const command = (statement.node as { ExecuteStmt: ExecuteStmt }).ExecuteStmt;
  const prepared = findPrepared(session, command.name ?? '');
  if (prepared.statement === null) return output.complete('');
  const parameters = await evaluateParameters(session, prepared, command);
  await runStatement(session, { statement: prepared.statement, parameters, extended: true }, output);
}

export async function runDeallocate(
  session: SessionState,
  statement: ParsedStatement,
  output: ClientOutput,
): Promise<void> {
  const command = (statement.node as { DeallocateStmt: DeallocateStmt }).DeallocateStmt;
  if (command.isall || command.name === undefined) {
    session.prepared.clear();
    return output.complete('DEALLOCATE ALL');
  }
  findPrepared(session, command.name);
  session.prepared.delete(command.name);
  output.complete('DEALLOCATE');
}

export function findPrepared(session: SessionState, name: string): PreparedStatement {
  const prepared = session.prepared.get(name);
  if (prepared !== undefined) return prepared;
  throw name === ''
    ? pgError('invalidSqlStatementName', 'unnamed prepared statement does not exist')
    : pgError('invalidSqlStatementName', `prepared statement "${name}" does not exist`);
}

/** The user's own text behind `PREPARE name (types) AS`: the first AS outside quotes and parentheses. */
function queryText(statement: ParsedStatement, command: PrepareStmt): string {
  const pattern = /^\s*prepare\s+(?:"(?:[^"]|"")*"|[^\s(]+)\s*/i;
  let rest = statement.text.replace(pattern, '');
  if ((command.argtypes ?? []).length > 0) rest = rest.slice(closingParenthesis(rest) + 1);
  return rest.replace(/^\s*as\b\s*/i, '');
}

function closingParenthesis(text: string): number {
  let depth = 0;
  for (let at = 0; at < text.length; at++) {
    if (text[at] === '(') depth += 1;
    else if (text[at] === ')' && --depth === 0) return at;
  }
  return -1;
}

async function parameterTypes(session: SessionState, command: PrepareStmt): Promise<number[]> {
  const types = command.argtypes ?? [];
  if (types.length === 0) return [];
  const connection = await session.coordinator();
  const casts = types.map((type) =>
    deparseExpression({
      TypeCast: { arg: { A_Const: { isnull: true } }, typeName: (type as { TypeName: TypeName }).TypeName },
    }),
  );
  const { typeOids } = await connection.query(`SELECT ${casts.join(', ')}`);
  return [...typeOids];
}

/** The arguments, evaluated once on the coordinator, as text of the parameters' types. */
export async function evaluateParameters(
  session: SessionState,
  prepared: PreparedStatement,
  command: ExecuteStmt,
): Promise<BoundValue[]> {
  const expressions = command.params ?? [];
  const { parameterOids } = prepared;
  if (expressions.length !== parameterOids.length) {
    throw pgError('syntaxError', `wrong number of parameters for prepared statement "${prepared.name}"`, {
      detail: `Expected ${parameterOids.length} parameters but got ${expressions.length}.`,
    });
  }
  if (expressions.length === 0) return [];
  const casts: string[] = [];
  for (const [index, expression] of expressions.entries()) {
    const typeOid = parameterOids[index]!;
    const typeName = castName(typeOid, await typeNameOf(session, typeOid));
    casts.push(`((${deparseExpression(expression)})::${typeName})::text`);
  }
  const connection = await session.coordinator();
  const { rows } = await connection.query(`SELECT ${casts.join(', ')}`);
  return rows[0]!.map((text, index) => ({
    format: 0,
    bytes: text === null ? null : Buffer.from(text),
    typeOid: parameterOids[index]!,
  }));
}
