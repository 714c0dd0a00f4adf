import { percent, short, size, time } from './details.ts';
import type { Severity } from './rules.ts';
import type { AlertTexts } from './texts.ts';

export const severityWordsZh: Readonly<Record<Severity, string>> = { critical: '严重', warning: '警告', info: '提示' };

export const alertTextsZh: AlertTexts = {
  clusterUnreachable: (_, { why }) => ({
    message: `无法连接集群：${why}`,
    advice: '先检查路由器（pgherd status 及其日志），再检查协调节点；pgherd up 可启动两者。',
  }),
  nodeDown: (node, { why }) => ({
    message: why === 'inactive' ? `节点 ${node} 已停用` : `节点 ${node} 不可用：${why}`,
    advice:
      why === 'inactive'
        ? '用 SELECT citus_activate_node(…) 重新启用。'
        : '启动该节点的 PostgreSQL 并查看其日志（内嵌集群会自动重启）；在此之前，需要其分片的语句以 08006 失败。',
  }),
  nodeFlapping: (node, { changes, windowMs }) => ({
    message: `节点 ${node} 在 ${time(windowMs)} 内上下线 ${changes} 次`,
    advice: '查看其日志是否崩溃（内存不足、磁盘），并检查它与路由器之间的网络。',
  }),
  replayLag: (standby, { bytes, ms }) => ({
    message: `复制延迟过高：${standby} 回放落后 ${size(bytes)}${ms === undefined ? '' : `，${time(ms)}`}`,
    advice:
      '若发送即落后，检查网络；若仅回放落后，检查备库上的长查询（hot_standby_feedback、max_standby_streaming_delay）、pg_is_wal_replay_paused() 以及磁盘。',
  }),
  slowQueries: (_, { count, query, meanMs }) => ({
    message: `发现 ${count} 个慢查询，最慢者平均 ${time(meanMs)}：${short(query)}`,
    advice:
      '通过路由器执行 EXPLAIN ANALYZE：通常可按分布列过滤、建索引或让连接的表同位分布。修复后执行 SELECT pg_stat_statements_reset() 和 citus_stat_statements_reset()。',
  }),
  transactionInDoubt: (server, { count, ageMs, gid }) => ({
    message: `${server} 上有 ${count} 个悬而未决的预备事务，最久 ${time(ageMs)}：${gid}`,
    advice:
      'SELECT * FROM pgherd_transactions 说明原因。名为 pgherd:… 的事务在协调节点和该节点可用后由恢复程序处理，切勿手工处理；其余属于客户端：COMMIT PREPARED 或 ROLLBACK PREPARED。',
  }),
  longTransaction: (server, { ageMs, pid, state, query }) => ({
    message: `${server} 上有事务已持续 ${time(ageMs)}（pid ${pid}，${state}）：${short(query)}`,
    advice:
      '它占用锁并阻止清理。结束其客户端，或 SELECT pg_terminate_backend(global_pid) FROM citus_stat_activity；可设置 idle_in_transaction_session_timeout 预防。',
  }),
  lockWait: (server, { ageMs, pid, query, blocking, blockingQuery }) => ({
    message: `${server} 上 pid ${pid} 等待锁已 ${time(ageMs)}：${short(query)}`,
    advice: `它在等待 pid ${blocking}（${short(blockingQuery)}）。让后者提交或取消它：SELECT * FROM citus_lock_waits 给出全局 pid。`,
  }),
  poolExhausted: (pool, { waiting, maxConnections }) => ({
    message: `连接池 ${pool} 的 ${maxConnections} 个连接已用尽，${waiting} 个会话在等待`,
    advice: '缩短事务，或调大 pools.maxConnectionsPerPool（以及服务器的 max_connections）。',
  }),
  connections: (server, { connections, maxConnections }) => ({
    message: `${server} 已用 ${connections}/${maxConnections} 个连接（${percent(connections, maxConnections)}）`,
    advice:
      '找出占用者：SELECT usename, application_name, count(*) FROM pg_stat_activity GROUP BY 1, 2。让客户端使用路由器的连接池，或用 pgherd gpconfig -c max_connections 调大。',
  }),
  shardImbalance: (node, { bytes, averageBytes }) => ({
    message: `分片不均衡：节点 ${node} 有 ${size(bytes)}，平均 ${size(averageBytes)}`,
    advice:
      'SELECT table_name, nodename, sum(shard_size) FROM citus_shards GROUP BY 1, 2 显示是哪张表。若少数键值过大，换分布列；否则移动分片。',
  }),
  diskFull: (server, { freeBytes, totalBytes }) => ({
    message: `${server} 的磁盘仅剩 ${size(freeBytes)}（共 ${size(totalBytes)}）`,
    advice: '在 PostgreSQL 停止之前释放空间：删除无用数据，检查 pg_wal（失效的复制槽会保留 WAL）和旧日志，或扩容。',
  }),
  staleStatistics: (server, { count, table, changed }) => ({
    message: `${server} 上有 ${count} 张表统计信息过期，最严重的是 ${table}，已变更 ${changed} 行`,
    advice: '对它们执行 ANALYZE；若再次出现，检查 autovacuum 是否开启并跟得上。',
  }),
  wraparound: (server, { xidAge }) => ({
    message: `${server} 最老的事务号年龄为 ${xidAge}，到约 2,100,000,000 时将停止写入`,
    advice: '立即对其表执行 VACUUM FREEZE；结束老事务、预备事务和复制槽，它们会妨碍 VACUUM。',
  }),
};
