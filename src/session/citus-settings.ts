import type { VariableSetStmt } from '@pgsql/types';
import { pgError, unsupported } from '../core/errors.ts';
import { settingValue } from './setting-value.ts';

/*
 * The settings of Citus that users set. Each acts here, or is the same already, or says in a notice that it is ignored; another name
 * is an error, as with the extension, which reserves its prefix.
 */

interface CitusSetting {
  readonly type: 'boolean' | 'integer' | 'real' | 'text' | readonly string[];
  /** What is so when nobody has set it. */
  readonly default: string;
  /** Why another value than the default changes nothing; null: it does what it says. */
  readonly ignored: string | null;
}

const boolean = (byDefault: 'on' | 'off', ignored: string | null): CitusSetting => ({
  ...{ type: 'boolean', default: byDefault, ignored },
});
const integer = (byDefault: number, ignored: string | null): CitusSetting => ({
  ...{ type: 'integer', default: String(byDefault), ignored },
});
const oneOf = (values: readonly string[], byDefault: string, ignored: string | null): CitusSetting => ({
  ...{ type: values, default: byDefault, ignored },
});
const other = (type: 'real' | 'text', byDefault: string, ignored: string): CitusSetting => ({
  ...{ type, default: byDefault, ignored },
});

const onePerNode = 'a session uses one connection per node, and all nodes work at the same time';
const planner = 'the planner decides by itself; pgherd.force_rung is for tests';
const propagated = 'DDL always reaches all nodes, in the same transaction';
const exact = 'results are exact';
const twoPhase = 'a commit over several servers is always two-phase';
const logLevels = [
  'off',
  'debug5',
  'debug4',
  'debug3',
  'debug2',
  'debug1',
  'debug',
  'log',
  'info',
  'notice',
  'warning',
];

const known: ReadonlyMap<string, CitusSetting> = new Map(
  Object.entries({
    shard_count: integer(32, null),
    shard_replication_factor: integer(1, null),
    enable_repartition_joins: boolean('on', null),
    enable_schema_based_sharding: boolean('off', null),

    multi_shard_modify_mode: oneOf(['parallel', 'sequential'], 'parallel', onePerNode),
    max_adaptive_executor_pool_size: integer(16, onePerNode),
    executor_slow_start_interval: other('text', '10ms', onePerNode),
    force_max_query_parallelization: boolean('off', onePerNode),
    max_cached_conns_per_worker: integer(1, 'pools.maxConnectionsPerPool of the configuration bounds the pools'),
    max_cached_connection_lifetime: other('text', '10min', 'pools keep their connections'),
    max_shared_pool_size: integer(0, 'pools.maxConnectionsPerPool of the configuration bounds the pools'),
    local_shared_pool_size: integer(0, 'pools.maxConnectionsPerPool of the configuration bounds the pools'),
    node_connection_timeout: other('text', '30s', 'connecting to a server may take 10 s'),
    node_conninfo: other('text', '', 'how servers are reached stands in the configuration of the router'),
    enable_binary_protocol: boolean('on', 'rows travel in binary form where the types allow it'),

    enable_local_reference_table_foreign_keys: boolean(
      'on',
      'a local table may reference a reference table without being told of to anybody',
    ),
    enable_local_execution: boolean('on', 'the coordinator holds no shards'),
    local_table_join_policy: oneOf(['auto', 'never', 'prefer-local', 'prefer-distributed'], 'auto', planner),
    enable_fast_path_router_planner: boolean('on', planner),
    enable_router_execution: boolean('on', planner),
    enable_cte_inlining: boolean('on', planner),
    enable_repartitioned_insert_select: boolean('on', planner),
    enable_single_hash_repartition_joins: boolean('off', planner),
    coordinator_aggregation_strategy: oneOf(['row-gather', 'disabled'], 'row-gather', planner),
    task_assignment_policy: oneOf(
      ['greedy', 'round-robin', 'first-replica'],
      'greedy',
      'each shard is on one node only; reference tables are read where the query runs',
    ),
    use_secondary_nodes: oneOf(['never', 'always'], 'never', 'reads go to the primaries'),
    limit_clause_row_fetch_count: integer(-1, exact),
    count_distinct_error_rate: other('real', '0', exact),
    max_intermediate_result_size: other('text', '1GB', 'rows that move beyond 1 MB go through temporary tables'),
    all_modifications_commutative: boolean('off', 'there is one copy of each shard'),
    select_opens_transaction_block: boolean('on', 'snapshots over several nodes are taken for every SELECT'),
    function_opens_transaction_block: boolean('on', 'a function runs in the transaction that calls it'),

    enable_ddl_propagation: boolean('on', propagated),
    enable_metadata_sync: boolean('on', 'the catalog is on the coordinator only'),
    enable_object_propagation: boolean('on', propagated),
    create_object_propagation: oneOf(['immediate', 'deferred', 'automatic'], 'immediate', propagated),
    enable_create_role_propagation: boolean('on', propagated),
    enable_alter_role_propagation: boolean('on', propagated),
    propagate_set_commands: oneOf(['none', 'local'], 'none', 'settings of a session hold on every server that it uses'),
    use_citus_managed_tables: boolean('off', 'local tables are joined with all others as they are'),

    multi_shard_commit_protocol: oneOf(['1pc', '2pc'], '2pc', twoPhase),
    single_shard_commit_protocol: oneOf(['1pc', '2pc'], '2pc', twoPhase),
    enable_deadlock_prevention: boolean('on', 'deadlocks over several servers are found and broken'),
    distributed_deadlock_detection_factor: other(
      'real',
      '2',
      'deadlocks are looked for once something has waited for a second',
    ),
    log_distributed_deadlock_detection: boolean('off', 'a deadlock is told in the error'),
    recover_2pc_interval: other('text', '1min', 'recovery runs every 10 s'),

    explain_all_tasks: boolean('off', 'EXPLAIN shows every step; with ANALYZE every server'),
    explain_distributed_queries: boolean('on', 'EXPLAIN always shows the steps'),
    explain_analyze_sort_method: oneOf(
      ['execution-time', 'taskId'],
      'execution-time',
      'EXPLAIN ANALYZE shows servers in order',
    ),
    log_remote_commands: boolean('off', 'EXPLAIN shows what servers are sent'),
    log_multi_join_order: boolean('off', 'EXPLAIN shows the steps'),
    multi_task_query_log_level: oneOf(logLevels, 'off', 'EXPLAIN says which statements go to several nodes'),
    stat_statements_track: oneOf(['none', 'all'], 'none', 'citus_stat_statements always counts'),
    stat_statements_max: integer(50_000, 'citus_stat_statements holds 5000 statements'),
    stat_statements_purge_interval: integer(10, 'citus_stat_statements forgets the rarest when it is full'),
    stat_tenants_track: oneOf(['none', 'all'], 'none', 'citus_stat_tenants is not there'),
    enable_statistics_collection: boolean('off', 'pgherd sends nothing to anybody'),
    show_shards_for_app_name_prefixes: other('text', '', 'leaves are on the nodes only'),
    override_table_visibility: boolean('on', 'leaves are on the nodes only'),
    cluster_name: other('text', 'default', 'a herd has no name'),
    defer_drop_after_shard_move: boolean('on', 'shards do not move yet'),
  } satisfies Record<string, CitusSetting>).map(([name, setting]) => [`citus.${name}`, setting]),
);

/** Says what is wrong with SET of a citus.* setting; gives what its user has to be told: that it is ignored, and why; null: nothing. */
export function checkCitusSetting(name: string, { kind, args }: VariableSetStmt): string | null {
  const setting = known.get(name);
  if (!setting) {
    throw pgError('invalidName', `invalid configuration parameter name "${name}"`, {
      detail: '"citus" is a reserved prefix.',
    });
  }
  if (kind !== 'VAR_SET_VALUE') return null;
  const value = normalized(name, setting, settingValue(args?.[0]));
  if (name === 'citus.shard_replication_factor' && value !== '1') {
    throw unsupported('PH013', `${name} = ${value}`, { hint: 'There is one copy of each shard: leave it at 1.' });
  }
  if (name === 'citus.shard_count' && (Number(value) < 1 || Number(value) > 64_000)) {
    throw pgError('invalidParameterValue', `${value} is outside the valid range for parameter "${name}" (1 .. 64000)`);
  }
  return setting.ignored === null || value === setting.default ? null : `"${name}" is ignored: ${setting.ignored}`;
}

/** What SHOW says of a setting that nobody has set; undefined: there is none of that name. */
export function citusDefault(name: string): string | undefined {
  return known.get(name)?.default;
}

function normalized(
  name: string,
  { type }: CitusSetting,
  { text: value, asBoolean }: ReturnType<typeof settingValue>,
): string {
  const refuse = (hint?: string) =>
    pgError('invalidParameterValue', `invalid value for parameter "${name}": "${value}"`, hint ? { hint } : {});
  if (type === 'boolean') {
    if (asBoolean === null) throw pgError('invalidParameterValue', `parameter "${name}" requires a Boolean value`);
    return asBoolean;
  }
  if (type === 'integer' && !/^-?\d+$/.test(value)) throw refuse();
  if (type === 'real' && !Number.isFinite(Number(value || 'x'))) throw refuse();
  if (typeof type !== 'string' && !type.includes(value.toLowerCase())) {
    throw refuse(`Available values: ${type.join(', ')}.`);
  }
  return type === 'text' ? value : value.toLowerCase();
}
