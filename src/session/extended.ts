import { unreachable } from '../core/assert.ts';
import { pgError } from '../core/errors.ts';
import { limits } from '../core/limits.ts';
import type { BoundValue } from '../execute/statement-bytes.ts';
import {
  bindComplete,
  closeComplete,
  decodeCommandComplete,
  emptyQueryResponse,
  encodeCommandComplete,
  encodeParameterDescription,
  encodeRowDescription,
  type FieldDescription,
  noData,
  parseComplete,
  portalSuspended,
} from '../wire/backend.ts';
import { decodeBind, decodeClose, decodeDescribe, decodeExecute, decodeParse } from '../wire/frontend.ts';
import { headerBytes } from '../wire/message-reader.ts';
import { describeStatement, isRemembered } from './describe-statement.ts';
import { maxHotBytes, type ParsedText, routeScope } from './hot/route-book.ts';
import { PortalOutput, resultTypeChanged } from './outputs.ts';
import { findPrepared } from './prepare-commands.ts';
import { runStatement } from './run-statement.ts';
import type { PreparedStatement, SessionState } from './session-state.ts';
import { refuseInFailedTransaction } from './session-state.ts';
import type { ParsedStatement } from './statement-cache.ts';

/** A prepared statement bound to values, and how far its answer has been given. */
interface Portal {
  readonly prepared: PreparedStatement;
  readonly parameters: readonly BoundValue[];
  readonly output: PortalOutput;
  run: PortalRun;
}

type PortalRun =
  | { readonly kind: 'new' }
  | { readonly kind: 'running'; readonly finished: Promise<'finished'> }
  | { readonly kind: 'done' };

/** The extended protocol of one session: Parse, Bind, Describe, Execute, Close. Errors are thrown; the session skips to Sync. */
export class ExtendedProtocol {
  readonly #session: SessionState;
  #portals = new Map<string, Portal>();
  /** What the hot path has run to its end as the unnamed portal of the open transaction. */
  #finished: { readonly prepared: PreparedStatement; readonly bind: Buffer; readonly tag: Buffer } | null = null;

  constructor(session: SessionState) {
    this.#session = session;
  }

  async parse(frame: Buffer): Promise<void> {
    const session = this.#session;
    const { name, sql, parameterOids } = decodeParse(frame);
    if (name === '') session.prepared.delete('');
    else if (session.prepared.has(name)) {
      throw pgError('duplicatePreparedStatement', `prepared statement "${name}" already exists`);
    } else if (session.prepared.size >= limits.maxPreparedStatementsPerSession) {
      throw pgError('programLimitExceeded', 'too many prepared statements in this session');
    }
    const statements = session.services.statements.parse(sql);
    if (statements.length > 1) {
      throw pgError('syntaxError', 'cannot insert multiple commands into a prepared statement');
    }
    const [statement = null] = statements;
    const origin = {
      text: sql,
      preparedAtMs: session.services.clock.nowMs(),
      fromSql: false,
      describedIn: session.catalog.version,
    };
    if (session.transaction.failed && !endsTransaction(statement)) refuseInFailedTransaction();
    if (statement === null || statement.kind === 'TransactionStmt') {
      session.prepared.set(name, { name, statement, parameterOids, fields: null, ...origin });
      if (statement !== null) this.#remember(frame, { statement, text: sql, parameterOids, fields: null });
    } else {
      session.loop?.refuseTruncated(statement);
      const description = await describeStatement(session, statement, parameterOids);
      session.prepared.set(name, { name, statement, ...description, ...origin });
      this.#remember(frame, { statement, text: sql, ...description });
    }
    session.client.write(parseComplete);
  }

  async bind(frame: Buffer): Promise<void> {
    const session = this.#session;
    const bind = decodeBind(frame);
    const prepared = findPrepared(session, bind.statement);
    const { parameterOids } = prepared;
    if (bind.parameters.length !== parameterOids.length) {
      throw pgError(
        'protocolViolation',
        `bind message supplies ${bind.parameters.length} parameters, but prepared statement "${bind.statement}" requires ${parameterOids.length}`,
      );
    }
    if (session.transaction.failed && !endsTransaction(prepared.statement)) refuseInFailedTransaction();
    await this.#checkFields(prepared);
    if (bind.portal !== '' && this.#portals.has(bind.portal)) {
      throw pgError('duplicateCursor', `cursor "${bind.portal}" already exists`);
    }
    const fieldCount = prepared.fields?.length ?? 0;
    if (bind.resultFormats.length > 1 && bind.resultFormats.length !== fieldCount) {
      throw pgError(
        'protocolViolation',
        `bind message has ${bind.resultFormats.length} result formats but query has ${fieldCount} columns`,
      );
    }
    if (this.#portals.size >= limits.maxPortalsPerSession) {
      throw pgError('programLimitExceeded', 'too many portals in this session');
    }
    void this.#drop(bind.portal);
    const formats = bind.parameterFormats;
    this.#portals.set(bind.portal, {
      prepared,
      parameters: bind.parameters.map((bytes, index) => ({
        bytes: bytes === null ? null : Buffer.from(bytes),
        format: formatOf(formats, index),
        typeOid: parameterOids[index]!,
      })),
      output: new PortalOutput(session.client, bind.resultFormats, prepared.fields?.length),
      run: { kind: 'new' },
    });
    session.client.write(bindComplete);
  }

  describe(frame: Buffer): void {
    const { client } = this.#session;
    const target = decodeDescribe(frame);
    if (target.kind === 'S') {
      const prepared = findPrepared(this.#session, target.name);
      this.#refuseRowsInFailedTransaction(prepared);
      client.write(encodeParameterDescription(prepared.parameterOids));
      client.write(prepared.fields === null ? noData : encodeRowDescription(prepared.fields));
      return;
    }
    const portal = this.#portal(target.name);
    this.#refuseRowsInFailedTransaction(portal.prepared);
    const { fields } = portal.prepared;
    const formats = portal.output.resultFormats;
    client.write(
      fields === null
        ? noData
        : encodeRowDescription(fields.map((field, index) => ({ ...field, format: formatOf(formats, index) }))),
    );
  }

  /** `syncFollows`: nothing else is in this pipeline, so the statement may be a transaction of its own on its server. */
  async execute(frame: Buffer, syncFollows: boolean): Promise<void> {
    const session = this.#session;
    const { client } = session;
    const { portal: name, maxRows } = decodeExecute(frame);
    const portal = this.#portal(name);
    const { statement } = portal.prepared;
    if (statement === null) {
      client.write(emptyQueryResponse);
      return;
    }
    const granted = maxRows > 0 ? maxRows : Number.POSITIVE_INFINITY;
    switch (portal.run.kind) {
      case 'new': {
        if (session.transaction.failed && !endsTransaction(statement)) refuseInFailedTransaction();
        await this.#spoolOthers(portal);
        if (!syncFollows && statement.kind !== 'TransactionStmt') session.transaction.ensureBlock();
        const finished = runStatement(
          session,
          { statement, parameters: portal.parameters, extended: true },
          portal.output,
        ).then((): 'finished' => 'finished');
        finished.catch(() => {});
        portal.run = { kind: 'running', finished };
        return this.#give(portal, finished, granted);
      }
      case 'running':
        return this.#give(portal, portal.run.finished, granted);
      case 'done':
        if (portal.prepared.fields === null) {
          throw pgError('objectNotInPrerequisiteState', `portal "${name}" cannot be run`);
        }
        // Rows that were all given: there are none left.
        client.write(encodeCommandComplete(withCount(portal.output.tag ?? '', 0)));
        return;
      default:
        unreachable(portal.run);
    }
  }

  /** What the client was told of the rows has to hold still: clients remember it, and read rows by it. */
  async #checkFields(prepared: PreparedStatement): Promise<void> {
    const session = this.#session;
    const { statement, fields, parameterOids } = prepared;
    const { version } = session.catalog;
    // A transaction's own catalog may change without a new number.
    const isCurrent = prepared.describedIn === version && session.transactionCatalog === null;
    if (statement === null || isCurrent || session.transaction.failed) return;
    const now = fields === null ? null : (await describeStatement(session, statement, parameterOids)).fields;
    if (!sameRows(fields, now)) throw resultTypeChanged();
    if (session.transactionCatalog === null) session.prepared.set(prepared.name, { ...prepared, describedIn: version });
  }

  /** For the next Parse of the same. */
  #remember(parse: Buffer, parsed: ParsedText): void {
    const session = this.#session;
    const path = session.knownSearchPath;
    if (path === null || parse.length > maxHotBytes) return;
    if (!isRemembered(session, parsed.statement) || parsed.statement.kind === 'ExecuteStmt') return;
    routeScope(session, path).parsed.set(parse.toString('latin1', parse.indexOf(0, headerBytes) + 1), parsed);
  }

  /** Forgets a portal that has given everything; false: others have still to. */
  clearFinished(): boolean {
    if (this.#portals.size === 0) return true;
    if (this.#portals.size > 1 || this.#portals.get('')?.run.kind !== 'done') return false;
    this.#portals.delete('');
    return true;
  }

  /** The unnamed portal has been run to its end, in a transaction block. */
  noteFinished(prepared: PreparedStatement, bind: Buffer, tag: Buffer): void {
    this.#finished = { prepared, bind, tag };
  }

  async close(frame: Buffer): Promise<void> {
    const target = decodeClose(frame);
    if (target.kind === 'S') this.#session.prepared.delete(target.name);
    else await this.#drop(target.name);
    this.#session.client.write(closeComplete);
  }

  /** Something else needs the servers: rows still to come are read into memory. */
  async spoolAll(): Promise<void> {
    await this.#spoolOthers(null);
  }

  /** The transaction ends: its portals end before it. */
  async closePortals(): Promise<void> {
    this.#finished = null;
    await Promise.all([...this.#portals.keys()].map((name) => this.#drop(name)));
  }

  async #give(portal: Portal, finished: Promise<'finished'>, rows: number): Promise<void> {
    const { client } = this.#session;
    const { output } = portal;
    const suspended = output.grant(rows);
    const outcome = await Promise.race([finished, suspended]);
    if (outcome === 'suspended') {
      client.write(portalSuspended);
      return;
    }
    if (output.waitingRows > 0) {
      // All rows are here and more than the limit.
      client.write(portalSuspended);
      return;
    }
    portal.run = { kind: 'done' };
    const tag = output.tag ?? '';
    client.write(
      tag === ''
        ? emptyQueryResponse
        : encodeCommandComplete(portal.prepared.fields === null ? tag : withCount(tag, output.passedRows)),
    );
  }

  async #spoolOthers(current: Portal | null): Promise<void> {
    for (const portal of this.#portals.values()) {
      if (portal === current || portal.run.kind !== 'running') continue;
      portal.output.spool();
      await portal.run.finished.catch(() => {});
    }
  }

  async #drop(name: string): Promise<void> {
    if (name === '') this.#finished = null;
    const portal = this.#portals.get(name);
    if (portal === undefined) return;
    this.#portals.delete(name);
    if (portal.run.kind !== 'running') return;
    portal.output.discard();
    await portal.run.finished.catch(() => {});
  }

  #portal(name: string): Portal {
    const portal = this.#portals.get(name) ?? (name === '' ? this.#finishedPortal() : undefined);
    if (portal === undefined) throw pgError('invalidCursorName', `portal "${name}" does not exist`);
    return portal;
  }

  #finishedPortal(): Portal | undefined {
    if (this.#finished === null) return undefined;
    const { prepared, bind, tag } = this.#finished;
    const output = new PortalOutput(this.#session.client, decodeBind(bind).resultFormats);
    output.complete(decodeCommandComplete(tag));
    return { prepared, parameters: [], output, run: { kind: 'done' } };
  }

  #refuseRowsInFailedTransaction(prepared: PreparedStatement): void {
    if (this.#session.transaction.failed && prepared.fields !== null) refuseInFailedTransaction();
  }
}

/** equalRowTypes (tupdesc.c). */
function sameRows(a: PreparedStatement['fields'], b: PreparedStatement['fields']): boolean {
  if (a === null || b === null) return a === b;
  const isSame = (field: FieldDescription, other: FieldDescription | undefined) =>
    field.name === other?.name && field.typeOid === other.typeOid && field.typeModifier === other.typeModifier;
  return a.length === b.length && a.every((field, i) => isSame(field, b[i]));
}

/** The count of what gives rows is of the rows that one Execute gave. */
function withCount(tag: string, rows: number): string {
  return tag.replace(/\d+$/, String(rows));
}

function formatOf(formats: readonly number[], index: number): 0 | 1 {
  const format = formats.length === 1 ? formats[0] : formats[index];
  return format === 1 ? 1 : 0;
}

function endsTransaction(statement: ParsedStatement | null): boolean {
  return statement === null || statement.kind === 'TransactionStmt';
}
