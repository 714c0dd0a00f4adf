import type { VariableSetStmt } from '@pgsql/types';
import { pgError } from '../core/errors.ts';
import { createSource, splice } from '../sql/source.ts';
import type { SessionState } from './session-state.ts';
import { settingValue } from './setting-value.ts';
import type { ParsedStatement } from './statement-cache.ts';

/*
 * Settings of Greenplum that PostgreSQL has no name for. They are accepted and shown, kept under `greenplum.<name>`; a value that asks
 * for something else than what pgherd does gives a notice that says why it is ignored.
 */

interface GreenplumSetting {
  readonly type: 'boolean' | 'text';
  readonly default: string;
  readonly ignored: string;
}

const onByDefault = (ignored: string): GreenplumSetting => ({ type: 'boolean', default: 'on', ignored });
const offByDefault = (ignored: string): GreenplumSetting => ({ type: 'boolean', default: 'off', ignored });
const text = (byDefault: string, ignored: string): GreenplumSetting => ({ type: 'text', default: byDefault, ignored });

const planner = 'the planner decides by itself where to aggregate and what to move; EXPLAIN says why';
const memory = "work_mem and maintenance_work_mem are PostgreSQL's bounds";

const known: Readonly<Record<string, GreenplumSetting>> = {
  enable_groupagg: onByDefault(
    'PostgreSQL chooses between sorting and hashing by cost; enable_hashagg and enable_sort weigh on it',
  ),
  optimizer: onByDefault('there is one planner'),
  gp_enable_agg_distinct: onByDefault(planner),
  gp_enable_agg_distinct_pruning: onByDefault(planner),
  gp_enable_direct_dispatch: onByDefault('statements that concern one shard always go to its node alone'),
  gp_enable_fast_sri: onByDefault('statements that concern one shard always go to its node alone'),
  gp_enable_groupext_distinct_gather: onByDefault(planner),
  gp_enable_groupext_distinct_pruning: onByDefault(planner),
  gp_enable_multiphase_agg: onByDefault(planner),
  gp_enable_predicate_propagation: onByDefault(planner),
  gp_enable_preunique: onByDefault(planner),
  gp_enable_relsize_collection: offByDefault('sizes are estimated by ANALYZE'),
  gp_enable_sort_distinct: onByDefault(planner),
  gp_enable_sort_limit: onByDefault(planner),
  gp_segments_for_planner: text('0', planner),
  gp_motion_cost_per_row: text('0', planner),
  gp_autostats_mode: text('on_no_stats', 'autovacuum keeps the statistics'),
  gp_workfile_compression: offByDefault('temporary files are not compressed'),
  gp_interconnect_type: text('tcp', "servers are reached over PostgreSQL's protocol"),
  gp_resqueue_priority: text('medium', 'there are no resource queues'),
  gp_vmem_protect_limit: text('8192', memory),
  statement_mem: text('125MB', memory),
  max_statement_mem: text('2000MB', memory),
};

function settingNamed(name: string): GreenplumSetting | undefined {
  return Object.hasOwn(known, name) ? known[name] : undefined;
}

const kept = (name: string) => `greenplum.${name}`;

export interface GreenplumSet {
  /** The statement under the name that PostgreSQL accepts. */
  readonly statement: ParsedStatement;
  /** What the client is to be told; null: nothing. */
  readonly notice: string | null;
}

/** SET and RESET of such a setting; null: it is another one. */
export function readGreenplumSet(
  session: SessionState,
  statement: ParsedStatement,
  command: VariableSetStmt,
): GreenplumSet | null {
  const name = (command.name ?? '').toLowerCase();
  const setting = settingNamed(name);
  if (!setting) return null;
  const source = createSource(statement);
  const token = source.tokens().find(({ kind, text: word }) => kind === 'word' && word === name);
  if (!token) return null;
  const { start, end } = token;
  const [renamed] = session.services.statements.parse(
    splice<never>(source, [{ start, end, parts: [kept(name)] }]).join(''),
  );
  if (!renamed) return null;
  return { statement: renamed, notice: noticeOf(name, setting, command) };
}

function noticeOf(name: string, setting: GreenplumSetting, { kind, args }: VariableSetStmt): string | null {
  if (kind !== 'VAR_SET_VALUE') return null;
  const { text: value, asBoolean } = settingValue(args?.[0]);
  if (setting.type === 'boolean' && asBoolean === null) {
    throw pgError('invalidParameterValue', `parameter "${name}" requires a Boolean value`);
  }
  const wanted = setting.type === 'boolean' ? asBoolean : value;
  return wanted === setting.default ? null : `"${name}" is ignored: ${setting.ignored}`;
}

/** What SHOW says; null: it is no such setting. */
export async function shownGreenplumSetting(session: SessionState, name: string): Promise<string | null> {
  const setting = settingNamed(name);
  if (!setting) return null;
  const connection = await session.coordinator();
  const { rows } = await connection.query(`SELECT current_setting('${kept(name)}', true)`);
  return rows[0]?.[0] || setting.default;
}
