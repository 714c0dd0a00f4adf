/** pg_current_snapshot() as text: `xmin:xmax:xid,xid…`. The manual's section on transaction ID and snapshot information functions. */
interface VisibleCommits {
  /** All below have ended. */
  readonly xmin: bigint;
  /** All from here on have not. */
  readonly xmax: bigint;
  readonly running: ReadonlySet<bigint>;
}

/** Two snapshots of one server, the earlier one first, show the same. What has begun in between and has not ended makes no difference. */
export function showSame(earlier: string, later: string): boolean {
  if (earlier === later) return true;
  const [before, after] = [decodeSnapshot(earlier), decodeSnapshot(later)];
  for (const xid of before.running) if (hasEnded(xid, after)) return false;
  for (let xid = before.xmax; xid < after.xmax; xid++) if (hasEnded(xid, after)) return false;
  return true;
}

function decodeSnapshot(text: string): VisibleCommits {
  const [xmin = '', xmax = '', running = ''] = text.split(':');
  const xids = running === '' ? [] : running.split(',');
  return { xmin: BigInt(xmin), xmax: BigInt(xmax), running: new Set(xids.map(BigInt)) };
}

function hasEnded(xid: bigint, { xmin, xmax, running }: VisibleCommits): boolean {
  return xid < xmin || (xid < xmax && !running.has(xid));
}
