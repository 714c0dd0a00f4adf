/** Names of prepared transactions. They are server-wide, so they carry which sharding they belong to, and which shard. */
export interface TransactionGid {
  /** The shard with the decision. */
  readonly home: number;
  /** Without the participant: the key of the decision. */
  readonly decision: string;
  readonly participant: number;
}

export function gidPrefix(name: string): string {
  return `pgherd_sdk:${name}:`;
}

export function decisionGid(name: string, home: number, id: string): string {
  return `${gidPrefix(name)}${home}:${id}`;
}

export function participantGid(decision: string, shard: number): string {
  return `${decision}:${shard}`;
}

/** Null: of another sharding, or nobody's of ours. */
export function parseGid(gid: string, name: string): TransactionGid | null {
  const prefix = gidPrefix(name);
  const match = gid.startsWith(prefix) ? /^((\d+):[0-9a-f-]{36}):(\d+)$/.exec(gid.slice(prefix.length)) : null;
  if (match === null) return null;
  return { home: Number(match[2]), decision: prefix + match[1], participant: Number(match[3]) };
}
