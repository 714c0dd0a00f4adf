import type pg from 'pg';

/** Bytes that one query moved between the router and its servers, the statements' own texts included. */
export interface Moved {
  /** Rows of tables that had to come to the coordinator, and what it was asked. */
  readonly toCoordinator: number;
  readonly fromNodes: number;
  /** Rows that went from the router to nodes: what nodes got of each other, and what they were asked. */
  readonly toNodes: number;
}

/** A meter over the router's own count. Reading it is traffic too, whose cost is taken off. */
export async function openMeter(herd: pg.Client): Promise<(work: () => Promise<unknown>) => Promise<Moved>> {
  await read(herd);
  const idle = difference(await read(herd), await read(herd));
  return async (work) => {
    const before = await read(herd);
    await work();
    const moved = difference(before, await read(herd));
    return {
      toCoordinator: Math.max(0, moved.toCoordinator - idle.toCoordinator),
      fromNodes: Math.max(0, moved.fromNodes - idle.fromNodes),
      toNodes: Math.max(0, moved.toNodes - idle.toNodes),
    };
  };
}

async function read(herd: pg.Client): Promise<Moved> {
  const { rows } = await herd.query(`SELECT
    coalesce(sum(bytes_sent) FILTER (WHERE server = 'coordinator'), 0) AS to_coordinator,
    coalesce(sum(bytes_received) FILTER (WHERE server <> 'coordinator'), 0) AS from_nodes,
    coalesce(sum(bytes_sent) FILTER (WHERE server <> 'coordinator'), 0) AS to_nodes FROM pgherd.server_traffic`);
  const { to_coordinator, from_nodes, to_nodes } = rows[0];
  return { toCoordinator: Number(to_coordinator), fromNodes: Number(from_nodes), toNodes: Number(to_nodes) };
}

function difference(before: Moved, after: Moved): Moved {
  return {
    toCoordinator: after.toCoordinator - before.toCoordinator,
    fromNodes: after.fromNodes - before.fromNodes,
    toNodes: after.toNodes - before.toNodes,
  };
}
