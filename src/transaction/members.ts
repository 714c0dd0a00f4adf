import type { ServerConnection } from '../backend/server-connection.ts';
import type { Site } from '../catalog/site.ts';
import { pgError } from '../core/errors.ts';
import { settled } from '../core/settled.ts';
import type { Participant } from './commit.ts';

/** Where members come from, and go to. */
export interface MemberSource {
  acquire(site: Site, signal: AbortSignal): Promise<ServerConnection>;
  /** A connection that is free and has these settings; null: there is none at the moment. */
  acquireNow(site: Site, settingsKey: string): ServerConnection | null;
  release(site: Site, connection: ServerConnection): void;
  /** The session keeps its coordinator connection between transactions (temporary tables, LISTEN, advisory locks …). */
  coordinatorPinned(): boolean;
  /** Called for each new connection that joins, so that notices and notifications find the client. */
  attached(site: Site, connection: ServerConnection): void;
}

export interface Member {
  readonly site: Site;
  readonly connection: ServerConnection;
  part: Part;
}

/** A server's part in the open block. */
export type Part =
  | { readonly kind: 'none' }
  /** `appliedAtStart`: the settings the connection had when the block began there, to which a rollback returns it. */
  | { readonly kind: 'in block'; readonly appliedAtStart: string; readonly written: boolean };

const noPart: Part = { kind: 'none' };

/** The servers of a session's transaction, each with its connection. A connection stays until it is released. */
export class Members {
  readonly #source: MemberSource;
  readonly #bySite = new Map<Site, Member>();
  readonly #joining = new Map<Site, Promise<Member>>();
  /** What key triggers have reported since they were last asked for. */
  #keyReports: string[] = [];

  constructor(source: MemberSource) {
    this.#source = source;
  }

  get all(): readonly Member[] {
    return [...this.#bySite.values()];
  }

  get inBlock(): readonly Member[] {
    return this.all.filter(({ part }) => part.kind === 'in block');
  }

  get participants(): Participant[] {
    return this.all.flatMap(({ site, connection, part }) =>
      part.kind === 'in block' ? [{ site, connection, written: part.written }] : [],
    );
  }

  /** Somebody waits for a connection. */
  get areJoining(): boolean {
    return this.#joining.size > 0;
  }

  get(site: Site): Member | null {
    return this.#bySite.get(site) ?? null;
  }

  /** Who takes part, acquired once even when several ask at the same time. */
  take(site: Site, signal: AbortSignal): Promise<Member> {
    const member = this.#bySite.get(site);
    if (member !== undefined) {
      if (!member.connection.closed) return Promise.resolve(member);
      this.#bySite.delete(site);
      if (member.part.kind === 'in block') {
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

  /** The same without waiting; null: something would have to be waited for. */
  takeNow(site: Site, settingsKey: string): Member | null {
    const known = this.#bySite.get(site);
    if (known !== undefined) return known;
    if (this.areJoining) return null;
    const connection = this.#source.acquireNow(site, settingsKey);
    return connection === null ? null : this.#enlist(site, connection);
  }

  async #acquire(site: Site, signal: AbortSignal): Promise<Member> {
    return this.#enlist(site, await this.#source.acquire(site, signal));
  }

  #enlist(site: Site, connection: ServerConnection): Member {
    const member: Member = { site, connection, part: noPart };
    this.#bySite.set(site, member);
    connection.onKeyReport = this.#noteKeyReport;
    this.#source.attached(site, connection);
    return member;
  }

  readonly #noteKeyReport = (report: string) => {
    this.#keyReports.push(report);
  };

  get keyReportCount(): number {
    return this.#keyReports.length;
  }

  takeKeyReports(): string[] {
    const reports = this.#keyReports;
    this.#keyReports = [];
    return reports;
  }

  /** The block is being opened there. */
  enterBlock(member: Member): void {
    member.part = { kind: 'in block', appliedAtStart: member.connection.appliedSettings, written: false };
  }

  markWritten(site: Site): void {
    const member = this.#bySite.get(site);
    if (member?.part.kind === 'in block') member.part = { ...member.part, written: true };
  }

  hasWritten(isConcerned: (site: Site) => boolean): boolean {
    return this.inBlock.some(({ site, part }) => part.kind === 'in block' && part.written && isConcerned(site));
  }

  /** Runs something on every member in the block, but for a site that is left out. */
  async onEach(work: (connection: ServerConnection) => Promise<unknown>, except: Site | null = null): Promise<void> {
    const members = this.inBlock.filter(({ site }) => site !== except);
    await settled(members.map(({ connection }) => work(connection)));
  }

  /** ROLLBACK everywhere; a server that can't be told has done it itself. */
  async rollback(): Promise<void> {
    await Promise.all(
      this.inBlock.map(async ({ connection }) => {
        if (connection.closed) return;
        await connection.query('ROLLBACK').catch(() => connection.close());
      }),
    );
  }

  /** The servers have taken their settings back with the block. */
  revertSettings(): void {
    for (const { connection, part } of this.#bySite.values()) {
      if (part.kind === 'in block') connection.appliedSettings = part.appliedAtStart;
    }
  }

  /** The block has ended everywhere. */
  leaveBlock(): void {
    for (const member of this.#bySite.values()) member.part = noPart;
  }

  /** It takes its connection along. */
  remove(site: Site): void {
    this.#bySite.delete(site);
  }

  /** Outside a block: gives connections back to their pools, but for a pinned coordinator. */
  releaseIdle(): void {
    for (const [site, { connection }] of this.#bySite) {
      if (site === 'coordinator' && this.#source.coordinatorPinned() && !connection.closed) continue;
      this.#bySite.delete(site);
      this.#source.release(site, connection);
    }
  }

  /** The client is gone: a pinned connection is closed. */
  releaseAll(): void {
    for (const [site, { connection }] of this.#bySite) {
      if (site === 'coordinator' && this.#source.coordinatorPinned()) connection.close();
      this.#source.release(site, connection);
    }
    this.#bySite.clear();
  }
}
