import type { DeclareCursorStmt, DeleteStmt, Node, RangeVar, SelectStmt, UpdateStmt } from '@pgsql/types';
import { loopName, shellOfLoopTable } from '../catalog/loop-names.ts';
import { type DistributedTable, resolveRelation } from '../catalog/snapshot.ts';
import { assert } from '../core/assert.ts';
import { pgError, unsupported } from '../core/errors.ts';
import type { ClientOutput } from '../execute/client-output.ts';
import type { KeyKeeper } from '../execute/keys/key-keeper.ts';
import type { BoundValue } from '../execute/statement-bytes.ts';
import { quoteIdentifier, quoteQualified } from '../sql/quote.ts';
import { createSource, type Edit, positionOf, type SqlSource, splice } from '../sql/source.ts';
import { nameParts, walk } from '../sql/walk.ts';
import { AddressOutput, RowAddresses } from './loop-addresses.ts';
import type { StatementRun } from './run-statement.ts';
import type { RouterServices } from './services.ts';
import type { SessionState } from './session-state.ts';
import type { ParsedStatement } from './statement-cache.ts';

/**
 * What is special about statements that a function sends back: postgres_fdw names foreign tables, and rows by their ctid. All others
 * are any client's.
 */
export class LoopSession {
  readonly #state: SessionState;
  readonly #caller: () => SessionState;
  readonly #addresses = new RowAddresses();
  /** Cursors whose last column is a row's address. */
  readonly #cursors = new Set<string>();

  /** `caller` gives the session whose statement called the function. */
  constructor(state: SessionState, caller: () => SessionState) {
    this.#state = state;
    this.#caller = caller;
  }

  get keys(): KeyKeeper {
    return this.#caller().keys;
  }

  /** The statement as the planner can take it, and an output that knows rows' addresses. */
  prepare(run: StatementRun, output: ClientOutput): { readonly run: StatementRun; readonly output: ClientOutput } {
    const { node } = run.statement;
    if ('TransactionStmt' in node) {
      const { kind } = node.TransactionStmt;
      if (kind === 'TRANS_STMT_BEGIN' || kind === 'TRANS_STMT_START') this.#forget();
      return { run, output };
    }
    this.refuseTruncated(run.statement);
    this.#judge(run.statement);
    if ('DeclareCursorStmt' in node) {
      return { run: withoutAddresses(this.#declare(run, node.DeclareCursorStmt)), output };
    }
    if ('FetchStmt' in node && this.#cursors.has(node.FetchStmt.portalname ?? '')) {
      return { run, output: new AddressOutput(output, this.#addresses) };
    }
    if ('ClosePortalStmt' in node) this.#cursors.delete(node.ClosePortalStmt.portalname ?? '');
    if ('UpdateStmt' in node) return { run: withoutAddresses(this.#byKey(run, node.UpdateStmt)), output };
    if ('DeleteStmt' in node) return { run: withoutAddresses(this.#byKey(run, node.DeleteStmt)), output };
    return { run: withoutAddresses(run), output };
  }

  #forget(): void {
    this.#addresses.clear();
    this.#cursors.clear();
  }

  /** The coordinator has judged privileges and row security for whoever the function runs as; the nodes judge the session's role. */
  #judge(statement: ParsedStatement): void {
    const writes = /^(Insert|Update|Delete|Merge|Truncate)Stmt$/.test(statement.kind);
    const caller = this.#caller();
    const tables = this.#tablesOf(statement.node);
    if (tables.length === 0) return;
    if (writes) for (const { oid } of tables) caller.changedByFunctions.add(oid);
    const secured = tables.find((table) => table.hasRowSecurity);
    const exempt = caller.transaction.connectionOf('coordinator')?.parameters.get('is_superuser') === 'on';
    if (secured && (writes || !exempt)) {
      throw unsupported('PH051', `a function over table "${secured.name}", which has row security`);
    }
    if (!writes || caller.transaction.isOpenOn('coordinator')) return;
    throw unsupported(
      'PH051',
      `a function that writes distributed table "${tables[0]!.name}" outside a transaction block`,
    );
  }

  /** Before its types are asked for, which would wait for the very statement that waits for it. */
  refuseTruncated({ node }: ParsedStatement): void {
    const { truncating } = this.#caller();
    const truncated = truncating.size === 0 ? undefined : this.#tablesOf(node).find(({ oid }) => truncating.has(oid));
    if (truncated) throw unsupported('PH051', `a trigger of TRUNCATE that uses table "${truncated.name}" itself`);
  }

  #tablesOf(node: Node): DistributedTable[] {
    const found: DistributedTable[] = [];
    walk(node, (kind, { schemaname, relname }: RangeVar) => {
      if (kind !== 'RangeVar' || relname === undefined) return undefined;
      const named = resolveRelation(this.#state.catalog, schemaname, relname, []);
      if (named.kind === 'relation' && named.relation.distributed) found.push(named.relation.distributed);
      return undefined;
    });
    const [target] = Object.values(node) as [{ relation?: RangeVar }];
    const { schemaname, relname } = target.relation ?? {};
    const named = relname === undefined ? null : resolveRelation(this.#state.catalog, schemaname, relname, []);
    if (named?.kind === 'relation' && named.relation.distributed) found.push(named.relation.distributed);
    return found;
  }

  /** A cursor that gives `ctid` gives the row's key in its place, as text. */
  #declare(run: StatementRun, { portalname = '', query }: DeclareCursorStmt): StatementRun {
    const select = query && 'SelectStmt' in query ? query.SelectStmt : undefined;
    const address = addressColumn(select);
    if (address === null) return run;
    const [table] = this.#tablesOf(run.statement.node);
    const key = keyOf(table);
    this.#cursors.add(portalname);
    const list = [String(table!.oid), ...key.map(({ name }) => `${quoteIdentifier(name)}::pg_catalog.text`)].join(', ');
    const source = createSource(run.statement);
    const start = positionOf(source, address);
    const edit = {
      start,
      end: start + 'ctid'.length,
      parts: [`pg_catalog.json_build_array(${list})::pg_catalog.text`],
    };
    return { ...run, statement: this.#parse(splice<never>(source, [edit]).join('')) };
  }

  /** `WHERE ctid = $1` becomes `WHERE key = $1 …`: the planner finds the row's shard, and keeps what hangs on the row. */
  #byKey(run: StatementRun, { whereClause }: UpdateStmt | DeleteStmt): StatementRun {
    const place = addressParameter(whereClause);
    if (place === null) return run;
    const [table] = this.#tablesOf(run.statement.node);
    const key = keyOf(table);
    const [address, ...others] = run.parameters;
    const values = this.#addresses.keyAt(address?.bytes?.toString() ?? '');
    const keyValues = key.map(
      ({ typeOid }, i): BoundValue => ({ typeOid, format: 0, bytes: Buffer.from(values[i] ?? '') }),
    );
    const numbers = key.map((_, i) => (i === 0 ? 1 : others.length + 1 + i));
    const condition = key.map(({ name }, i) => `${quoteIdentifier(name)} = $${numbers[i]}`).join(' AND ');
    const source = createSource(run.statement);
    const start = positionOf(source, place);
    const tokens = source.tokens();
    const first = tokens.findIndex((token) => token.start === start);
    const last = tokens[first + 2];
    assert(first >= 0 && last, 'ctid = $1 is three tokens');
    const statement = this.#parse(splice<never>(source, [{ start, end: last.end, parts: [condition] }]).join(''));
    const [head, ...tail] = keyValues;
    return { ...run, statement, parameters: [head!, ...others, ...tail] };
  }

  #parse(text: string): ParsedStatement {
    const [statement] = this.#state.services.statements.parse(text);
    assert(statement, 'an edited statement is one');
    return statement;
  }
}

/** Statements are read with the shells' own names in the place of the foreign tables'. */
export function loopStatements(services: RouterServices): RouterServices['statements'] {
  const { statements } = services;
  return {
    parse(text) {
      const parsed = statements.parse(text);
      if (!text.includes(`${loopName}.`)) return parsed;
      return parsed.flatMap((statement) => statements.parse(withShells(statement, services)));
    },
  };
}

function withShells(statement: ParsedStatement, services: RouterServices): string {
  const source = createSource(statement);
  const edits: Edit<never>[] = [];
  const replace = ({ schemaname, relname, location }: RangeVar) => {
    const oid = shellOfLoopTable(schemaname, relname);
    if (oid === null) return;
    const shell = services.catalog().relationsByOid.get(oid);
    if (!shell) throw pgError('undefinedTable', `distributed table ${oid} does not exist`);
    const start = positionOf(source, location);
    const end = start + `${schemaname}.${relname}`.length;
    edits.push({ start, end, parts: [quoteQualified(shell.schema, shell.name)] });
  };
  walk(statement.node, (kind, fields: RangeVar) => {
    if (kind === 'RangeVar') replace(fields);
    return undefined;
  });
  const [target] = Object.values(statement.node) as [{ relation?: RangeVar }];
  if (target.relation) replace(target.relation);
  if (statement.kind === 'InsertStmt') edits.push(...overriding(source));
  return splice<never>(source, edits).join('');
}

/** The coordinator has drawn the values of identity columns already. */
function overriding(source: SqlSource): Edit<never>[] {
  const values = source.tokens().find((token) => token.kind === 'word' && token.text === 'values');
  return values ? [{ start: values.start, end: values.start, parts: ['OVERRIDING SYSTEM VALUE '] }] : [];
}

/** An address that has reached a condition would be compared with one of a node's. */
function withoutAddresses(run: StatementRun): StatementRun {
  walk(run.statement.node, (kind, { fields }: { fields?: Node[] }) => {
    if (kind === 'ColumnRef' && nameParts(fields).at(-1) === 'ctid') throw unsupported('PH007', 'ctid in a function');
    return undefined;
  });
  return run;
}

/** Where the last column of a SELECT is `ctid`; null: it is another. */
function addressColumn(select: SelectStmt | undefined): number | null {
  const target = select?.targetList?.at(-1);
  const value = target && 'ResTarget' in target ? target.ResTarget.val : undefined;
  if (!value || !('ColumnRef' in value)) return null;
  return nameParts(value.ColumnRef.fields).join('.') === 'ctid' ? (value.ColumnRef.location ?? 0) : null;
}

/** Where `ctid = $1` begins. */
function addressParameter(where: Node | undefined): number | null {
  if (!where || !('A_Expr' in where)) return null;
  const { lexpr, rexpr } = where.A_Expr;
  if (!lexpr || !('ColumnRef' in lexpr) || !rexpr || !('ParamRef' in rexpr) || rexpr.ParamRef.number !== 1) return null;
  return nameParts(lexpr.ColumnRef.fields).join('.') === 'ctid' ? (lexpr.ColumnRef.location ?? 0) : null;
}

function keyOf(table: DistributedTable | undefined): { readonly name: string; readonly typeOid: number }[] {
  const key = (table?.primaryKey ?? []).flatMap((name) => table?.columns.find((column) => column.name === name) ?? []);
  if (key.length > 0) return key;
  throw unsupported('PH052', `rows of table "${table?.name}" to be changed or locked by a function`);
}
