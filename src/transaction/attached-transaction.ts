import type { ServerConnection } from '../backend/server-connection.ts';
import type { Site } from '../catalog/site.ts';
import { assert } from '../core/assert.ts';
import { unsupported } from '../core/errors.ts';
import {
  DistributedTransaction,
  type IsolationLevel,
  type JoinPurpose,
  type TransactionHost,
} from './distributed-transaction.ts';
import { noSettings, type SettingsSnapshot, withSetting } from './settings.ts';

/**
 * The transaction of a function's way back to the router. On nodes it is the one whose statement called the function: the same
 * connections, so own writes are seen and what is done here ends with it. The coordinator's connection of that one is busy with the
 * function, so this one has another, for types and for combining rows; nothing is written there.
 *
 * postgres_fdw mirrors the nesting of the coordinator's backend: savepoint `s2` is level 2. Levels that the client's own savepoints
 * have made are on the nodes already.
 */
export class AttachedTransaction extends DistributedTransaction {
  readonly #find: () => DistributedTransaction;
  #outer: DistributedTransaction | null = null;

  /** `find` gives the transaction that the function runs in, or throws. */
  constructor(host: TransactionHost, find: () => DistributedTransaction) {
    super(host, noSettings);
    this.#find = find;
  }

  get outer(): DistributedTransaction {
    assert(this.#outer !== null, 'the loop sends no statement outside a transaction');
    return this.#outer;
  }

  override get isolation(): IsolationLevel {
    return this.#outer?.isolation ?? 'read committed';
  }

  override beginExplicit(_begin: string): void {
    const outer = this.#find();
    super.beginExplicit('BEGIN');
    this.#outer = outer;
  }

  override async join(site: Site, signal: AbortSignal, purpose: JoinPurpose = 'data'): Promise<ServerConnection> {
    if (site === 'coordinator') return super.join(site, signal, purpose === 'data' ? 'catalog' : purpose);
    const { outer } = this;
    if (outer.ending) throw unsupported('PH051', 'a function that uses distributed tables at the end of a transaction');
    outer.ensureBlock();
    const kept = outer.settings;
    outer.settings = readableByServers(kept);
    try {
      return await outer.join(site, signal);
    } finally {
      outer.settings = kept;
    }
  }

  override markWritten(site: Site): void {
    if (site !== 'coordinator') this.outer.markWritten(site);
  }

  /** A cancel request reaches what the function waits for. */
  override get connections(): readonly ServerConnection[] {
    const outer = this.#outer;
    const nodes = outer?.connections.filter((connection) => connection !== outer.connectionOf('coordinator')) ?? [];
    return [...super.connections, ...nodes];
  }

  /** What happened to keys on the nodes' connections, which are the other one's. */
  override get keyReportCount(): number {
    return this.#outer?.keyReportCount ?? 0;
  }

  override takeKeyReports(): string[] {
    return this.#outer?.takeKeyReports() ?? [];
  }

  override async savepoint(name: string): Promise<void> {
    await super.savepoint(name);
    if (nestingLevel(name) > this.outer.savepointDepth + 1) await this.outer.savepointInside(insideName(name));
  }

  override async rollbackTo(name: string): Promise<void> {
    await super.rollbackTo(name);
    if (this.outer.inBlock) await this.outer.rollbackInside(insideName(name));
  }

  override async releaseSavepoint(name: string): Promise<void> {
    await super.releaseSavepoint(name);
    if (this.outer.inBlock) await this.outer.releaseInside(insideName(name));
  }

  override async commit(): Promise<void> {
    this.#outer = null;
    await super.commit();
  }

  override async rollback(): Promise<void> {
    this.#outer = null;
    await super.rollback();
  }
}

function nestingLevel(name: string): number {
  const match = /^s(\d+)$/.exec(name);
  assert(match, 'postgres_fdw names its savepoints after their levels');
  return Number(match[1]);
}

function insideName(name: string): string {
  return `pgherd_loop_${name}`;
}

/** Values travel as text, which the coordinator must read to the last digit whatever the session has set for its own output. */
function readableByServers(settings: SettingsSnapshot): SettingsSnapshot {
  const { values } = settings;
  let readable = settings;
  if (!/^(iso|$)/i.test(values.get('datestyle') ?? '')) readable = withSetting(readable, 'datestyle', 'ISO, YMD');
  if (!/^(postgres|$)/i.test(values.get('intervalstyle') ?? ''))
    readable = withSetting(readable, 'intervalstyle', 'postgres');
  if (Number(values.get('extra_float_digits') ?? '1') < 1) readable = withSetting(readable, 'extra_float_digits', '1');
  return readable;
}
