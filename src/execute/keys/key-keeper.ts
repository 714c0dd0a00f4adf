import type { KeptForeignKey } from '../../catalog/foreign-key.ts';
import type { CatalogSnapshot } from '../../catalog/snapshot.ts';
import { pgError } from '../../core/errors.ts';
import type { ExecutionContext } from '../context.ts';
import { ConstraintModes } from './constraint-modes.ts';
import { type KeySides, sidesOf } from './foreign-key-sql.ts';
import { actOnChildren, checkLeft, checkWritten, type LeftKey } from './foreign-keys.ts';
import { addEntries, hasEntry, type KeptIndex, keptIndex, removeEntries } from './index-entries.ts';
import { KeyBalance, type KeyReport, type KeyValues, readKeyReport } from './key-report.ts';

/** Reports that one statement may leave for its end. */
const maxReports = 2_000_000;

/** How deep foreign keys' actions may lead from table to table, or within one. */
const maxRounds = 1_000;

/** What has happened to the two sides of a foreign key since it was last checked. */
interface KeyChanges {
  /** Values that rows of the referencing table were given. */
  readonly written: Map<string, KeyValues>;
  /** Those that rows of the referenced table have no more, and on which no action is left to do. */
  readonly left: Map<string, KeyValues>;
}

/**
 * Keeps the keys that no server can keep by itself, for one session: what the key triggers have reported becomes entries of global unique
 * indexes, and checks and actions of foreign keys. `settle` is called when a statement has ended, before the client hears of it.
 */
export class KeyKeeper {
  /** By index: entries that were taken before their rows were there. */
  #claims = new Map<string, KeyValues[]>();
  /** By OID of the foreign key: to be checked at the end of the statement. */
  #changes = new Map<number, KeyChanges>();
  /** To be acted on. */
  #left = new Map<number, LeftKey[]>();
  /** To be checked at the end of the transaction. */
  #deferred = new Map<number, KeyChanges>();
  readonly #modes = new ConstraintModes();
  /** By OID of the foreign key: referenced rows that an UPDATE moves between shards, of which it is reported that they are gone. */
  #moved = new Map<number, Map<string, KeyValues>>();

  noteMoved(oid: number, was: KeyValues, becomes: KeyValues): void {
    const moved = this.#moved.get(oid) ?? new Map<string, KeyValues>();
    this.#moved.set(oid, moved.set(JSON.stringify(was), becomes));
  }

  /** What is now in an index for rows that are yet to come: see claimEntries(). */
  noteClaims(kept: KeptIndex, entries: readonly KeyValues[]): void {
    const id = watchIdOf(kept);
    this.#claims.set(id, [...(this.#claims.get(id) ?? []), ...entries]);
  }

  /** Brings the indexes up to what has happened to the rows; within a statement too, when later parts of it rely on them. */
  async settleEntries(context: ExecutionContext): Promise<void> {
    const reports = context.transaction.takeKeyReports().map(readKeyReport);
    if (reports.length > maxReports) throw tooManyChanges();
    if (reports.length === 0 && this.#claims.size === 0) return;
    const indexes = keptIndexes(context.snapshot);
    const balances = new Map<string, KeyBalance>();
    const balanceOf = (id: string): KeyBalance => {
      const balance = balances.get(id) ?? new KeyBalance();
      balances.set(id, balance);
      return balance;
    };
    for (const [id, claimed] of this.#claims) for (const entry of claimed) balanceOf(id).add(entry, -1);
    this.#claims.clear();
    for (const report of reports) {
      const { id, was, becomes } = report;
      if (!id.startsWith('u')) {
        this.#noteForeignKey(report);
        continue;
      }
      const kept = indexes.get(id);
      // Of a key that this very transaction has dropped.
      if (kept === undefined) continue;
      if (was !== null && hasEntry(kept, was)) balanceOf(id).add(was, -1);
      if (becomes !== null && hasEntry(kept, becomes)) balanceOf(id).add(becomes, 1);
    }
    for (const [id, balance] of balances) {
      const kept = indexes.get(id)!;
      await removeEntries(kept, balance.rest(-1), context);
      await addEntries(kept, balance.rest(1), context);
    }
  }

  #noteForeignKey({ id, was, becomes }: KeyReport): void {
    const oid = Number(id.slice(1));
    if (id.startsWith('c')) {
      if (becomes === null || becomes.every((value) => value === null)) return;
      changesOf(this.#changes, oid).written.set(JSON.stringify(becomes), becomes);
    } else if (was !== null && !was.includes(null)) {
      const left = this.#left.get(oid) ?? [];
      this.#left.set(oid, left);
      const moved = this.#moved.get(oid)?.get(JSON.stringify(was));
      if (moved === undefined) left.push({ was, becomes });
      else if (JSON.stringify(was) !== JSON.stringify(moved)) left.push({ was, becomes: moved });
    }
  }

  /** A statement has ended: actions, and what they lead to, then what is to be checked now. */
  async settle(context: ExecutionContext): Promise<void> {
    await this.settleEntries(context);
    this.#moved.clear();
    const keys = context.snapshot.foreignKeys;
    for (let round = 0; this.#left.size > 0; round++) {
      if (round > maxRounds) throw tooDeep();
      const left = this.#left;
      this.#left = new Map();
      for (const [oid, events] of left) {
        const key = keys.get(oid);
        if (key === undefined) continue;
        const sides = sidesOf(key, context.snapshot);
        const checks = await actOnChildren(sides, events, context);
        for (const value of checks) changesOf(this.#changes, oid).left.set(JSON.stringify(value), value);
        await this.settleEntries(context);
      }
    }
    const changes = this.#changes;
    this.#changes = new Map();
    for (const [oid, each] of changes) {
      const key = keys.get(oid);
      if (key === undefined) continue;
      if (this.#modes.isDeferred(key)) addChanges(changesOf(this.#deferred, oid), each);
      else await check(sidesOf(key, context.snapshot), each, context);
    }
  }

  /** SET CONSTRAINTS; `names` null: all. What becomes immediate is checked at once. */
  async setConstraints(names: readonly string[] | null, deferred: boolean, context: ExecutionContext): Promise<void> {
    this.#modes.set(names, deferred);
    if (!deferred) await this.settleDeferred(context, (key) => !this.#modes.isDeferred(key));
  }

  /** The transaction is to be committed. */
  async settleDeferred(
    context: ExecutionContext,
    isConcerned: (key: KeptForeignKey) => boolean = () => true,
  ): Promise<void> {
    for (const [oid, changes] of this.#deferred) {
      const key = context.snapshot.foreignKeys.get(oid);
      if (key !== undefined && !isConcerned(key)) continue;
      if (key !== undefined) await check(sidesOf(key, context.snapshot), changes, context);
      this.#deferred.delete(oid);
    }
  }

  /** A statement has failed: what it did is undone. */
  forget(context: Pick<ExecutionContext, 'transaction'>): void {
    context.transaction.takeKeyReports();
    this.#claims.clear();
    this.#changes.clear();
    this.#left.clear();
    this.#moved.clear();
  }

  /** Nothing waits for the end of the transaction. */
  get isIdle(): boolean {
    return this.#deferred.size === 0;
  }

  /** The transaction is over. */
  endTransaction(): void {
    this.#deferred.clear();
    this.#modes.reset();
  }
}

function changesOf(changes: Map<number, KeyChanges>, oid: number): KeyChanges {
  const known = changes.get(oid);
  if (known) return known;
  const made: KeyChanges = { written: new Map(), left: new Map() };
  changes.set(oid, made);
  return made;
}

function addChanges(to: KeyChanges, from: KeyChanges): void {
  for (const [id, value] of from.written) to.written.set(id, value);
  for (const [id, value] of from.left) to.left.set(id, value);
}

async function check(sides: KeySides, { written, left }: KeyChanges, context: ExecutionContext): Promise<void> {
  await checkLeft(sides, [...left.values()], context);
  await checkWritten(sides, [...written.values()], context);
}

function tooDeep() {
  return pgError('programLimitExceeded', `foreign keys' actions go deeper than ${maxRounds} levels`);
}

function tooManyChanges() {
  return pgError('programLimitExceeded', 'too many rows change a key column in one statement', {
    hint: 'Change them in several statements.',
  });
}

function watchIdOf({ index }: KeptIndex): string {
  return index.hiddenName.replace('key_', 'u');
}

const indexesBySnapshot = new WeakMap<CatalogSnapshot, ReadonlyMap<string, KeptIndex>>();

/** All global unique indexes, by the ids under which their changes are reported. */
function keptIndexes(snapshot: CatalogSnapshot): ReadonlyMap<string, KeptIndex> {
  const known = indexesBySnapshot.get(snapshot);
  if (known) return known;
  const found = new Map<string, KeptIndex>();
  for (const { distributed } of snapshot.relationsByOid.values()) {
    if (distributed?.distribution.kind !== 'distributed') continue;
    for (const index of distributed.distribution.globalIndexes) {
      const kept = keptIndex(distributed, index, snapshot);
      found.set(watchIdOf(kept), kept);
    }
  }
  indexesBySnapshot.set(snapshot, found);
  return found;
}
