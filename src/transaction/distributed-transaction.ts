import type { ServerConnection, TransactionStatus } from '../backend/server-connection.ts';
import type { Site } from '../catalog/site.ts';
import { assert } from '../core/assert.ts';
import { PgError, pgError, unsupported } from '../core/errors.ts';
import { settled } from '../core/settled.ts';
import { conditions } from '../core/sqlstate.ts';
import { prepareForClient } from './client-prepare.ts';
import { type CommitHost, commitParticipants, type Participant } from './commit.ts';
import { applySettings, type SettingsSnapshot } from './settings.ts';

/** Openings of one statement that come between two commits. */
const maxSnapshotAttempts = 20;

/** What a session's transaction needs from the rest of the router. */
export interface TransactionHost extends CommitHost {
  /** All servers of the herd. */
  sites(): readonly Site[];
  acquire(site: Site, signal: AbortSignal): Promise<ServerConnection>;
  /** A connection that is free and has these settings; null: there is none at the moment. */
  acquireNow(site: Site, settingsKey: string): ServerConnection | null;
  release(site: Site, connection: ServerConnection): void;
  /** The session keeps its coordinator connection between transactions (temporary tables, LISTEN, advisory locks …). */
  coordinatorPinned(): boolean;
  /** Called for each new connection that joins, so that notices and notifications find the client. */
  attached(site: Site, connection: ServerConnection): void;
}

interface Savepoint {
  readonly name: string;
  /** Of a function that runs on the coordinator, which has set its own. */
  readonly inside: boolean;
  /** How much of `replay` lies before the savepoint, itself included. */
  readonly replayLength: number;
  readonly settings: SettingsSnapshot;
  /** What was applied to each connection when the savepoint was set. */
  readonly applied: ReadonlyMap<Site, string>;
}

/** A command of the open block that a server must hear which joins late. */
interface ReplayedCommand {
  readonly kind: 'savepoint' | LocalCommand;
  readonly sql: string;
}

/** SET LOCAL; SET TRANSACTION, in whatever words; SET CONSTRAINTS. */
export type LocalCommand = 'setting' | 'characteristic' | 'constraint';

interface Member {
  readonly site: Site;
  readonly connection: ServerConnection;
  inBlock: boolean;
  written: boolean;
  /** The settings the connection had when the block began: what a rollback returns it to. */
  appliedAtStart: string;
}

interface OpenBlock {
  readonly kind: 'implicit' | 'explicit';
  readonly begin: string;
  readonly startedAtMs: number;
  isolation: IsolationLevel;
  /** SAVEPOINTs and SET LOCALs in order: replayed on a server that joins late. */
  readonly replay: ReplayedCommand[];
  readonly savepoints: Savepoint[];
  readonly settingsAtStart: SettingsSnapshot;
  /** Above READ COMMITTED: settles when every server has its snapshot. Null: none has. */
  snapshots: Promise<void> | null;
  /** What now() and its like have said; it holds under these settings. */
  clock: { readonly settings: SettingsSnapshot; readonly values: Map<string, string> };
  /** SET TRANSACTION SNAPSHOT: what each server but the coordinator, which has it already, is to begin with. */
  imported: ReadonlyMap<Site, string> | null;
  failed: boolean;
}

/** `decider` null: no server takes part. */
export interface PlainEnd {
  readonly decider: { readonly site: Site; readonly connection: ServerConnection; readonly written: boolean } | null;
  readonly readers: readonly { readonly site: Site; readonly connection: ServerConnection }[];
}

type Block = { readonly kind: 'none' } | OpenBlock;

/** What a connection is joined for: rows, names and types, or a setting that must precede the first snapshot. */
export type JoinPurpose = 'data' | 'catalog' | 'setting';

/**
 * One session's transaction over the servers of the herd. Servers join when a statement first needs them; a transaction block is
 * opened on each, and at the end all of them commit or none (commit.ts).
 *
 * Invariant: while the block is 'none', no member holds an open transaction; after `end`, no member is left but a pinned coordinator.
 */
export class DistributedTransaction {
  readonly #host: TransactionHost;
  #block: Block = { kind: 'none' };
  #members = new Map<Site, Member>();
  #joining = new Map<Site, Promise<Member>>();
  #tablesNamed = 0;
  /** What key triggers have reported since they were last asked for. */
  #keyReports: string[] = [];
  #ending = false;
  #beside: DistributedTransaction | null = null;
  /** Servers whose rows a SERIALIZABLE transaction has used. */
  #serializableSites = new Set<Site>();
  settings: SettingsSnapshot;

  constructor(host: TransactionHost, settings: SettingsSnapshot) {
    this.#host = host;
    this.settings = settings;
  }

  /** As ReadyForQuery reports it. An implicit block is the client's 'I'. */
  get status(): TransactionStatus {
    if (this.#block.kind !== 'explicit') return 'I';
    return this.#block.failed ? 'E' : 'T';
  }

  /** When the open block began; null outside one. Milliseconds. */
  get startedAtMs(): number | null {
    return this.#block.kind === 'none' ? null : this.#block.startedAtMs;
  }

  /** The backends that hold locks for the open block. */
  get backends(): readonly { readonly site: Site; readonly processId: number }[] {
    const own = [...this.#members].map(([site, member]) => ({ site, processId: member.connection.processId }));
    return [...own, ...(this.#beside?.backends ?? [])];
  }

  get inBlock(): boolean {
    return this.#block.kind !== 'none';
  }

  get failed(): boolean {
    return this.#block.kind !== 'none' && this.#block.failed;
  }

  /** How a block like the open one begins, for COMMIT AND CHAIN: the client's BEGIN, and SET TRANSACTION after it. */
  get beginText(): string {
    if (this.#block.kind === 'none') return 'BEGIN';
    const { begin, replay } = this.#block;
    return [begin, ...replay.flatMap(({ kind, sql }) => (kind === 'characteristic' ? [sql] : []))].join('; ');
  }

  /** Of the open block, or what one would get that is opened now. */
  get isolation(): IsolationLevel {
    if (this.#block.kind === 'none') return defaultIsolation(this.settings);
    return this.#block.isolation;
  }

  /** All servers have theirs, for as long as the block lasts. */
  get snapshotsAreTaken(): boolean {
    return this.#block.kind !== 'none' && this.#block.snapshots !== null;
  }

  get explicit(): boolean {
    return this.#block.kind === 'explicit';
  }

  /** SET LOCAL is in force: what depends on settings can't be remembered by the session's own. */
  get hasLocalSettings(): boolean {
    return this.#block.kind !== 'none' && this.#block.replay.some(({ kind }) => kind !== 'savepoint');
  }

  /** What SET LOCAL has set in the open block, in order. */
  get localSettings(): readonly string[] {
    if (this.#block.kind === 'none') return [];
    return this.#block.replay.flatMap(({ kind, sql }) => (kind === 'setting' ? [sql] : []));
  }

  /** The open block has changed something there, or locked it, as far as the router knows. */
  hasWritten(where: 'nodes' | 'coordinator'): boolean {
    return [...this.#members].some(
      ([site, { written }]) => written && (site === 'coordinator') === (where === 'coordinator'),
    );
  }

  /** Temporary tables that a statement made on the coordinator are there still when it has ended. */
  get outlivesStatement(): boolean {
    return this.explicit;
  }

  /** For a temporary table: unlike those that earlier statements of the transaction have left to its end. */
  newTableName(): string {
    this.#tablesNamed += 1;
    return `pgherd_m${this.#tablesNamed}`;
  }

  get keyReportCount(): number {
    return this.#keyReports.length;
  }

  takeKeyReports(): string[] {
    const reports = this.#keyReports;
    this.#keyReports = [];
    return reports;
  }

  get sites(): readonly Site[] {
    return [...this.#members.keys()];
  }

  /** Connections that take part, for cancel requests. */
  get connections(): readonly ServerConnection[] {
    const own = [...this.#members.values()].map((member) => member.connection);
    return [...own, ...(this.#beside?.connections ?? [])];
  }

  /** Another transaction reads for a statement of this one: what cancels and what waits concerns it too. */
  set beside(transaction: DistributedTransaction | null) {
    this.#beside = transaction;
  }

  connectionOf(site: Site): ServerConnection | null {
    return this.#members.get(site)?.connection ?? null;
  }

  /** BEGIN by the client. `begin` is its text, options included. */
  beginExplicit(begin: string): void {
    if (this.#block.kind === 'implicit') {
      // BEGIN in a multi-statement text turns what came before it into part of the block, as in PostgreSQL.
      this.#block = { ...this.#block, kind: 'explicit' };
      return;
    }
    assert(this.#block.kind === 'none', 'a block is open already');
    this.#open('explicit', begin);
  }

  /** Opens a block that the router ends itself, unless one is open. */
  ensureBlock(begin = 'BEGIN'): void {
    if (this.#block.kind === 'none') this.#open('implicit', begin);
  }

  /**
   * For a statement that reads in several steps: a block that the router ends itself, all of its snapshots of one moment. `settings`: commands
   * that set what holds in it.
   */
  async openSnapshotBlock(signal: AbortSignal, settings: readonly string[] = []): Promise<void> {
    // Less than the session asks for is not given silently: the second server refuses.
    if (this.isolation === 'serializable') return;
    for (let attempt = 1; this.#block.kind === 'none'; attempt++) {
      const block = this.#open('implicit', 'BEGIN ISOLATION LEVEL REPEATABLE READ');
      block.replay.push(...settings.map((sql) => ({ kind: 'setting' as const, sql })));
      block.snapshots = this.#takeSnapshots(block, signal);
      try {
        await block.snapshots;
      } catch (error) {
        const again = error instanceof PgError && error.code === conditions.serializationFailure;
        if (!again || attempt === maxSnapshotAttempts) throw error;
        await this.rollback();
      }
    }
  }

  #open(kind: 'implicit' | 'explicit', begin: string): OpenBlock {
    const block: OpenBlock = {
      kind,
      begin,
      startedAtMs: Date.now(),
      isolation: readIsolation(begin) ?? defaultIsolation(this.settings),
      replay: [],
      savepoints: [],
      settingsAtStart: this.settings,
      snapshots: null,
      clock: { settings: this.settings, values: new Map() },
      imported: null,
      failed: false,
    };
    this.#block = block;
    return block;
  }

  /** After an error: only ROLLBACK, or ROLLBACK TO, leads on. */
  fail(): void {
    if (this.#block.kind !== 'none') this.#block.failed = true;
  }

  /**
   * The connection to a server, in the block if one is open, with the session's settings. For `data` above READ COMMITTED the
   * first one takes the snapshots of all servers; `setting` is for what must come before a transaction's first snapshot.
   */
  async join(site: Site, signal: AbortSignal, purpose: JoinPurpose = 'data'): Promise<ServerConnection> {
    if (purpose === 'data') {
      this.#refuseSecondSerializable(site);
      const block = this.#block;
      const isAsked = block.kind === 'explicit' || (block.kind === 'implicit' && readIsolation(block.begin) !== null);
      if (isAsked && block.isolation === 'repeatable read') {
        // All who join wait: a server begun beside the opening would have a snapshot of another moment.
        block.snapshots ??= this.#takeSnapshots(block, signal);
        await block.snapshots;
      }
    }
    const member = await this.#member(site, signal);
    const { connection } = member;
    if (connection.appliedSettings !== this.settings.key) await applySettings(connection, this.settings);
    if (this.#block.kind !== 'none' && !member.inBlock) await this.#begin(member, this.#block);
    return connection;
  }

  /**
   * As `join` for data, without waiting: null when something has to be waited for, or the block is no plain READ COMMITTED one.
   * The caller sends what `beginNow` gives before anything else.
   */
  joinNow(site: Site): ServerConnection | null {
    const block = this.#block;
    if (block.kind !== 'none' && (block.failed || !isPlain(block))) return null;
    const member = this.#members.get(site) ?? this.#acquireNow(site);
    if (member === null || member.connection.closed || member.connection.appliedSettings !== this.settings.key)
      return null;
    return member.connection;
  }

  /** The text that opens the block on a server that joins it now; null: it is in the block, or there is none. */
  beginNow(site: Site): string | null {
    const member = this.#members.get(site);
    if (member === undefined || member.inBlock || this.#block.kind === 'none') return null;
    member.inBlock = true;
    member.appliedAtStart = member.connection.appliedSettings;
    return this.#block.begin;
  }

  #acquireNow(site: Site): Member | null {
    if (this.#joining.size > 0) return null;
    const connection = this.#host.acquireNow(site, this.settings.key);
    return connection === null ? null : this.#enlist(site, connection);
  }

  /**
   * How the open block can end by the COMMIT of one server, the others having only read: null when there is more to it (several
   * writers, settings to revert, a connection that stays with the session).
   */
  plainEnd(): PlainEnd | null {
    const block = this.#block;
    if (block.kind !== 'explicit' || block.failed || !isPlain(block) || this.#joining.size > 0) return null;
    if (block.settingsAtStart !== this.settings) return null;
    let decider: Member | null = null;
    const readers: Member[] = [];
    for (const [site, member] of this.#members) {
      if (member.connection.closed || !member.connection.idle) return null;
      if (site === 'coordinator' && this.#host.coordinatorPinned()) return null;
      if (!member.inBlock) continue;
      if (decider === null) decider = member;
      else if (!member.written) readers.push(member);
      else if (decider.written) return null;
      else {
        readers.push(decider);
        decider = member;
      }
    }
    return { decider, readers };
  }

  /** What the clock of this block has said, by the SQL that asks it; null: nothing yet, or the session's time zone has changed since. */
  clockValue(sql: string): string | null {
    if (this.#block.kind === 'none' || this.#block.clock.settings !== this.settings) return null;
    return this.#block.clock.values.get(sql) ?? null;
  }

  noteClockValue(sql: string, value: string): void {
    if (this.#block.kind === 'none') return;
    if (this.#block.clock.settings !== this.settings)
      this.#block.clock = { settings: this.settings, values: new Map() };
    this.#block.clock.values.set(sql, value);
  }

  /**
   * COMMIT is on its way. The readers leave: `left` gives each of them back when it has answered, which nobody waits for.
   */
  startEnding({ readers }: PlainEnd): void {
    this.#ending = true;
    for (const { site } of readers) this.#members.delete(site);
  }

  /** A reader has ended, or is gone. */
  left(site: Site, connection: ServerConnection): void {
    this.#host.release(site, connection);
  }

  /** Its server has committed. */
  endedPlainly(): void {
    this.#finish();
  }

  /** Its server has not, or nobody knows. */
  endedByError(): void {
    if (this.#block.kind !== 'none') this.#revertSettings(this.#block.settingsAtStart);
    this.#finish();
  }

  /** REPEATABLE READ: every server's snapshot is taken here and now, while no distributed commit is half done. */
  async #takeSnapshots(block: OpenBlock, signal: AbortSignal): Promise<void> {
    const members = await Promise.all(this.#host.sites().map((site) => this.#member(site, signal)));
    await Promise.all(members.map(({ connection }) => applySettings(connection, this.settings)));
    const sites = this.#host.sites();
    const opening = await this.#host.fence.open(sites, signal, () =>
      Promise.all(
        members.map((member) => (member.inBlock ? member.connection.query('SELECT 1') : this.#begin(member, block))),
      ),
    );
    if (opening.confidence === 'sure') return;
    throw pgError('serializationFailure', 'could not take the snapshots of all nodes between two commits', {
      hint: 'Run the transaction again.',
    });
  }

  /** Opens the block on a server. Above READ COMMITTED its snapshot is taken with it. */
  async #begin(member: Member, block: OpenBlock): Promise<void> {
    member.inBlock = true;
    member.appliedAtStart = member.connection.appliedSettings;
    if (plainBegins.has(block.begin.toLowerCase()) && isPlain(block)) {
      sendBegin(member.connection, block.begin);
      return;
    }
    const statements = [block.begin, ...block.replay.map(({ sql }) => sql)];
    if (block.imported !== null) statements.push(this.#importSql(member, block.imported));
    if (block.snapshots !== null) statements.push('SELECT 1');
    await member.connection.query(statements.join('; '));
  }

  #importSql(member: Member, snapshots: ReadonlyMap<Site, string>): string {
    const [site = 'coordinator'] = [...this.#members].find(([, other]) => other === member) ?? [];
    const snapshot = snapshots.get(site);
    if (snapshot !== undefined) return `SET TRANSACTION SNAPSHOT '${snapshot}'`;
    throw pgError(
      'objectNotInPrerequisiteState',
      `the imported snapshot has none of ${member.connection.target.label}`,
    );
  }

  /** The coordinator has taken over another transaction's snapshot; the others will when they join. */
  importSnapshots(snapshots: ReadonlyMap<Site, string>): void {
    assert(
      this.#block.kind === 'explicit' && this.#block.snapshots === null,
      'a snapshot is imported before any is taken',
    );
    this.#block.imported = snapshots;
  }

  /** Serializability on each of several servers does not make the whole serializable, so it is not claimed. */
  #refuseSecondSerializable(site: Site): void {
    if (this.isolation !== 'serializable') return;
    this.#serializableSites.add(site);
    if (this.#serializableSites.size > 1) {
      throw unsupported('PH012', 'a SERIALIZABLE transaction over several servers');
    }
  }

  /** Who takes part, acquired once even when several ask at the same time. */
  #member(site: Site, signal: AbortSignal): Promise<Member> {
    const member = this.#members.get(site);
    if (member !== undefined) {
      if (!member.connection.closed) return Promise.resolve(member);
      this.#members.delete(site);
      if (member.inBlock) {
        const { label } = member.connection.target;
        return Promise.reject(pgError('connectionFailure', `connection to ${label} was lost during the transaction`));
      }
    }
    let joining = this.#joining.get(site);
    if (joining === undefined) {
      joining = this.#acquire(site, signal).finally(() => this.#joining.delete(site));
      this.#joining.set(site, joining);
    }
    return joining;
  }

  async #acquire(site: Site, signal: AbortSignal): Promise<Member> {
    return this.#enlist(site, await this.#host.acquire(site, signal));
  }

  #enlist(site: Site, connection: ServerConnection): Member {
    const member = { site, connection, inBlock: false, written: false, appliedAtStart: '' };
    this.#members.set(site, member);
    connection.onKeyReport = this.#noteKeyReport;
    this.#host.attached(site, connection);
    return member;
  }

  readonly #noteKeyReport = (report: string) => {
    this.#keyReports.push(report);
  };

  markWritten(site: Site): void {
    const member = this.#members.get(site);
    if (member) member.written = true;
  }

  /**
   * SET LOCAL, or what is about the block itself (SET TRANSACTION, SET CONSTRAINTS), which the coordinator's connection has run already: on
   * the other members now, on late ones as they join.
   */
  async setLocally(kind: LocalCommand, sql: string): Promise<void> {
    if (this.#block.kind === 'none') return;
    this.#block.replay.push({ kind, sql });
    this.#block.isolation = readIsolation(sql) ?? this.#block.isolation;
    const others = [...this.#members].filter(([site, member]) => member.inBlock && site !== 'coordinator');
    await Promise.all(others.map(([, member]) => member.connection.query(sql)));
  }

  /** The session's settings changed by a statement that the coordinator's connection has run already. */
  async changeSettings(settings: SettingsSnapshot): Promise<void> {
    this.settings = settings;
    for (const [site, member] of this.#members) {
      if (site === 'coordinator') member.connection.appliedSettings = settings.key;
      else await applySettings(member.connection, settings);
    }
  }

  async savepoint(name: string): Promise<void> {
    const block = this.#explicitBlock('SAVEPOINT');
    const sql = `SAVEPOINT ${quoteName(name)}`;
    await this.#onMembers((member) => member.connection.query(sql));
    block.replay.push({ kind: 'savepoint', sql });
    block.savepoints.push({
      name,
      inside: false,
      replayLength: block.replay.length,
      settings: this.settings,
      applied: new Map([...this.#members].map(([site, member]) => [site, member.connection.appliedSettings])),
    });
  }

  async rollbackTo(name: string): Promise<void> {
    const block = this.#explicitBlock('ROLLBACK TO SAVEPOINT');
    const index = findSavepoint(block.savepoints, name);
    const savepoint = block.savepoints[index]!;
    block.replay.length = savepoint.replayLength;
    block.savepoints.length = index + 1;
    await this.#onMembers((member) => member.connection.query(`ROLLBACK TO SAVEPOINT ${quoteName(name)}`));
    block.failed = false;
    this.settings = savepoint.settings;
    for (const [site, member] of this.#members) {
      const applied = savepoint.applied.get(site);
      if (applied !== undefined) member.connection.appliedSettings = applied;
      await applySettings(member.connection, this.settings);
    }
  }

  async releaseSavepoint(name: string): Promise<void> {
    const block = this.#explicitBlock('RELEASE SAVEPOINT');
    const index = findSavepoint(block.savepoints, name);
    const sql = `RELEASE SAVEPOINT ${quoteName(name)}`;
    await this.#onMembers((member) => member.connection.query(sql));
    block.replay.push({ kind: 'savepoint', sql });
    block.savepoints.length = index;
  }

  /** Whether a server's part of the transaction hangs on this one's end. */
  isOpenOn(site: Site): boolean {
    return this.#members.get(site)?.inBlock === true;
  }

  /** COMMIT or ROLLBACK is under way: nothing can join any more. */
  get ending(): boolean {
    return this.#ending;
  }

  /** How many savepoints the client has open; those of functions are not counted. */
  get savepointDepth(): number {
    return this.#block.kind === 'none' ? 0 : this.#block.savepoints.filter(({ inside }) => !inside).length;
  }

  /** A savepoint on the nodes for a function that runs on the coordinator, which has set its own. */
  async savepointInside(name: string): Promise<void> {
    const block = this.#openBlock();
    const sql = `SAVEPOINT ${quoteName(name)}`;
    await this.#onNodes((connection) => connection.query(sql));
    block.replay.push({ kind: 'savepoint', sql });
    const { settings } = this;
    block.savepoints.push({ name, inside: true, replayLength: block.replay.length, settings, applied: new Map() });
  }

  /** One that the client's own commands have taken along already is no longer there, and nothing is to be done. */
  async rollbackInside(name: string): Promise<void> {
    const block = this.#openBlock();
    const index = block.savepoints.findLastIndex((savepoint) => savepoint.inside && savepoint.name === name);
    if (index < 0) return;
    block.replay.length = block.savepoints[index]!.replayLength;
    block.savepoints.length = index + 1;
    await this.#onNodes((connection) => connection.query(`ROLLBACK TO SAVEPOINT ${quoteName(name)}`));
  }

  async releaseInside(name: string): Promise<void> {
    const block = this.#openBlock();
    const index = block.savepoints.findLastIndex((savepoint) => savepoint.inside && savepoint.name === name);
    if (index < 0) return;
    // A server that joins later has no need of it: a function may pass thousands of exception blocks.
    block.replay.splice(block.savepoints[index]!.replayLength - 1, 1);
    block.savepoints.length = index;
    await this.#onNodes((connection) => connection.query(`RELEASE SAVEPOINT ${quoteName(name)}`));
  }

  /** Commits everywhere or nowhere. Rejects with what went wrong; the transaction is over either way. */
  async commit(): Promise<void> {
    const block = this.#block;
    if (block.kind === 'none') return;
    this.#ending = true;
    try {
      await commitParticipants(this.#participants(), this.#host);
    } catch (error) {
      this.#revertSettings(block.settingsAtStart);
      throw error;
    } finally {
      this.#finish();
    }
  }

  #participants(): Participant[] {
    return [...this.#members].flatMap(([site, { inBlock, connection, written }]) =>
      inBlock ? [{ site, connection, written }] : [],
    );
  }

  /** PREPARE TRANSACTION by the client: the transaction lives on under its name, and this session is out of it. */
  async prepare(gid: string, signal: AbortSignal): Promise<void> {
    const block = this.#explicitBlock('PREPARE TRANSACTION');
    try {
      await this.join('coordinator', signal, 'catalog');
      this.#ending = true;
      await prepareForClient(this.#participants(), gid);
    } catch (error) {
      this.#revertSettings(block.settingsAtStart);
      throw error;
    } finally {
      this.#finish();
    }
  }

  async rollback(): Promise<void> {
    const block = this.#block;
    if (block.kind === 'none') return;
    this.#ending = true;
    await Promise.all(
      [...this.#members.values()].map(async (member) => {
        if (!member.inBlock || member.connection.closed) return;
        try {
          await member.connection.query('ROLLBACK');
        } catch {
          member.connection.close();
        }
      }),
    );
    this.#revertSettings(block.settingsAtStart);
    this.#finish();
  }

  /** Outside a block: gives connections back to their pools, but for a pinned coordinator. */
  releaseIdle(): void {
    if (this.#block.kind !== 'none') return;
    this.#serializableSites.clear();
    for (const [site, member] of this.#members) {
      if (site === 'coordinator' && this.#host.coordinatorPinned() && !member.connection.closed) continue;
      this.#members.delete(site);
      this.#host.release(site, member.connection);
    }
  }

  /** The client is gone: everything is rolled back, a pinned connection is closed. */
  async abandon(): Promise<void> {
    await this.rollback().catch(() => {});
    for (const [site, member] of this.#members) {
      if (site === 'coordinator' && this.#host.coordinatorPinned()) member.connection.close();
      this.#host.release(site, member.connection);
    }
    this.#members.clear();
  }

  #revertSettings(settings: SettingsSnapshot): void {
    this.settings = settings;
    for (const member of this.#members.values()) {
      if (member.inBlock) member.connection.appliedSettings = member.appliedAtStart;
    }
  }

  #finish(): void {
    this.#block = { kind: 'none' };
    this.#ending = false;
    this.#serializableSites.clear();
    for (const member of this.#members.values()) {
      member.inBlock = false;
      member.written = false;
    }
    this.releaseIdle();
  }

  #explicitBlock(command: string): OpenBlock {
    if (this.#block.kind !== 'explicit') {
      throw pgError('noActiveSqlTransaction', `${command} can only be used in transaction blocks`);
    }
    return this.#block;
  }

  #openBlock(): OpenBlock {
    assert(this.#block.kind !== 'none', 'a function runs in a block');
    return this.#block;
  }

  async #onNodes(work: (connection: ServerConnection) => Promise<unknown>): Promise<void> {
    const nodes = [...this.#members].filter(([site, member]) => site !== 'coordinator' && member.inBlock);
    await settled(nodes.map(([, member]) => work(member.connection)));
  }

  /** Runs something on every member in the block. */
  async #onMembers(work: (member: Member) => Promise<unknown>): Promise<void> {
    const members = [...this.#members.values()].filter((member) => member.inBlock);
    await settled(members.map(work));
  }
}

/** What no server has a reason to refuse: nobody waits for the answer, and what follows leaves in the same packet. */
const plainBegins: ReadonlySet<string> = new Set([
  ...['begin', 'begin work', 'begin transaction', 'start transaction'],
  'begin; set local plan_cache_mode = force_generic_plan',
]);

function sendBegin(connection: ServerConnection, sql: string): void {
  connection.cork();
  // Whatever comes after it must not run outside of the block.
  connection.query(sql).catch(() => connection.close());
  process.nextTick(() => connection.uncork());
}

/** A server that joins has nothing to be told but BEGIN. */
function isPlain({ isolation, replay, snapshots, imported }: OpenBlock): boolean {
  return isolation === 'read committed' && replay.length === 0 && snapshots === null && imported === null;
}

/** READ UNCOMMITTED is READ COMMITTED, as in PostgreSQL. */
export type IsolationLevel = 'read committed' | 'repeatable read' | 'serializable';

/** The level that BEGIN or SET TRANSACTION names, if it names one; the last of several. */
function readIsolation(sql: string): IsolationLevel | null {
  const matches = sql.matchAll(/isolation\s+level\s+(serializable|repeatable\s+read|read\s+(?:un)?committed)/gi);
  const name = [...matches].at(-1)?.[1];
  return name === undefined ? null : levelNamed(name);
}

function defaultIsolation(settings: SettingsSnapshot): IsolationLevel {
  return levelNamed(settings.values.get('default_transaction_isolation') ?? '');
}

function levelNamed(name: string): IsolationLevel {
  const level = name.toLowerCase().replaceAll(/\s+/g, ' ');
  return level === 'serializable' || level === 'repeatable read' ? level : 'read committed';
}

function findSavepoint(savepoints: readonly Savepoint[], name: string): number {
  for (let index = savepoints.length - 1; index >= 0; index--) if (savepoints[index]!.name === name) return index;
  throw pgError('invalidSavepointSpecification', `savepoint "${name}" does not exist`);
}

function quoteName(name: string): string {
  return `"${name.replaceAll('"', '""')}"`;
}
