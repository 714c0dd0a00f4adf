/** A transaction of the simulation. Sites: 0 is the coordinator. */
export interface SimTransaction {
  readonly bit: number;
  readonly router: number;
  readonly sites: readonly number[];
  readonly beganMs: number;
  told: 'committed' | 'aborted' | 'unknown' | null;
  toldMs: number;
}

export interface Read {
  readonly router: number;
  /** Site → the bits that its snapshot shows. */
  readonly seen: ReadonlyMap<number, number>;
}

/** What a reader that was sure must not have seen; null: nothing of the kind. */
export function badRead({ router, seen }: Read, transactions: readonly SimTransaction[]): string | null {
  for (const transaction of transactions) {
    const shown = shownOn(transaction, seen);
    if (shown.some(Boolean) && !shown.every(Boolean)) return `half of transaction ${transaction.bit} was seen`;
  }
  for (const effect of transactions) {
    if (effect.router !== router || !shownOn(effect, seen).some(Boolean)) continue;
    for (const cause of transactions) {
      const before = cause.router === router && cause.told === 'committed' && cause.toldMs <= effect.beganMs;
      if (before && shownOn(cause, seen).includes(false))
        return `${effect.bit} was seen without its cause ${cause.bit}`;
    }
  }
  return null;
}

function shownOn({ sites, bit }: SimTransaction, seen: ReadonlyMap<number, number>): boolean[] {
  return sites.filter((site) => seen.has(site)).map((site) => (seen.get(site)! & bit) !== 0);
}
