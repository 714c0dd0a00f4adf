/** Every bound of the router in one place. Bytes, milliseconds and counts, unit last. */
export const limits = {
  /** A startup packet; PostgreSQL's own bound (MAX_STARTUP_PACKET_LENGTH). */
  maxStartupBytes: 10_000,
  /** One message from a client: PostgreSQL allows 1 GiB - 1; so do we, but only after authentication. */
  maxClientFrameBytes: 0x3fffffff,
  /** One message from a client that has not logged in yet. */
  maxUnauthenticatedFrameBytes: 65_535,
  /** One message from a server. */
  maxServerFrameBytes: 0x7fffffff,
  maxClients: 10_000,
  maxPreparedStatementsPerSession: 10_000,
  /** Kept prepared on each server connection for routed statements. */
  maxPreparedStatementsPerConnection: 200,
  maxPortalsPerSession: 10_000,
  /** Remembered for SET TRANSACTION SNAPSHOT. */
  maxExportedSnapshots: 1_000,
  /** Statements kept parsed, by text. */
  maxCachedStatements: 5_000,
  /** A statement text longer than this is parsed each time and never cached. */
  maxCachedStatementBytes: 65_536,
  /** Statements whose times are kept; beyond, the rarest are forgotten. As pg_stat_statements.max. */
  maxMeasuredStatements: 5_000,
  /** Rows carried inline as arrays up to here; beyond, a temporary table on the coordinator. */
  maxInlineMotionBytes: 1_048_576,
  /** The same for rows that are looked up row by row, which an index makes fast. */
  maxInlineLookupBytes: 16_384,
  /** Rows that are sent to nodes within a statement. */
  maxShippedBytes: 67_108_864,
  /** Rows that one transaction's functions may change one by one. */
  maxLoopAddresses: 1_000_000,
  /** Rows on their way between nodes are carried inline up to here; beyond, in temporary tables there, which have statistics. */
  maxInlineStageBytes: 32_768,
  /** Rows of one step that the router holds until they go on to nodes; beyond, the statement is gathered on the coordinator. */
  maxStagedBytes: 536_870_912,
  /** Unread output a client may pile up before the servers feeding it are paused. */
  clientHighWaterBytes: 1_048_576,
  /** Bytes that a COPY into the herd may have in flight to one node. */
  copyHighWaterBytes: 4_194_304,
  maxConnectionsPerPool: 40,
  /** Statements of different sessions in line on one connection. */
  maxSharedStatements: 16,
  /** Of these, in one packet. */
  maxSharedPacketStatements: 8,
  /** Statements that a shared connection carries before it is given to whoever waits for one. */
  maxSharedWhileWaiting: 64,
  /** A longer statement goes by itself. */
  maxSharedStatementBytes: 8_192,
  /** A longer answer is one that others do not wait behind. */
  maxSharedAnswerBytes: 16_384,
  /** How often it is looked whether a statement keeps others waiting: they wait once to twice that. */
  sharedLookMs: 5,
  poolWaitMs: 30_000,
  connectTimeoutMs: 10_000,
  authenticationTimeoutMs: 60_000,
} as const;
