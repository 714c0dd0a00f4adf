import pg from 'pg';
import { loadSnapshot } from '../../src/catalog/load.ts';
import { bumpCatalogSql } from '../../src/catalog/schema-sql.ts';
import { type CatalogSnapshot, type DistributedTable, leafSchema, type NodeId } from '../../src/catalog/snapshot.ts';
import { type ErrorFields, PgError, pgError } from '../../src/core/errors.ts';
import type { QueryResult, SqlRunner } from '../../src/core/runner.ts';
import { delegationObstacle } from '../../src/plan/planner.ts';
import { bootstrapCoordinator, bootstrapNode } from '../../src/schema/bootstrap.ts';
import type { HerdTransaction, Notice } from '../../src/schema/herd.ts';
import { quoteIdentifier, quoteQualified } from '../../src/sql/quote.ts';
import { type HerdServers, type PostgresVersion, startHerdServers } from '../harness/postgres.ts';

/** A SqlRunner over node-postgres. */
export interface Client extends SqlRunner {
  /** Rows of one column, or of several joined by `|`. */
  rows(sql: string, parameters?: readonly (string | null)[]): Promise<string[]>;
  end(): Promise<void>;
}

export async function connect(port: number, user = 'postgres'): Promise<Client> {
  const client = new pg.Client({ host: '127.0.0.1', port, user, database: 'postgres' });
  client.on('error', () => {});
  await client.connect();
  const query = async (sql: string, parameters?: readonly (string | null)[]): Promise<QueryResult> => {
    try {
      const types = { getTypeParser: () => (value: string) => value };
      const given = await client.query({
        text: sql,
        rowMode: 'array',
        types: types as never,
        ...(parameters ? { values: [...parameters] } : {}),
      });
      const result = Array.isArray(given) ? given.at(-1)! : given;
      return {
        columns: result.fields.map((field: pg.FieldDef) => field.name),
        typeOids: result.fields.map((field: pg.FieldDef) => field.dataTypeID),
        rows: result.rows as (string | null)[][],
        tag: `${result.command} ${result.rowCount ?? ''}`,
      };
    } catch (error) {
      if (error instanceof pg.DatabaseError) throw new PgError({ ...error, message: error.message } as ErrorFields);
      throw error;
    }
  };
  const rows = async (sql: string, parameters?: readonly (string | null)[]) =>
    (await query(sql, parameters)).rows.map((row) => row.map((value) => value ?? '∅').join('|'));
  return { query, rows, end: () => client.end() };
}

/** SQLSTATE and message of what is thrown; '' when nothing is. */
export async function failure(work: Promise<unknown>): Promise<string> {
  try {
    await work;
    return '';
  } catch (error) {
    if (error instanceof PgError) return `${error.code} ${error.message}`;
    throw error;
  }
}

export interface TestHerd {
  readonly servers: HerdServers;
  readonly coordinator: Client;
  readonly nodes: readonly Client[];
  readonly notices: Notice[];
  /** One distributed transaction: committed everywhere, or rolled back everywhere. */
  transaction<T>(work: (tx: HerdTransaction) => Promise<T>): Promise<T>;
  snapshot(): Promise<CatalogSnapshot>;
  stop(): Promise<void>;
}

export interface TestHerdOptions {
  readonly version?: PostgresVersion;
  readonly nodes?: number;
  /** Leaves the nodes out of the catalog. */
  readonly empty?: boolean;
}

export async function startTestHerd(options: TestHerdOptions = {}): Promise<TestHerd> {
  const servers = await startHerdServers({ version: options.version ?? 18, nodes: options.nodes ?? 2 });
  const coordinator = await connect(servers.coordinator.port);
  const nodes = await Promise.all(servers.nodes.map((node) => connect(node.port)));
  await bootstrapCoordinator(coordinator);
  for (const node of nodes) await bootstrapNode(node);
  if (!options.empty) {
    for (const { name, host, port } of servers.nodes) {
      await coordinator.query('INSERT INTO pgherd.node (name, host, port) VALUES ($1, $2, $3)', [
        name,
        host,
        `${port}`,
      ]);
    }
  }
  const notices: Notice[] = [];
  const transaction = async <T>(work: (tx: HerdTransaction) => Promise<T>): Promise<T> => {
    const tx = new TestTransaction(coordinator, nodes, servers, notices);
    await coordinator.query('BEGIN');
    try {
      const result = await work(tx);
      await tx.end('COMMIT');
      return result;
    } catch (error) {
      await tx.end('ROLLBACK');
      throw error;
    }
  };
  const stop = async () => {
    for (const client of [coordinator, ...nodes]) await client.end();
    await servers.stop();
  };
  return { servers, coordinator, nodes, notices, transaction, snapshot: () => loadSnapshot(coordinator), stop };
}

class TestTransaction implements HerdTransaction {
  readonly signal = new AbortController().signal;
  readonly defaultShardCount = 32;
  readonly coordinator: Client;
  readonly #nodes: readonly Client[];
  readonly #servers: HerdServers;
  readonly #notices: Notice[];
  readonly #joined = new Set<Client>();
  #changed = false;

  constructor(coordinator: Client, nodes: readonly Client[], servers: HerdServers, notices: Notice[]) {
    this.coordinator = coordinator;
    this.#nodes = nodes;
    this.#servers = servers;
    this.#notices = notices;
  }

  async node(id: NodeId): Promise<Client> {
    const { rows } = await this.coordinator.query('SELECT port FROM pgherd.node WHERE node_id = $1', [`${id}`]);
    const client = this.#nodes[this.#servers.nodes.findIndex((node) => `${node.port}` === rows[0]?.[0])];
    if (!client) throw pgError('connectionFailure', 'no such server');
    if (!this.#joined.has(client)) {
      this.#joined.add(client);
      await client.query('BEGIN');
      const path = await this.coordinator.rows('SHOW search_path');
      await client.query('SELECT set_config($1, $2, true)', ['search_path', path[0]!]);
    }
    return client;
  }

  shardSizes(): never {
    throw new Error('this herd has no router');
  }

  resetStatistics(): never {
    throw new Error('this herd has no router');
  }

  beside(): never {
    throw new Error('this herd has no connections beside its transaction');
  }

  /** That is the router's: rows that are there are taken to be right. */
  async checkForeignKey(): Promise<void> {}

  snapshot(): Promise<CatalogSnapshot> {
    return loadSnapshot(this.coordinator);
  }

  async delegationObstacle(oid: number): Promise<string | null> {
    return delegationObstacle(oid, { snapshot: await this.snapshot(), searchPath: ['pg_catalog', 'public'] });
  }

  changed(): void {
    this.#changed = true;
  }

  notice(fields: Notice): void {
    this.#notices.push(fields);
  }

  async copyRows(fromSql: string, table: DistributedTable, columns: readonly string[]): Promise<number> {
    const { distribution } = table;
    if (distribution.kind !== 'distributed') throw new Error('a reference table has no shards');
    const rows = await this.#json(this.coordinator, fromSql);
    let copied = 0;
    for (const { index, nodeId } of distribution.group.shards) {
      const node = await this.node(nodeId);
      const leaf = quoteQualified(leafSchema(index, table.schema), table.name);
      const [bound] = await node.rows(
        `SELECT concat_ws(' AND ', pg_get_partition_constraintdef($1::regclass), (
        SELECT substr(pg_get_constraintdef(oid), 7) FROM pg_constraint WHERE conrelid = $1::regclass AND conname = 'pgherd_default'))`,
        [leaf],
      );
      copied += await this.#insert(node, leaf, columns, rows, bound || 'true');
    }
    return copied;
  }

  async gatherRows(table: DistributedTable, intoTable: string, columns: readonly string[]): Promise<number> {
    const { distribution } = table;
    if (distribution.kind !== 'distributed') throw new Error('a reference table has no shards');
    let gathered = 0;
    for (const nodeId of new Set(distribution.group.shards.map((shard) => shard.nodeId))) {
      const list = columns.map(quoteIdentifier).join(', ');
      const sql = `SELECT ${list} FROM ${quoteQualified(table.schema, table.name)}`;
      const rows = await this.#json(await this.node(nodeId), sql);
      gathered += await this.#insert(this.coordinator, intoTable, columns, rows, 'true');
    }
    return gathered;
  }

  async copyToAll(
    fromSql: string,
    table: DistributedTable,
    columns: readonly string[],
    only?: NodeId,
  ): Promise<number> {
    const rows = await this.#json(this.coordinator, fromSql);
    const { nodes } = await this.snapshot();
    for (const { id, active } of nodes) {
      if (!active) continue;
      if (only !== undefined && only !== id) continue;
      await this.#insert(await this.node(id), quoteQualified(table.schema, table.name), columns, rows, 'true');
    }
    return Number((await this.coordinator.rows('SELECT json_array_length($1)', [rows]))[0]);
  }

  resolveAddress(name: string, port: number) {
    const known = this.#servers.nodes.find((node) => node.name === name);
    return known ? { host: known.host, port: known.port } : { host: name, port };
  }

  async end(how: 'COMMIT' | 'ROLLBACK'): Promise<void> {
    if (how === 'COMMIT' && this.#changed) await this.coordinator.query(bumpCatalogSql);
    for (const client of [this.coordinator, ...this.#joined]) await client.query(how);
  }

  async #json(client: Client, sql: string): Promise<string> {
    const { rows } = await client.query(`SELECT coalesce(json_agg(r), '[]') FROM (${sql}) r`);
    return rows[0]![0]!;
  }

  async #insert(
    client: Client,
    into: string,
    columns: readonly string[],
    rows: string,
    where: string,
  ): Promise<number> {
    const list = columns.map(quoteIdentifier).join(', ');
    const { tag } = await client.query(
      `INSERT INTO ${into} (${list}) OVERRIDING SYSTEM VALUE SELECT ${list} FROM json_populate_recordset(NULL::${into}, $1) WHERE ${where}`,
      [rows],
    );
    return Number(tag.split(' ')[1]);
  }
}
