import { bytesText, durationText, shortText } from './figures.ts';
import type { Report } from './report.ts';
import type { Severity } from './rules.ts';
import { type Language, severityWord } from './texts.ts';

const headings = {
  en: {
    ...{ report: 'cluster report', score: 'health score', activeNodes: 'active nodes', nodes: 'Nodes', unknown: '?' },
    ...{
      node: 'node',
      role: 'role',
      state: 'state',
      shards: 'shards',
      bytes: 'size',
      connections: 'connections',
      answers: 'answers in',
      statement: 'statement',
    },
    ...{ statements: 'Statements', replication: 'Replication lag', slow: 'Slow queries', alerts: 'Alerts' },
    ...{ none: 'none', unseen: 'Not seen', up: 'up', down: 'down', off: 'switched off', standby: 'standby' },
    ...{ sent: 'sent', write: 'write', flush: 'flush', replay: 'replay', mean: 'mean', calls: 'calls', rows: 'rows' },
    ...{
      todo: 'what to do',
      since: 'since',
      different: 'different',
      longest: 'longest total',
      average: 'average total',
    },
  },
  zh: {
    ...{ report: '监控报告', score: '健康评分', activeNodes: '活跃节点', nodes: '节点', unknown: '?' },
    ...{
      node: '节点',
      role: '角色',
      state: '状态',
      shards: '分片',
      bytes: '大小',
      connections: '连接',
      answers: '响应',
      statement: '每条语句',
    },
    ...{ statements: '查询统计', replication: '复制延迟', slow: '慢查询', alerts: '告警' },
    ...{ none: '无', unseen: '未能查看', up: '正常', down: '不可用', off: '已停用', standby: '备库' },
    ...{ sent: '发送', write: '写入', flush: '落盘', replay: '回放', mean: '平均', calls: '次数', rows: '行数' },
    ...{ todo: '处理', since: '自', different: '种语句', longest: '最长总耗时', average: '平均总耗时' },
  },
} as const;

type Words = Record<keyof (typeof headings)['en'], string>;

/** A report for a terminal. */
export function reportText(report: Report, language: Language): string {
  const words: Words = headings[language];
  const { health_score: score, cluster_health: health } = report;
  const nodes = health.nodes ?? [];
  const usable = nodes.filter((node) => node.active && node.reachable !== false).length;
  return [
    `=== ${words.report} ${report.timestamp} ===`,
    `${words.score}: ${score === null ? words.unknown : `${score.toFixed(1)} %`}`,
    `${words.activeNodes}: ${usable}/${nodes.length}`,
    ...section(words.nodes, nodeTable(report, words)),
    ...section(words.statements, statementLines(report, words)),
    ...section(words.replication, replicationTable(report, words)),
    ...section(words.slow, slowTable(report, words)),
    ...section(words.alerts, alertLines(report, words, language)),
    ...section(
      words.unseen,
      Object.entries(report.unseen).map(([part, why]) => `${part}: ${why}`),
    ),
  ].join('\n');
}

function section(heading: string, lines: readonly string[]): string[] {
  return lines.length === 0 ? [] : ['', `${heading}:`, ...lines.map((line) => `  ${line}`)];
}

function nodeTable({ cluster_health: health }: Report, words: Words): string[] {
  const shards = new Map((health.shards ?? []).map((each) => [each.node, each]));
  const servers = new Map((health.servers ?? []).map((server) => [server.name, server]));
  const means = new Map((health.performance?.by_node ?? []).map((each) => [each.node, each.mean_time]));
  const rows = (health.nodes ?? []).map((node) => {
    const held = shards.get(node.name);
    const server = servers.get(node.name);
    const state = node.reachable === false ? words.down : node.active ? words.up : words.off;
    const connections = server && 'max_connections' in server ? `${server.connections}/${server.max_connections}` : '-';
    const size = held === undefined || node.reachable === false ? '-' : bytesText(held.size);
    const answers = server && 'answer_ms' in server && server.answer_ms !== null ? durationText(server.answer_ms) : '-';
    const mean = means.get(node.name);
    const statement = mean === undefined ? '-' : durationText(mean);
    return [node.name, node.role, state, String(held?.count ?? 0), size, answers, statement, connections];
  });
  if (rows.length === 0) return [];
  return table([
    [words.node, words.role, words.state, words.shards, words.bytes, words.answers, words.statement, words.connections],
    ...rows,
  ]);
}

function statementLines({ cluster_health: { performance } }: Report, words: Words): string[] {
  if (performance === null) return [];
  const { total_queries: count, total_calls: calls, avg_query_time: average, max_query_time: longest } = performance;
  return [
    `${count} ${words.different}, ${calls} ${words.calls}, ${words.average} ${durationText(average)}, ${words.longest} ${durationText(longest)}`,
  ];
}

function replicationTable({ replication_status: { replication_lag: lags } }: Report, words: Words): string[] {
  if (lags === null) return [];
  if (lags.length === 0) return [words.none];
  const bytes = (value: number | null) => (value === null ? '-' : bytesText(value));
  const both = (size: number | null, ms: number | null) => `${bytes(size)}${ms === null ? '' : ` ${durationText(ms)}`}`;
  return table([
    [words.node, words.standby, words.state, words.sent, words.write, words.flush, words.replay],
    ...lags.map((lag) => [
      ...[lag.node, `${lag.application}${lag.client === null ? '' : ` ${lag.client}`}`, lag.state, bytes(lag.sent_lag)],
      ...[both(lag.write_lag, lag.write_ms), both(lag.flush_lag, lag.flush_ms), both(lag.replay_lag, lag.replay_ms)],
    ]),
  ]);
}

function slowTable({ slow_queries: slow }: Report, words: Words): string[] {
  if (slow === null) return [];
  if (slow.length === 0) return [words.none];
  return table([
    [words.mean, words.calls, words.rows, words.node, ''],
    ...slow.map((query) => [
      ...[durationText(query.mean_time), String(query.calls), query.rows === null ? '-' : String(query.rows)],
      ...[query.node ?? '-', shortText(query.query, 200)],
    ]),
  ]);
}

function alertLines({ alerts }: Report, words: Words, language: Language): string[] {
  if (alerts.length === 0) return [words.none];
  return alerts.flatMap(({ severity, message, advice, since }) => [
    `[${severityWord(severity as Severity, language)}] ${message} (${words.since} ${since})`,
    `    ${words.todo}: ${advice}`,
  ]);
}

function table(rows: readonly (readonly string[])[]): string[] {
  const widths = rows[0]!.map((_, i) => Math.max(...rows.map((row) => columnsOf(row[i]!))));
  return rows.map((row) =>
    row
      .map((cell, i) => (i === row.length - 1 ? cell : cell + ' '.repeat(widths[i]! - columnsOf(cell))))
      .join('  ')
      .trimEnd(),
  );
}

/** Chinese characters and full-width signs take two columns of a terminal. */
function columnsOf(text: string): number {
  return [...text].reduce(
    (sum, letter) =>
      sum +
      (/[\u1100-\u115f\u2e80-\ua4cf\uac00-\ud7a3\uf900-\ufaff\ufe30-\ufe4f\uff00-\uff60\uffe0-\uffe6]/.test(letter)
        ? 2
        : 1),
    0,
  );
}
