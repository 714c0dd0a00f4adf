import type { FuncCall, Node } from '@pgsql/types';
import type { ServerConnection } from '../backend/server-connection.ts';
import { type RelationEntry, resolveRelation } from '../catalog/snapshot.ts';
import { pgError } from '../core/errors.ts';
import { constantText } from '../sql/constant.ts';
import { deparseExpression } from '../sql/deparse.ts';
import { quoteLiteral } from '../sql/quote.ts';
import { createSource, type Edit, positionOf, splice } from '../sql/source.ts';
import { nameParts, walk } from '../sql/walk.ts';
import type { SessionState } from './session-state.ts';
import type { ParsedStatement } from './statement-cache.ts';

/**
 * currval() and lastval() belong to a session, and a session changes connections. So what a connection's sequences gave is asked
 * of it before it goes back to the pool, and later calls are answered from here: the call's text is replaced by the value.
 */
export class SequenceMemory {
  /** By OID of the sequence, as text. */
  #values = new Map<string, string>();
  #last: string | null = null;
  /** Sequences that may have moved on the connection at hand; null when that can't be known. */
  #touched = new Set<string>();
  #saving: Promise<void> = Promise.resolve();

  get touched(): boolean {
    return this.#touched.size > 0;
  }

  touch(sequence: string): void {
    this.#touched.add(sequence);
  }

  forget(): void {
    this.#values.clear();
    this.#last = null;
  }

  /** Reads what the connection knows, outside any transaction; each question may fail by itself. */
  save(connection: ServerConnection): Promise<void> {
    const sequences = [...this.#touched];
    this.#touched.clear();
    this.#saving = (async () => {
      for (const sequence of sequences) {
        const name = quoteLiteral(sequence);
        const answer = await connection.query(`SELECT ${name}::regclass::oid, currval(${name})`).catch(() => null);
        const [oid, value] = answer?.rows[0] ?? [];
        if (oid && value) this.#values.set(oid, value);
      }
      const answer = await connection.query('SELECT lastval()').catch(() => null);
      this.#last = answer?.rows[0]?.[0] ?? this.#last;
    })();
    return this.#saving;
  }

  /** The statement with its currval() and lastval() calls answered, as far as the connection at hand can't answer itself. */
  async answer(session: SessionState, statement: ParsedStatement): Promise<ParsedStatement> {
    await this.#saving;
    const calls = sequenceReads(statement.node);
    if (calls.length === 0) return statement;
    const source = createSource(statement);
    const edits: Edit<never>[] = [];
    for (const call of calls) {
      const value = await this.#valueOf(session, call);
      if (value === null) continue;
      const start = positionOf(source, call.location);
      const end = closingParenthesis(source.tokens(), start);
      edits.push({ start, end, parts: [`(SELECT '${value}'::bigint AS ${functionName(call)})`] });
    }
    if (edits.length === 0) return statement;
    const [text] = splice(source, edits);
    return session.services.statements.parse(text as string)[0] ?? statement;
  }

  async #valueOf(session: SessionState, call: FuncCall): Promise<string | null> {
    if (functionName(call) === 'lastval') {
      if (this.touched) return null;
      if (this.#last === null)
        throw pgError('objectNotInPrerequisiteState', 'lastval is not yet defined in this session');
      return this.#last;
    }
    const [argument] = call.args ?? [];
    if (argument === undefined || this.#touched.has(constantText(argument) ?? '')) return null;
    const connection = await session.coordinator();
    const { rows } = await connection.query(
      `SELECT x::oid, x::text FROM (SELECT (${deparseExpression(argument)})::regclass) AS s(x)`,
    );
    const [oid = '', shown = ''] = rows[0] ?? [];
    for (const touched of this.#touched) {
      const { rows: same } = await connection.query('SELECT to_regclass($1)::oid', [touched]);
      if (same[0]?.[0] === oid) return null;
    }
    const value = this.#values.get(oid ?? '');
    if (value !== undefined) return value;
    throw pgError('objectNotInPrerequisiteState', `currval of sequence "${shown}" is not yet defined in this session`);
  }
}

/** Notes which sequences a statement moves, before it runs on the coordinator. */
export async function noteSequences(session: SessionState, statement: ParsedStatement): Promise<void> {
  const { traits } = statement;
  for (const call of traits.movedSequences) {
    if (call === null) session.pinned = true;
    else session.sequences.touch(call);
  }
  const target = targetRelation(statement.node);
  if (target === null) return;
  const found = resolveRelation(session.catalog, target.schema, target.name, await session.searchPath());
  if (found.kind === 'relation') for (const name of sequencesOf(found.relation)) session.sequences.touch(name);
}

function sequencesOf(relation: RelationEntry): string[] {
  return relation.columns.flatMap((column) => (column.default.kind === 'sequence' ? [column.default.sequence] : []));
}

function targetRelation(node: Node): { schema: string | undefined; name: string } | null {
  const statement = Object.values(node)[0] as { relation?: { schemaname?: string; relname?: string } } | undefined;
  const kind = Object.keys(node)[0];
  if (kind !== 'InsertStmt' && kind !== 'MergeStmt' && kind !== 'CopyStmt') return null;
  const relation = statement?.relation;
  return relation?.relname === undefined ? null : { schema: relation.schemaname, name: relation.relname };
}

function sequenceReads(node: Node): FuncCall[] {
  const calls: FuncCall[] = [];
  walk(node, (kind, fields) => {
    if (kind === 'FuncCall' && ['currval', 'lastval'].includes(functionName(fields))) calls.push(fields);
    return undefined;
  });
  return calls;
}

function functionName(call: FuncCall): string {
  return nameParts(call.funcname).at(-1) ?? '';
}

function closingParenthesis(
  tokens: readonly { readonly text: string; readonly start: number; readonly end: number }[],
  start: number,
): number {
  let depth = 0;
  for (const token of tokens) {
    if (token.start < start) continue;
    if (token.text === '(') depth += 1;
    else if (token.text === ')' && --depth === 0) return token.end;
  }
  throw pgError('internalError', 'a call without an end');
}
