import type { ServerConnection, TransactionStatus } from '../backend/server-connection.ts';
import type { Site } from '../catalog/site.ts';
import { assert } from '../core/assert.ts';
import { PgError, pgError, unsupported } from '../core/errors.ts';
import { conditions } from '../core/sqlstate.ts';
import { type BlockEnd, blockEndOf, type PlainEnd, type TwoPhaseEnd } from './block-end.ts';
import { prepareForClient } from './client-prepare.ts';
import { type CommitHost, commitParticipants } from './commit.ts';
import { defaultIsolation, type IsolationLevel, readIsolation } from './isolation.ts';
import { changeMode, differsByMode } from './kept-plans.ts';
import { type Member, type MemberSource, Members } from './members.ts';
import {
  asksForRepeatableRead,
  type Block,
  beginningOf,
  createBlock,
  isPlain,
  joinSql,
  type LocalCommand,
  type OpenBlock,
} from './open-block.ts';
import {
  releaseInside,
  releaseSavepoint,
  rollbackInside,
  rollbackToSavepoint,
  setSavepoint,
  setSavepointInside,
} from './savepoints.ts';
import { needsNoAnswer, sendBegin } from './send-begin.ts';
import { applySettings, type SettingsSnapshot } from './settings.ts';
import { commitInTwoPhases } from './two-phase.ts';

export type { BlockEnd, PlainEnd, TwoPhaseEnd } from './block-end.ts';
export type { IsolationLevel } from './isolation.ts';
export type { LocalCommand } from './open-block.ts';

/** Openings of one statement that come between two commits. */
const maxSnapshotAttempts = 20;

/** What a session's transaction needs from the rest of the router. */
export interface TransactionHost extends CommitHost, MemberSource {
  /** All servers of the herd. */
  sites(): readonly Site[];
}

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
  readonly #members: Members;
  #block: Block = { kind: 'none' };
  #tablesNamed = 0;
  #beside: DistributedTransaction | null = null;
  /** Servers whose rows a SERIALIZABLE transaction has used. */
  #serializableSites = new Set<Site>();
  settings: SettingsSnapshot;

  constructor(host: TransactionHost, settings: SettingsSnapshot) {
    this.#host = host;
    this.#members = new Members(host);
    this.settings = settings;
  }

  /** As ReadyForQuery reports it. An implicit block is the client's 'I'. */
  get status(): TransactionStatus {
    if (this.#block.kind !== 'explicit') return 'I';
    return this.#block.phase === 'failed' ? 'E' : 'T';
  }

  /** When the open block began; null outside one. Milliseconds. */
  get startedAtMs(): number | null {
    return this.#block.kind === 'none' ? null : this.#block.startedAtMs;
  }

  /** The backends that hold locks for the open block. */
  get backends(): readonly { readonly site: Site; readonly processId: number }[] {
    const own = this.#members.all.map(({ site, connection }) => ({ site, processId: connection.processId }));
    return [...own, ...(this.#beside?.backends ?? [])];
  }

  get inBlock(): boolean {
    return this.#block.kind !== 'none';
  }

  get failed(): boolean {
    return this.#block.kind !== 'none' && this.#block.phase === 'failed';
  }

  /** COMMIT or ROLLBACK is under way: nothing can join any more. */
  get ending(): boolean {
    return this.#block.kind !== 'none' && this.#block.phase === 'ending';
  }

  /** How a block like the open one begins, for COMMIT AND CHAIN. */
  get beginText(): string {
    return this.#block.kind === 'none' ? 'BEGIN' : beginningOf(this.#block);
  }

  /** Of the open block, or what one would get that is opened now. */
  get isolation(): IsolationLevel {
    return this.#block.kind === 'none' ? defaultIsolation(this.settings) : this.#block.isolation;
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
    return this.#members.hasWritten((site) => (site === 'coordinator') === (where === 'coordinator'));
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
    return this.#members.keyReportCount;
  }

  takeKeyReports(): string[] {
    return this.#members.takeKeyReports();
  }

  get sites(): readonly Site[] {
    return this.#members.all.map(({ site }) => site);
  }

  /** Connections that take part, for cancel requests. */
  get connections(): readonly ServerConnection[] {
    return [...this.#members.all.map(({ connection }) => connection), ...(this.#beside?.connections ?? [])];
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

  #open(kind: OpenBlock['kind'], begin: string): OpenBlock {
    const block = createBlock(kind, begin, this.settings, this.#host.clock.nowMs());
    this.#block = block;
    return block;
  }

  /** After an error: only ROLLBACK, or ROLLBACK TO, leads on. */
  fail(): void {
    if (this.#block.kind !== 'none') this.#block.phase = 'failed';
  }

  /**
   * The connection to a server, in the block if one is open, with the session's settings. For `data` above READ COMMITTED the
   * first one takes the snapshots of all servers; `setting` is for what must come before a transaction's first snapshot.
   */
  async join(site: Site, signal: AbortSignal, purpose: JoinPurpose = 'data'): Promise<ServerConnection> {
    if (purpose === 'data') {
      this.#refuseSecondSerializable(site);
      const block = this.#block;
      if (block.kind !== 'none' && asksForRepeatableRead(block)) {
        // All who join wait: a server begun beside the opening would have a snapshot of another moment.
        block.snapshots ??= this.#takeSnapshots(block, signal);
        await block.snapshots;
      }
    }
    const member = await this.#members.take(site, signal);
    const { connection } = member;
    if (connection.appliedSettings !== this.settings.key) await applySettings(connection, this.settings);
    if (this.#block.kind !== 'none' && member.part.kind === 'none') await this.#begin(member, this.#block);
    return connection;
  }

  /**
   * As `join` for data, without waiting: null when something has to be waited for, or the block is no plain READ COMMITTED one.
   * It has been told of its settings, which are the session's or `wanted`. The caller sends what `beginNow` gives before anything else.
   */
  joinNow(site: Site, wanted: SettingsSnapshot = this.settings): ServerConnection | null {
    const block = this.#block;
    if (block.kind !== 'none' && (block.phase === 'failed' || !isPlain(block))) return null;
    const connection = this.#members.takeNow(site, wanted.key)?.connection;
    if (connection === undefined || connection.closed || !connection.idle || connection.cancelling !== null)
      return null;
    if (!differsByMode(connection, this.settings)) return null;
    changeMode(connection, wanted);
    return connection;
  }

  /** The text that opens the block on a server that joins it now; null: it is in the block, or there is none. */
  beginNow(site: Site): string | null {
    const member = this.#members.get(site);
    if (member === null || member.part.kind !== 'none' || this.#block.kind === 'none') return null;
    this.#members.enterBlock(member);
    return this.#block.begin;
  }

  /** How the open block can end without anything that is to be waited for first; null when there is more to it. */
  blockEnd(): BlockEnd | null {
    const block = this.#block;
    if (block.kind === 'none' || block.phase !== 'open' || !isPlain(block)) return null;
    // There are settings to revert.
    if (block.settingsAtStart !== this.settings) return null;
    return blockEndOf(this.#members, this.#host.coordinatorPinned());
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
    if (this.#block.kind !== 'none') this.#block.phase = 'ending';
    for (const { site } of readers) this.#members.remove(site);
  }

  /** Two-phase commit; `ended` hears of it when the transaction is over, with null if it is committed. */
  commitNow({ participants }: TwoPhaseEnd, ended: (error: unknown) => void): void {
    if (this.#block.kind !== 'none') this.#block.phase = 'ending';
    commitInTwoPhases(participants, this.#host, (error) => {
      if (error === null) this.endedPlainly();
      else this.endedByError();
      ended(error);
    });
  }

  /** A reader has ended, or is gone. */
  left(site: Site, connection: ServerConnection): void {
    this.#host.release(site, connection);
  }

  /** It is committed. */
  endedPlainly(): void {
    this.#finish();
  }

  /** It is not, or nobody knows. */
  endedByError(): void {
    if (this.#block.kind !== 'none') this.#revertSettings(this.#block.settingsAtStart);
    this.#finish();
  }

  /** REPEATABLE READ: every server's snapshot is taken here and now, while no distributed commit is half done. */
  async #takeSnapshots(block: OpenBlock, signal: AbortSignal): Promise<void> {
    const sites = this.#host.sites();
    const members = await Promise.all(sites.map((site) => this.#members.take(site, signal)));
    await Promise.all(members.map(({ connection }) => applySettings(connection, this.settings)));
    const take = (member: Member) =>
      member.part.kind === 'none' ? this.#begin(member, block) : member.connection.query('SELECT 1');
    const opening = await this.#host.fence.open(sites, signal, () => Promise.all(members.map(take)));
    if (opening.confidence === 'sure') return;
    throw pgError('serializationFailure', 'could not take the snapshots of all nodes between two commits', {
      hint: 'Run the transaction again.',
    });
  }

  async #begin(member: Member, block: OpenBlock): Promise<void> {
    this.#members.enterBlock(member);
    if (needsNoAnswer(block, member.connection, this.settings)) sendBegin(member.connection, block.begin);
    else await member.connection.query(joinSql(block, member));
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

  /** Its connection has been joined, and what it did or is about to do ends with the block. */
  markWritten(site: Site): void {
    this.#members.markWritten(site);
  }

  /**
   * SET LOCAL, or what is about the block itself (SET TRANSACTION, SET CONSTRAINTS), which the coordinator's connection has run already: on
   * the other members now, on late ones as they join.
   */
  async setLocally(kind: LocalCommand, sql: string): Promise<void> {
    if (this.#block.kind === 'none') return;
    this.#block.replay.push({ kind, sql });
    this.#block.isolation = readIsolation(sql) ?? this.#block.isolation;
    await this.#members.onEach((connection) => connection.query(sql), 'coordinator');
  }

  /** The session's settings changed by a statement that the coordinator's connection has run already. */
  async changeSettings(settings: SettingsSnapshot): Promise<void> {
    this.settings = settings;
    for (const { site, connection } of this.#members.all) {
      if (site === 'coordinator') connection.appliedSettings = settings.key;
      else await applySettings(connection, settings);
    }
  }

  async savepoint(name: string): Promise<void> {
    await setSavepoint(name, this.#explicitPlace('SAVEPOINT'), this.settings);
  }

  async rollbackTo(name: string): Promise<void> {
    this.settings = await rollbackToSavepoint(name, this.#explicitPlace('ROLLBACK TO SAVEPOINT'));
  }

  async releaseSavepoint(name: string): Promise<void> {
    await releaseSavepoint(name, this.#explicitPlace('RELEASE SAVEPOINT'));
  }

  /** How many savepoints the client has open; those of functions are not counted. */
  get savepointDepth(): number {
    return this.#block.kind === 'none' ? 0 : this.#block.savepoints.filter(({ inside }) => !inside).length;
  }

  /** A savepoint on the nodes for a function that runs on the coordinator, which has set its own. */
  async savepointInside(name: string): Promise<void> {
    await setSavepointInside(name, this.#place(), this.settings);
  }

  async rollbackInside(name: string): Promise<void> {
    await rollbackInside(name, this.#place());
  }

  async releaseInside(name: string): Promise<void> {
    await releaseInside(name, this.#place());
  }

  /** Whether a server's part of the transaction hangs on this one's end. */
  isOpenOn(site: Site): boolean {
    return this.#members.get(site)?.part.kind === 'in block';
  }

  /** Commits everywhere or nowhere. Rejects with what went wrong; the transaction is over either way. */
  async commit(): Promise<void> {
    const block = this.#block;
    if (block.kind === 'none') return;
    block.phase = 'ending';
    await this.#endWith(block, () => commitParticipants(this.#members.participants, this.#host));
  }

  /** PREPARE TRANSACTION by the client: the transaction lives on under its name, and this session is out of it. */
  async prepare(gid: string, signal: AbortSignal): Promise<void> {
    const { block } = this.#explicitPlace('PREPARE TRANSACTION');
    await this.#endWith(block, async () => {
      await this.join('coordinator', signal, 'catalog');
      block.phase = 'ending';
      await prepareForClient(this.#members.participants, gid);
    });
  }

  async #endWith(block: OpenBlock, end: () => Promise<void>): Promise<void> {
    try {
      await end();
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
    block.phase = 'ending';
    await this.#members.rollback();
    this.#revertSettings(block.settingsAtStart);
    this.#finish();
  }

  /** Outside a block: gives connections back to their pools, but for a pinned coordinator. */
  releaseIdle(): void {
    if (this.#block.kind !== 'none') return;
    this.#serializableSites.clear();
    this.#members.releaseIdle();
  }

  /** The client is gone: everything is rolled back, a pinned connection is closed. */
  async abandon(): Promise<void> {
    await this.rollback().catch(() => {});
    this.#members.releaseAll();
  }

  #revertSettings(settings: SettingsSnapshot): void {
    this.settings = settings;
    this.#members.revertSettings();
  }

  #finish(): void {
    this.#block = { kind: 'none' };
    this.#members.leaveBlock();
    this.releaseIdle();
  }

  #explicitPlace(command: string): { readonly block: OpenBlock; readonly members: Members } {
    if (this.#block.kind !== 'explicit') {
      throw pgError('noActiveSqlTransaction', `${command} can only be used in transaction blocks`);
    }
    return { block: this.#block, members: this.#members };
  }

  #place(): { readonly block: OpenBlock; readonly members: Members } {
    assert(this.#block.kind !== 'none', 'a function runs in a block');
    return { block: this.#block, members: this.#members };
  }
}
