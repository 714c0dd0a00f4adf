import { readdirSync, readFileSync, readlinkSync } from 'node:fs';

/** Kernel ticks a second, as all Linux ports have them for user space. */
const ticksPerSecond = 100;

/** CPU seconds so far of the processes that run JavaScript, from /proc: a herd's own without its servers. */
export function cpuSeconds(pids: readonly number[]): number {
  let ticks = 0;
  for (const pid of pids) {
    const fields = statFields(pid);
    if (fields !== null) ticks += Number(fields[11]) + Number(fields[12]);
  }
  return ticks / ticksPerSecond;
}

/** CPU seconds so far of a PostgreSQL server: its postmaster, the processes it has, and those it had. */
export function serverCpuSeconds(postmaster: number): number {
  return endedChildrenSeconds(postmaster) + cpuSeconds([postmaster, ...(childrenByParent().get(postmaster) ?? [])]);
}

/** CPU seconds of the children that a process has waited for. */
export function endedChildrenSeconds(pid: number): number {
  const fields = statFields(pid);
  return fields === null ? 0 : (Number(fields[13]) + Number(fields[14])) / ticksPerSecond;
}

export function parentOf(pid: number): number {
  return Number(statFields(pid)?.[1]);
}

export function memoryBytes(pids: readonly number[]): number {
  let kilobytes = 0;
  for (const pid of pids) {
    const status = readText(`/proc/${pid}/status`);
    kilobytes += Number(/^VmRSS:\s+(\d+)/m.exec(status ?? '')?.[1] ?? 0);
  }
  return kilobytes * 1024;
}

/** A process and its descendants, those that run the same program. */
export function family(pid: number): number[] {
  const program = programOf(pid);
  const children = childrenByParent();
  const found = [pid];
  for (const each of found) found.push(...(children.get(each) ?? []).filter((child) => programOf(child) === program));
  return found;
}

function childrenByParent(): Map<number, number[]> {
  const children = new Map<number, number[]>();
  for (const name of readdirSync('/proc')) {
    const parent = parentOf(Number(name));
    if (/^\d+$/.test(name) && parent > 0) children.set(parent, [...(children.get(parent) ?? []), Number(name)]);
  }
  return children;
}

/** From the state on: the name before it may hold anything. */
function statFields(pid: number): string[] | null {
  const text = Number.isNaN(pid) ? null : readText(`/proc/${pid}/stat`);
  return text === null ? null : text.slice(text.lastIndexOf(')') + 2).split(' ');
}

function programOf(pid: number): string | null {
  try {
    return readlinkSync(`/proc/${pid}/exe`);
  } catch {
    return null;
  }
}

/** Processes come and go. */
function readText(path: string): string | null {
  try {
    return readFileSync(path, 'utf8');
  } catch {
    return null;
  }
}
