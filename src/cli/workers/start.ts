import { availableParallelism } from 'node:os';
import { type RouterOptions, type RunningRouter, startRouter } from '../serve.ts';
import { WorkerSupervisor } from './supervisor.ts';

/** The router in this very process, or with several workers in processes of their own. Resolves when it accepts clients. */
export function startWorkers(options: RouterOptions, workers: number): Promise<RunningRouter> {
  return workers === 1 ? startRouter(options) : new WorkerSupervisor(options, workers).open();
}

/** Below so many cores a second worker costs more than it brings: each wants one, beside the servers or the system. */
const leastCores = 4;

/** `embedded`: the servers are on this machine, and need most of it. */
export function defaultWorkers(where: 'embedded' | 'alone', cores = availableParallelism()): number {
  if (cores < leastCores) return 1;
  return where === 'alone' ? cores : Math.floor(cores / leastCores);
}
