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
  const children = new Map<number, number[]>();
  for (const name of readdirSync('/proc')) {
    const parent = Number(statFields(Number(name))?.[1]);
    if (/^\d+$/.test(name) && parent > 0) children.set(parent, [...(children.get(parent) ?? []), Number(name)]);
  }
  const found = [pid];
  for (const each of found) found.push(...(children.get(each) ?? []).filter((child) => programOf(child) === program));
  return found;
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
