import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';

/** Share of the router's busy time, by room of src/ or what else it was. */
export type Stages = readonly { readonly stage: string; readonly share: number }[];

interface Profile {
  readonly nodes: readonly {
    readonly id: number;
    readonly callFrame: { readonly functionName: string; readonly url: string };
  }[];
  /** Microseconds of the monotonic clock, as `process.hrtime` has them. */
  readonly startTime: number;
  readonly samples: readonly number[];
  readonly timeDeltas: readonly number[];
}

export const profileFlags = (dir: string) => ['--cpu-prof', `--cpu-prof-dir=${dir}`];

/** Self times of a CPU profile between two moments (microseconds of the monotonic clock), idle time left out. */
export function stagesOf(dir: string, fromUs: number, toUs: number): Stages {
  const sums = new Map<string, number>();
  for (const name of readdirSync(dir)) {
    const profile: Profile = JSON.parse(readFileSync(join(dir, name), 'utf8'));
    addProfile(profile, { fromUs, toUs }, sums);
  }
  const total = [...sums.values()].reduce((sum, each) => sum + each, 0);
  return [...sums].map(([stage, us]) => ({ stage, share: us / total })).sort((a, b) => b.share - a.share);
}

function addProfile(profile: Profile, span: { fromUs: number; toUs: number }, sums: Map<string, number>): void {
  const stages = new Map(profile.nodes.map(({ id, callFrame }) => [id, stageOf(callFrame)]));
  let atUs = profile.startTime;
  for (const [index, node] of profile.samples.entries()) {
    const us = profile.timeDeltas[index]!;
    atUs += us;
    const stage = stages.get(node);
    if (stage === undefined || atUs < span.fromUs || atUs > span.toUs) continue;
    sums.set(stage, (sums.get(stage) ?? 0) + us);
  }
}

function stageOf({ functionName, url }: { functionName: string; url: string }): string | undefined {
  if (functionName === '(idle)') return undefined;
  if (functionName === '(garbage collector)') return 'garbage collection';
  if (functionName === 'writeBuffer' || functionName === 'writev') return 'system calls: write';
  if (functionName === '(program)') return 'system calls: read, wait; native code';
  const room = /\/dist\/([a-z]+)\//.exec(url)?.[1];
  if (room !== undefined) return `room ${room}`;
  return url.startsWith('node:') || url === '' ? 'Node.js: streams, sockets, timers' : 'libraries';
}
