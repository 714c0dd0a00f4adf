import type { DistributionMethod } from '../catalog/snapshot.ts';
import { pgError } from '../core/errors.ts';
import type { QueryResult } from '../core/runner.ts';
import { addShard } from './add-shard.ts';
import { type AdminCall, argumentsSql, matchAdminCall } from './admin-call.ts';
import { type AdminName, adminSignature } from './admin-signatures.ts';
import { distributedSize, type SizeFunction, shardIdForValue } from './admin-sizes.ts';
import { alterDistributedTable } from './alter-distribution.ts';
import { alterSystem, settingsOfServers } from './alter-system.ts';
import { updateColocation } from './change-colocation.ts';
import { createDistributedTable, notice } from './distribute.ts';
import { createDistributedFunction } from './distributed-functions.ts';
import { distributeSchema, undistributeSchema } from './distributed-schemas.ts';
import type { HerdTransaction } from './herd.ts';
import { activateNode, addNode, disableNode, removeNode, setCoordinatorHost } from './nodes.ts';
import { resumeIndexJob } from './online-index.ts';
import { createReferenceTable } from './reference.ts';
import { resetStatements } from './reset-statements.ts';
import { reachable, runOnCoordinator, runOnNodes, runOnShards } from './run-command.ts';
import { undistributeTable } from './undistribute.ts';

export { argumentsSql, matchAdminCall };

type Arguments = readonly (string | null)[];
type Rows = readonly (readonly (string | null)[])[];
type Handler = (tx: HerdTransaction, args: Arguments) => Promise<Rows>;

/**
 * Carries out the calls of a statement, and gives what the statement gives. `evaluated`: the values of argumentsSql(), one
 * after the other.
 */
export async function runAdminCall(tx: HerdTransaction, call: AdminCall, evaluated: Arguments): Promise<QueryResult> {
  const results: { rows: Rows }[] = [];
  let next = 0;
  for (const { name } of call.invocations) {
    const args = evaluated.slice(next, next + adminSignature(name).parameters.length);
    next += args.length;
    results.push({ rows: await adminHandlers[name](tx, args) });
  }
  if (call.columns === null) return tx.coordinator.query(call.rest(results));
  return {
    columns: call.columns,
    typeOids: call.invocations.map(({ name }) => typeOid(name)),
    rows: [results.map((result) => result.rows[0]?.[0] ?? null)],
    tag: 'SELECT 1',
  };
}

function typeOid(name: AdminName): number {
  const { returns } = adminSignature(name);
  return typeOids[typeof returns === 'string' ? returns : 'text'] ?? 25;
}

/** OIDs of system types are the same on every server. */
const typeOids: Readonly<Record<string, number>> = { void: 2278, integer: 23, bigint: 20, text: 25, boolean: 16 };

const nothing: Rows = [['']];

const adminHandlers: Readonly<Record<AdminName, Handler>> = {
  citus_set_coordinator_host: async (tx, [host, port]) => {
    await setCoordinatorHost(tx, text(host, 'host'), number(port, 'port'));
    return nothing;
  },
  citus_add_node: (tx, args) => add(tx, args),
  master_add_node: (tx, args) => add(tx, args),
  citus_remove_node: (tx, args) => remove(tx, args),
  master_remove_node: (tx, args) => remove(tx, args),
  citus_activate_node: async (tx, [name, port]) => [
    [String(await activateNode(tx, text(name, 'nodename'), number(port, 'nodeport')))],
  ],
  citus_disable_node: async (tx, [name, port]) => {
    await disableNode(tx, text(name, 'nodename'), number(port, 'nodeport'));
    return nothing;
  },
  citus_get_active_worker_nodes: (tx) => workerNodes(tx),
  master_get_active_worker_nodes: (tx) => workerNodes(tx),
  create_distributed_table: async (tx, [table, column, method, colocateWith, shardCount, shardBounds]) => {
    await createDistributedTable(tx, {
      table: text(table, 'table_name'),
      column: method === 'random' ? '' : text(column, 'distribution_column'),
      method: distributionMethod(text(method, 'distribution_type')),
      colocateWith: colocateWith ?? 'default',
      shardCount: optionalNumber(shardCount),
      shardBounds: shardBounds ?? null,
    });
    return nothing;
  },
  pgherd_add_shard: async (tx, [table, bounds, name, port]) => {
    const node = name == null ? null : { name, port: optionalNumber(port) };
    const id = await addShard(tx, { table: text(table, 'table_name'), bounds: text(bounds, 'shard_bounds'), node });
    return [[String(id)]];
  },
  create_reference_table: async (tx, [table]) => {
    await createReferenceTable(tx, text(table, 'table_name'));
    return nothing;
  },
  undistribute_table: async (tx, [table, cascade]) => {
    await undistributeTable(tx, text(table, 'table_name'), boolean(cascade));
    return nothing;
  },
  alter_distributed_table: async (tx, [table, column, shardCount, colocateWith, cascade]) => {
    await alterDistributedTable(tx, {
      table: text(table, 'table_name'),
      column: column ?? null,
      shardCount: optionalNumber(shardCount),
      colocateWith: colocateWith ?? null,
      cascadeToColocated: cascade == null ? null : boolean(cascade),
    });
    return nothing;
  },
  truncate_local_data_after_distributing_table: async (tx) => {
    notice(tx, 'there are no local rows: create_distributed_table() has moved them');
    return nothing;
  },
  create_distributed_function: async (tx, [name, argument, colocateWith, force]) => {
    await createDistributedFunction(tx, {
      name: text(name, 'function_name'),
      argument: argument ?? null,
      colocateWith: colocateWith ?? 'default',
      force: boolean(force),
    });
    return nothing;
  },
  get_shard_id_for_distribution_column: async (tx, [table, value]) => {
    const id = await shardIdForValue(tx, text(table, 'table_name'), value ?? null);
    return [[id === null ? null : String(id)]];
  },
  column_to_column_name: async (_, [, column]) => [[column ?? null]],
  run_command_on_workers: async (tx, [command]) => {
    const outcomes = await runOnNodes(tx, text(command, 'command'));
    return outcomes.map(({ node, success, result }) => [node!.name, String(node!.port), success ? 't' : 'f', result]);
  },
  run_command_on_all_nodes: async (tx, [command]) => {
    const sql = text(command, 'command');
    const outcomes = [await runOnCoordinator(tx, sql), ...(await runOnNodes(tx, sql))];
    return outcomes.map(({ node, success, result }) => [String(node?.id ?? 0), success ? 't' : 'f', result]);
  },
  run_command_on_coordinator: async (tx, [command]) => {
    const { success, result } = await runOnCoordinator(tx, text(command, 'command'));
    return [['0', success ? 't' : 'f', result]];
  },
  run_command_on_shards: async (tx, [table, command]) => {
    const outcomes = await runOnShards(tx, [text(table, 'table_name')], text(command, 'command'));
    // Of a reference table, the first copy speaks for the shard.
    const seen = new Set<number>();
    const first = outcomes.filter(({ shardIds: [id] }) => !seen.has(id!) && seen.add(id!));
    return first.map(({ shardIds, success, result }) => [String(shardIds[0]), success ? 't' : 'f', result]);
  },
  run_command_on_placements: (tx, [table, command]) => onPlacements(tx, [text(table, 'table_name')], command),
  run_command_on_colocated_placements: (tx, [first, second, command]) =>
    onPlacements(tx, [text(first, 'table_name1'), text(second, 'table_name2')], command),
  update_distributed_table_colocation: async (tx, [table, colocateWith]) => {
    await updateColocation(tx, text(table, 'table_name'), text(colocateWith, 'colocate_with'));
    return nothing;
  },
  citus_schema_distribute: async (tx, [schema]) => {
    await distributeSchema(tx, text(schema, 'schemaname'));
    return nothing;
  },
  citus_schema_undistribute: async (tx, [schema]) => {
    await undistributeSchema(tx, text(schema, 'schemaname'));
    return nothing;
  },
  citus_add_local_table_to_metadata: async (tx) => {
    notice(tx, 'local tables are joined with all others as they are; the call changes nothing');
    return nothing;
  },
  remove_local_tables_from_metadata: async (tx) => {
    notice(tx, 'no local table is in any metadata; the call changes nothing');
    return nothing;
  },
  citus_check_cluster_node_health: async (tx) => {
    const found = await reachable(tx);
    return found.map(({ node, up }) => ['router', null, node.name, String(node.port), up ? 't' : 'f']);
  },
  pg_stat_statements_reset: async (tx, [user, database, query]) => {
    await resetStatements(tx, [text(user, 'userid'), text(database, 'dbid'), text(query, 'queryid')]);
    return nothing;
  },
  citus_stat_statements_reset: async (tx) => {
    await tx.resetStatistics();
    return nothing;
  },
  pgherd_alter_system: async (tx, [name, value, coordinatorValue, coordinatorOnly, skipValidation]) => {
    const found = await alterSystem(tx, {
      name: text(name, 'name'),
      value: value ?? null,
      coordinatorValue: coordinatorValue ?? null,
      coordinatorOnly: boolean(coordinatorOnly),
      skipValidation: boolean(skipValidation),
    });
    return found.map(({ nodeId, server, context }) => [
      String(nodeId),
      server,
      context === 'postmaster' ? 'restart' : 'reload',
    ]);
  },
  pgherd_resume_job: async (tx, [job]) => {
    await resumeIndexJob(tx, number(job, 'job_id'));
    return nothing;
  },
  pgherd_settings: async (tx, [name]) => {
    const found = await settingsOfServers(tx, name ?? null);
    return found.map((each) => [
      ...[String(each.nodeId), each.server, each.name, each.value, each.unit, each.context, each.type],
      ...[each.min, each.max].map((bound) => (bound === null ? null : String(bound))),
      ...[each.inFile, each.pendingRestart ? 't' : 'f'],
    ]);
  },
  citus_table_size: (tx, args) => size(tx, args, 'pg_table_size'),
  citus_relation_size: (tx, args) => size(tx, args, 'pg_relation_size'),
  citus_total_relation_size: (tx, args) => size(tx, args, 'pg_total_relation_size'),
  citus_shard_sizes: async (tx) => (await tx.shardSizes()).map(({ shardId, bytes }) => [shardId, bytes]),
  pgxc_pool_reload: async (tx) => {
    tx.changed();
    return [['t']];
  },
  citus_version: async () => [['pgherd, with the SQL surface of Citus 13']],
};

async function onPlacements(
  tx: HerdTransaction,
  tables: readonly string[],
  command: string | null | undefined,
): Promise<Rows> {
  const outcomes = await runOnShards(tx, tables, text(command, 'command'));
  return outcomes.map(({ node, shardIds, success, result }) => [
    ...[node.name, String(node.port), ...shardIds.map(String)],
    ...[success ? 't' : 'f', result],
  ]);
}

/** A group of 0 is how users of Citus name the coordinator. */
async function add(tx: HerdTransaction, [name, port, group]: Arguments): Promise<Rows> {
  if (group === '0') {
    await setCoordinatorHost(tx, text(name, 'nodename'), number(port, 'nodeport'));
    return [['0']];
  }
  return [[String(await addNode(tx, text(name, 'nodename'), number(port, 'nodeport')))]];
}

async function remove(tx: HerdTransaction, [name, port]: Arguments): Promise<Rows> {
  await removeNode(tx, text(name, 'nodename'), number(port, 'nodeport'));
  return nothing;
}

async function workerNodes(tx: HerdTransaction): Promise<Rows> {
  const { nodes } = await tx.snapshot();
  return nodes.filter((node) => node.active).map((node) => [node.name, String(node.port)]);
}

async function size(tx: HerdTransaction, [table]: Arguments, function_: SizeFunction): Promise<Rows> {
  return [[String(await distributedSize(tx, text(table, 'logicalrelid'), function_))]];
}

function distributionMethod(value: string): DistributionMethod {
  if (value === 'hash' || value === 'range' || value === 'list' || value === 'random') return value;
  throw pgError('invalidParameterValue', `distribution_type "${value}" is not known`, {
    hint: "It is 'hash', 'range', 'list' or 'random'.",
  });
}

function text(value: string | null | undefined, parameter: string): string {
  if (value != null) return value;
  throw pgError('invalidParameterValue', `${parameter} cannot be NULL`);
}

function number(value: string | null | undefined, parameter: string): number {
  const read = Number(text(value, parameter));
  if (Number.isSafeInteger(read)) return read;
  throw pgError('invalidParameterValue', `${parameter} must be a whole number, not "${value}"`);
}

function optionalNumber(value: string | null | undefined): number | null {
  return value == null ? null : number(value, 'the argument');
}

/** Values come as the coordinator writes them after a cast to text. */
function boolean(value: string | null | undefined): boolean {
  return value === 'true' || value === 't';
}
