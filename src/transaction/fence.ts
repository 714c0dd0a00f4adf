/**
 * Keeps the openings of snapshots and the commits of distributed transactions apart (DESIGN 7), within one process. Commits hold it
 * shared, from before the decision to the last COMMIT PREPARED; openings hold it together among themselves, and never beside a commit. Each
 * side's waiters go in as a batch when the other side has left, so neither starves.
 *
 * Invariant: `#commits` and `#openings` are never both above zero.
 */
export class Fence {
  #commits = 0;
  #openings = 0;
  #waitingCommits: (() => void)[] = [];
  #waitingOpenings: (() => void)[] = [];

  /** An opening is under way, or waits for commits to end: nothing that another transaction could build on may be sent. */
  get opening(): boolean {
    return this.#openings > 0;
  }

  /** Before the decision of a commit. Null: go on at once. */
  enterCommit(): Promise<void> | null {
    if (this.#openings === 0 && this.#waitingOpenings.length === 0) {
      this.#commits += 1;
      return null;
    }
    return new Promise((resolve) => {
      this.#waitingCommits.push(resolve);
    });
  }

  leaveCommit(): void {
    this.#commits -= 1;
    if (this.#commits === 0) this.#admitOpenings();
  }

  /** Before snapshots are taken on several servers. */
  enterOpening(): Promise<void> | null {
    if (this.#commits === 0 && this.#waitingCommits.length === 0) {
      this.#openings += 1;
      return null;
    }
    return new Promise((resolve) => {
      this.#waitingOpenings.push(resolve);
      if (this.#commits === 0 && this.#openings === 0) this.#admitOpenings();
    });
  }

  leaveOpening(): void {
    this.#openings -= 1;
    if (this.#openings === 0) this.#admitCommits();
  }

  #admitOpenings(): void {
    const waiting = this.#waitingOpenings;
    if (waiting.length === 0) {
      this.#admitCommits();
      return;
    }
    this.#waitingOpenings = [];
    this.#openings += waiting.length;
    for (const enter of waiting) enter();
  }

  #admitCommits(): void {
    const waiting = this.#waitingCommits;
    if (waiting.length === 0) {
      if (this.#commits === 0 && this.#waitingOpenings.length > 0) this.#admitOpenings();
      return;
    }
    this.#waitingCommits = [];
    this.#commits += waiting.length;
    for (const enter of waiting) enter();
  }
}
