/** The class of the advisory locks on the coordinator: (class, epoch) is held by a living router. */
export const epochLockClass = 0x70676864;

/** (class, 0): the fence between routers; commits share it, openings have it alone. */
export const fenceLockClass = 0x70676865;
/** (class, 0): has the herd for itself, or shares it. */
export const herdLockClass = 0x70676866;

/**
 * Names of prepared transactions. A gid is server-wide (not per database), so it carries the cluster; a transaction's decision is
 * recorded under the gid without the node.
 */
export interface TransactionName {
  readonly clusterId: string;
  /** The router process that began it: a row of `pgherd.router_epoch`. */
  readonly epoch: number;
  readonly sequence: number;
}

export function decisionKey(name: TransactionName): string {
  return `pgherd:${name.clusterId}:${name.epoch}:${name.sequence}`;
}

export function participantGid(name: TransactionName, nodeId: number): string {
  return `${decisionKey(name)}:${nodeId}`;
}

/** Null for a gid that is not this cluster's: somebody else's prepared transaction, to be left alone. */
export function parseParticipantGid(gid: string, clusterId: string): { name: TransactionName; nodeId: number } | null {
  const match = /^pgherd:([^:]+):(\d+):(\d+):(\d+)$/.exec(gid);
  if (match === null || match[1] !== clusterId) return null;
  return {
    name: { clusterId, epoch: Number(match[2]), sequence: Number(match[3]) },
    nodeId: Number(match[4]),
  };
}
