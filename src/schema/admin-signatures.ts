/**
 * The administrative functions as users know them from Citus: names, arguments, what they return. Those named pgherd_… are
 * our own.
 */

export interface AdminParameter {
  readonly name: string;
  readonly type: string;
  /** SQL of the default; undefined: the argument must be given. */
  readonly default?: string;
}

export interface AdminSignature {
  readonly parameters: readonly AdminParameter[];
  /** A type name, or the columns of a set of rows. */
  readonly returns: string | readonly { readonly name: string; readonly type: string }[];
}

const table: AdminParameter = { name: 'table_name', type: 'regclass' };
const nodeName: AdminParameter = { name: 'nodename', type: 'text' };
const nodePort: AdminParameter = { name: 'nodeport', type: 'integer', default: '5432' };
const group = [
  { name: 'groupid', type: 'integer', default: '-1' },
  { name: 'noderole', type: 'text', default: "'primary'" },
  { name: 'nodecluster', type: 'name', default: "'default'" },
];
const workerNodes = [
  { name: 'node_name', type: 'text' },
  { name: 'node_port', type: 'bigint' },
];
const sizeOf: AdminSignature = {
  parameters: [
    { name: 'logicalrelid', type: 'regclass' },
    { name: 'fail_on_error', type: 'boolean', default: 'true' },
  ],
  returns: 'bigint',
};
const commandResult = [
  { name: 'nodename', type: 'text' },
  { name: 'nodeport', type: 'integer' },
  { name: 'success', type: 'boolean' },
  { name: 'result', type: 'text' },
];
const command: AdminParameter = { name: 'command', type: 'text' };
const parallel: AdminParameter = { name: 'parallel', type: 'boolean', default: 'true' };

export const adminSignatures = {
  citus_set_coordinator_host: {
    parameters: [
      { name: 'host', type: 'text' },
      { name: 'port', type: 'integer', default: '5432' },
      { name: 'node_role', type: 'text', default: "'primary'" },
      { name: 'node_cluster', type: 'name', default: "'default'" },
    ],
    returns: 'void',
  },
  citus_add_node: { parameters: [nodeName, nodePort, ...group], returns: 'integer' },
  master_add_node: { parameters: [nodeName, nodePort, ...group], returns: 'integer' },
  citus_remove_node: { parameters: [nodeName, nodePort], returns: 'void' },
  master_remove_node: { parameters: [nodeName, nodePort], returns: 'void' },
  citus_activate_node: { parameters: [nodeName, nodePort], returns: 'integer' },
  citus_disable_node: {
    parameters: [nodeName, nodePort, { name: 'synchronous', type: 'boolean', default: 'false' }],
    returns: 'void',
  },
  citus_get_active_worker_nodes: { parameters: [], returns: workerNodes },
  master_get_active_worker_nodes: { parameters: [], returns: workerNodes },
  create_distributed_table: {
    parameters: [
      table,
      { name: 'distribution_column', type: 'text' },
      { name: 'distribution_type', type: 'text', default: "'hash'" },
      { name: 'colocate_with', type: 'text', default: "'default'" },
      { name: 'shard_count', type: 'integer', default: 'NULL' },
      { name: 'shard_bounds', type: 'text', default: 'NULL' },
    ],
    returns: 'void',
  },
  pgherd_add_shard: {
    parameters: [
      table,
      { name: 'shard_bounds', type: 'text' },
      { name: 'nodename', type: 'text', default: 'NULL' },
      { name: 'nodeport', type: 'integer', default: 'NULL' },
    ],
    returns: 'bigint',
  },
  create_reference_table: { parameters: [table], returns: 'void' },
  undistribute_table: {
    parameters: [table, { name: 'cascade_via_foreign_keys', type: 'boolean', default: 'false' }],
    returns: 'void',
  },
  alter_distributed_table: {
    parameters: [
      table,
      { name: 'distribution_column', type: 'text', default: 'NULL' },
      { name: 'shard_count', type: 'integer', default: 'NULL' },
      { name: 'colocate_with', type: 'text', default: 'NULL' },
      { name: 'cascade_to_colocated', type: 'boolean', default: 'NULL' },
    ],
    returns: 'void',
  },
  truncate_local_data_after_distributing_table: { parameters: [table], returns: 'void' },
  create_distributed_function: {
    parameters: [
      { name: 'function_name', type: 'regprocedure' },
      { name: 'distribution_arg_name', type: 'text', default: 'NULL' },
      { name: 'colocate_with', type: 'text', default: "'default'" },
      { name: 'force_delegation', type: 'boolean', default: 'NULL' },
    ],
    returns: 'void',
  },
  get_shard_id_for_distribution_column: {
    // Citus has "any" here; the session evaluates the argument to text, and the handler reads it as the key's type.
    parameters: [table, { name: 'distribution_value', type: 'anyelement', default: 'NULL::text' }],
    returns: 'bigint',
  },
  column_to_column_name: { parameters: [table, { name: 'column_var_text', type: 'text' }], returns: 'text' },
  run_command_on_workers: { parameters: [command, parallel], returns: commandResult },
  run_command_on_all_nodes: {
    parameters: [command, parallel, { name: 'give_warning_for_connection_errors', type: 'boolean', default: 'false' }],
    returns: [
      { name: 'nodeid', type: 'integer' },
      { name: 'success', type: 'boolean' },
      { name: 'result', type: 'text' },
    ],
  },
  run_command_on_coordinator: {
    parameters: [command, { name: 'give_warning_for_connection_errors', type: 'boolean', default: 'false' }],
    returns: [
      { name: 'nodeid', type: 'integer' },
      { name: 'success', type: 'boolean' },
      { name: 'result', type: 'text' },
    ],
  },
  run_command_on_shards: {
    parameters: [table, command, parallel],
    returns: [
      { name: 'shardid', type: 'bigint' },
      { name: 'success', type: 'boolean' },
      { name: 'result', type: 'text' },
    ],
  },
  run_command_on_placements: {
    parameters: [table, command, parallel],
    returns: [
      { name: 'nodename', type: 'text' },
      { name: 'nodeport', type: 'integer' },
      { name: 'shardid', type: 'bigint' },
      { name: 'success', type: 'boolean' },
      { name: 'result', type: 'text' },
    ],
  },
  run_command_on_colocated_placements: {
    parameters: [
      { name: 'table_name1', type: 'regclass' },
      { name: 'table_name2', type: 'regclass' },
      command,
      parallel,
    ],
    returns: [
      { name: 'nodename', type: 'text' },
      { name: 'nodeport', type: 'integer' },
      { name: 'shardid1', type: 'bigint' },
      { name: 'shardid2', type: 'bigint' },
      { name: 'success', type: 'boolean' },
      { name: 'result', type: 'text' },
    ],
  },
  update_distributed_table_colocation: {
    parameters: [table, { name: 'colocate_with', type: 'text' }],
    returns: 'void',
  },
  citus_schema_distribute: { parameters: [{ name: 'schemaname', type: 'regnamespace' }], returns: 'void' },
  citus_schema_undistribute: { parameters: [{ name: 'schemaname', type: 'regnamespace' }], returns: 'void' },
  citus_add_local_table_to_metadata: {
    parameters: [table, { name: 'cascade_via_foreign_keys', type: 'boolean', default: 'false' }],
    returns: 'void',
  },
  remove_local_tables_from_metadata: { parameters: [], returns: 'void' },
  citus_check_cluster_node_health: {
    parameters: [],
    returns: [
      { name: 'from_nodename', type: 'text' },
      { name: 'from_nodeport', type: 'integer' },
      { name: 'to_nodename', type: 'text' },
      { name: 'to_nodeport', type: 'integer' },
      { name: 'result', type: 'boolean' },
    ],
  },
  pg_stat_statements_reset: {
    parameters: [
      { name: 'userid', type: 'oid', default: '0' },
      { name: 'dbid', type: 'oid', default: '0' },
      { name: 'queryid', type: 'bigint', default: '0' },
    ],
    returns: 'void',
  },
  citus_stat_statements_reset: { parameters: [], returns: 'void' },
  pgherd_alter_system: {
    parameters: [
      { name: 'name', type: 'text' },
      { name: 'value', type: 'text', default: 'NULL' },
      { name: 'coordinator_value', type: 'text', default: 'NULL' },
      { name: 'coordinator_only', type: 'boolean', default: 'false' },
      { name: 'skip_validation', type: 'boolean', default: 'false' },
    ],
    returns: [
      { name: 'nodeid', type: 'integer' },
      { name: 'nodename', type: 'text' },
      { name: 'pending', type: 'text' },
    ],
  },
  pgherd_resume_job: { parameters: [{ name: 'job_id', type: 'bigint' }], returns: 'void' },
  pgherd_settings: {
    parameters: [{ name: 'setting', type: 'text', default: 'NULL' }],
    returns: [
      { name: 'nodeid', type: 'integer' },
      ...['nodename', 'name', 'value', 'unit', 'context', 'vartype', 'min_val', 'max_val', 'file_value'].map(
        (name) => ({
          name,
          type: 'text',
        }),
      ),
      { name: 'pending_restart', type: 'boolean' },
    ],
  },
  citus_table_size: sizeOf,
  citus_relation_size: sizeOf,
  citus_total_relation_size: sizeOf,
  citus_shard_sizes: {
    parameters: [],
    returns: [
      { name: 'shard_id', type: 'integer' },
      { name: 'size', type: 'bigint' },
    ],
  },
  citus_version: { parameters: [], returns: 'text' },
  pgxc_pool_reload: { parameters: [], returns: 'boolean' },
} as const satisfies Record<string, AdminSignature>;

export type AdminName = keyof typeof adminSignatures;

export function isAdminName(name: string): name is AdminName {
  return Object.hasOwn(adminSignatures, name);
}

export function adminSignature(name: AdminName): AdminSignature {
  return adminSignatures[name];
}
