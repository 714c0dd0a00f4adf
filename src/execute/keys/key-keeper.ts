import type { CatalogSnapshot } from '../../catalog/snapshot.ts';
import { pgError } from '../../core/errors.ts';
import type { ExecutionContext } from '../context.ts';
import { addEntries, hasEntry, type KeptIndex, keptIndex, removeEntries } from './index-entries.ts';
import { KeyBalance, type KeyReport, type KeyValues, readKeyReport } from './key-report.ts';

/** Reports that one statement may leave for its end. */
const maxReports = 2_000_000;

/**
 * Keeps the keys that no server can keep by itself, for one session: what the key triggers have reported becomes entries of global unique
 * indexes. `settle` is called when a statement has ended, before the client hears of it.
 */
export class KeyKeeper {
  /** By index: entries that were taken before their rows were there. */
  #claims = new Map<string, KeyValues[]>();

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
    for (const report of reports) this.#take(report, indexes, balanceOf);
    for (const [id, balance] of balances) {
      const kept = indexes.get(id)!;
      await removeEntries(kept, balance.rest(-1), context);
      await addEntries(kept, balance.rest(1), context);
    }
  }

  #take(
    { id, was, becomes }: KeyReport,
    indexes: ReadonlyMap<string, KeptIndex>,
    balanceOf: (id: string) => KeyBalance,
  ): void {
    const kept = indexes.get(id);
    // Of a key that this very transaction has dropped.
    if (kept === undefined) return;
    if (was !== null && hasEntry(kept, was)) balanceOf(id).add(was, -1);
    if (becomes !== null && hasEntry(kept, becomes)) balanceOf(id).add(becomes, 1);
  }

  /** A statement has ended. */
  async settle(context: ExecutionContext): Promise<void> {
    await this.settleEntries(context);
  }

  /** A statement has failed: what it did is undone. */
  forget(context: Pick<ExecutionContext, 'transaction'>): void {
    context.transaction.takeKeyReports();
    this.#claims.clear();
  }
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
