import type { HistoryEntry } from './list-append-checker.ts';

/** An entry with the time its client spent on it, in milliseconds of one clock. Readers read all keys in one statement. */
export interface TimedEntry extends HistoryEntry {
  readonly beganMs: number;
  readonly endedMs: number;
}

/**
 * What no reader over all nodes may see through one router, whoever wrote on how many nodes: a commit missing that was acknowledged before
 * the reader began, or before something began that it does see. Null: nothing of the kind.
 */
export function findCausalAnomaly(history: readonly TimedEntry[]): string | null {
  const writers = history.filter(({ outcome, ops }) => outcome === 'committed' && ops.some(isAppend));
  for (const reader of history.filter(({ ops }) => !ops.some(isAppend))) {
    const seen = seenBy(reader);
    const shown = writers.filter((writer) => shows(seen, writer));
    const lastBegan = shown.reduce<TimedEntry | null>(
      (last, writer) => (last === null || writer.beganMs > last.beganMs ? writer : last),
      null,
    );
    for (const writer of writers) {
      if (shows(seen, writer)) continue;
      if (writer.endedMs < reader.beganMs) return `${reader.id} did not see ${writer.id}, acknowledged before`;
      if (lastBegan !== null && writer.endedMs < lastBegan.beganMs)
        return `${reader.id} saw ${lastBegan.id} without its cause ${writer.id}`;
    }
  }
  return null;
}

/** Pairs of readers that saw two writers in opposite orders: forbidden of transactions over several nodes, not of those on one. */
export function countLongForks(history: readonly TimedEntry[]): number {
  const writers = history.filter(({ outcome, ops }) => outcome === 'committed' && ops.some(isAppend));
  const readers = history.filter(({ ops }) => !ops.some(isAppend)).map(seenBy);
  const shownTo = readers.map((seen) => new Set(writers.filter((writer) => shows(seen, writer))));
  let forks = 0;
  for (const [i, one] of shownTo.entries()) {
    for (const other of shownTo.slice(i + 1)) {
      const onlyOne = [...one].some((writer) => !other.has(writer));
      const onlyOther = [...other].some((writer) => !one.has(writer));
      if (onlyOne && onlyOther) forks += 1;
    }
  }
  return forks;
}

type Operation = HistoryEntry['ops'][number];

function isAppend(op: Operation): boolean {
  return op.kind === 'append';
}

function seenBy({ ops }: HistoryEntry): ReadonlySet<string> {
  return new Set(ops.flatMap((op) => (op.kind === 'read' ? op.list.map((value) => `${op.key}/${value}`) : [])));
}

function shows(seen: ReadonlySet<string>, { ops }: HistoryEntry): boolean {
  return ops.some((op) => op.kind === 'append' && seen.has(`${op.key}/${op.value}`));
}
