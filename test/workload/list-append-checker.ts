/** One transaction of a list-append history. Each value is appended at most once to a key. */
export interface HistoryEntry {
  readonly id: number;
  readonly outcome: 'committed' | 'aborted' | 'unknown';
  readonly ops: readonly Operation[];
}

export type Operation =
  | { readonly kind: 'append'; readonly key: string; readonly value: number }
  | { readonly kind: 'read'; readonly key: string; readonly list: readonly number[] };

type EdgeKind = 'ww' | 'wr' | 'rw';

interface Edge {
  readonly from: number;
  readonly to: number;
  readonly kind: EdgeKind;
}

/**
 * What a history shows that snapshots over all nodes forbid: reads of what was never committed, or of half a transaction (G1a, G1b),
 * lists that are no prefixes of one order, and cycles of dependencies in which at most one edge is an anti-dependency (G0, G1c,
 * G-single). Final reads of all keys, in a last transaction, give each key's order. Null: nothing of the kind.
 */
export function findAnomaly(history: readonly HistoryEntry[]): string | null {
  const orders = longestLists(history);
  const writers = new Map<string, HistoryEntry>();
  for (const entry of history) {
    for (const op of entry.ops) if (op.kind === 'append') writers.set(`${op.key}/${op.value}`, entry);
  }
  return findBadRead(history, orders, writers) ?? findCycle(edgesOf(history, orders, writers));
}

function longestLists(history: readonly HistoryEntry[]): Map<string, readonly number[]> {
  const orders = new Map<string, readonly number[]>();
  for (const { ops } of history) {
    for (const op of ops) {
      if (op.kind === 'read' && op.list.length >= (orders.get(op.key)?.length ?? 0)) orders.set(op.key, op.list);
    }
  }
  return orders;
}

function findBadRead(
  history: readonly HistoryEntry[],
  orders: ReadonlyMap<string, readonly number[]>,
  writers: ReadonlyMap<string, HistoryEntry>,
): string | null {
  for (const { id, ops } of history) {
    for (const op of ops) {
      if (op.kind !== 'read') continue;
      const order = orders.get(op.key)!;
      if (op.list.some((value, i) => value !== order[i])) return `${id} read ${op.key} in another order than others`;
      for (const value of op.list) {
        const writer = writers.get(`${op.key}/${value}`);
        if (writer === undefined) return `${id} read ${value} of ${op.key}, which nobody wrote`;
        if (writer.outcome === 'aborted') return `${id} read ${value} of ${op.key}, which ${writer.id} took back`;
        const last = writer.ops.findLast((other) => other.kind === 'append' && other.key === op.key);
        const ends = last?.kind === 'append' && op.list.at(-1) === value && last.value !== value;
        if (ends && writer.id !== id) return `${id} read ${op.key} in the middle of ${writer.id}`;
      }
    }
  }
  return lostAppend(history, orders);
}

function lostAppend(history: readonly HistoryEntry[], orders: ReadonlyMap<string, readonly number[]>): string | null {
  for (const { id, outcome, ops } of history) {
    for (const op of ops) {
      const lost = op.kind === 'append' && outcome === 'committed' && !orders.get(op.key)?.includes(op.value);
      if (lost) return `${op.value}, appended to ${op.key} by ${id}, is lost`;
    }
  }
  return null;
}

function edgesOf(
  history: readonly HistoryEntry[],
  orders: ReadonlyMap<string, readonly number[]>,
  writers: ReadonlyMap<string, HistoryEntry>,
): Edge[] {
  const edges: Edge[] = [];
  const add = (from: number | undefined, to: number | undefined, kind: EdgeKind) => {
    if (from !== undefined && to !== undefined && from !== to) edges.push({ from, to, kind });
  };
  const writerOf = (key: string, value: number | undefined) => writers.get(`${key}/${value}`)?.id;
  for (const [key, order] of orders) {
    for (let i = 1; i < order.length; i++) add(writerOf(key, order[i - 1]), writerOf(key, order[i]), 'ww');
  }
  for (const { id, outcome, ops } of history) {
    if (outcome === 'aborted') continue;
    for (const op of ops) {
      if (op.kind !== 'read') continue;
      const order = orders.get(op.key)!;
      add(writerOf(op.key, op.list.at(-1)), id, 'wr');
      add(id, writerOf(op.key, order[op.list.length]), 'rw');
    }
  }
  return edges;
}

/** A cycle of ww and wr edges, or one that a single rw edge closes. */
function findCycle(edges: readonly Edge[]): string | null {
  const next = new Map<number, number[]>();
  for (const { from, to, kind } of edges) {
    if (kind === 'rw') continue;
    const targets = next.get(from);
    if (targets) targets.push(to);
    else next.set(from, [to]);
  }
  for (const { from, to, kind } of edges) {
    const path = findPath(next, to, from);
    if (path !== null) return `${from} -${kind}-> ${path.join(' -> ')}`;
  }
  return null;
}

function findPath(next: ReadonlyMap<number, readonly number[]>, from: number, to: number): number[] | null {
  const cameFrom = new Map<number, number>([[from, from]]);
  const queue = [from];
  for (const at of queue) {
    if (at === to) {
      const path = [to];
      while (path[0] !== from) path.unshift(cameFrom.get(path[0]!)!);
      return path;
    }
    for (const target of next.get(at) ?? []) {
      if (cameFrom.has(target)) continue;
      cameFrom.set(target, at);
      queue.push(target);
    }
  }
  return null;
}
