import { createHash } from 'node:crypto';
import type { CatalogSnapshot } from '../catalog/snapshot.ts';
import { limits } from '../core/limits.ts';
import type { Plan } from '../plan/plan.ts';
import { createSource } from '../sql/source.ts';
import type { Token } from '../sql/tokens.ts';
import type { ParsedStatement } from './statement-cache.ts';

interface Times {
  calls: number;
  totalMs: number;
  maxMs: number;
}

interface StatementEntry extends Times {
  readonly role: string;
  readonly query: string;
  readonly rung: string;
}

/**
 * How long statements took, as this router measured them from plan to last row: by text without literals, and by shard. A
 * statement over several shards counts for each of them. Kept in memory, by one router.
 */
export class StatementTimes {
  /** By table and shard: `16384/7`. */
  readonly #shards = new Map<string, Times>();
  readonly #statements = new Map<string, StatementEntry>();
  readonly #texts = new WeakMap<ParsedStatement, string>();

  readonly #measures: boolean;

  constructor(measures: boolean) {
    this.#measures = measures;
  }

  note(statement: ParsedStatement, plan: Plan, { role, ms }: { readonly role: string; readonly ms: number }): void {
    if (!this.#measures) return;
    const query = this.#textOf(statement);
    const key = `${role}\0${plan.rung}\0${query}`;
    const known = this.#statements.get(key);
    if (known) add(known, ms);
    else {
      this.#statements.set(key, { role, query, rung: plan.rung, calls: 1, totalMs: ms, maxMs: ms });
      if (this.#statements.size > limits.maxMeasuredStatements) this.#forgetRarest();
    }
    for (const { relation, shards } of plan.touches ?? [])
      for (const shard of shards) this.#addShard(relation, shard, ms);
  }

  /** (shard id, calls, total, maximum), for shards that statements have met. */
  shardRows(catalog: CatalogSnapshot): string[][] {
    return [...this.#shards].flatMap(([key, { calls, totalMs, maxMs }]) => {
      const [relation, shard] = key.split('/').map(Number) as [number, number];
      const distribution = catalog.relationsByOid.get(relation)?.distributed?.distribution;
      const id = distribution?.kind === 'distributed' ? distribution.shardIds[shard] : undefined;
      return id === undefined ? [] : [[id, calls, totalMs, maxMs].map(String)];
    });
  }

  /** (id, role, text, rung, calls, total, maximum); `role`: whose alone, null: everybody's. */
  statementRows(role: string | null): string[][] {
    return [...this.#statements.values()]
      .filter((entry) => role === null || entry.role === role)
      .map(({ role: who, query, rung, calls, totalMs, maxMs }) => [
        ...[queryId(query), who, query, rung],
        ...[calls, totalMs, maxMs].map(String),
      ]);
  }

  reset(): void {
    this.#shards.clear();
    this.#statements.clear();
  }

  #addShard(relation: number, shard: number, ms: number): void {
    const key = `${relation}/${shard}`;
    const known = this.#shards.get(key);
    if (known) add(known, ms);
    else this.#shards.set(key, { calls: 1, totalMs: ms, maxMs: ms });
  }

  #textOf(statement: ParsedStatement): string {
    const known = this.#texts.get(statement);
    if (known !== undefined) return known;
    const text = withoutLiterals(statement);
    this.#texts.set(statement, text);
    return text;
  }

  #forgetRarest(): void {
    const byCalls = [...this.#statements].sort(([, a], [, b]) => a.calls - b.calls);
    for (const [key] of byCalls.slice(0, Math.ceil(byCalls.length / 20))) this.#statements.delete(key);
  }
}

function add(times: Times, ms: number): void {
  times.calls += 1;
  times.totalMs += ms;
  times.maxMs = Math.max(times.maxMs, ms);
}

/** Of longer statements the beginning. */
const maxTextLength = 8_192;

/** As pg_stat_statements shows them: `$1` for each literal. */
function withoutLiterals(statement: ParsedStatement): string {
  const source = createSource({ ...statement, text: statement.text.slice(0, maxTextLength) });
  const tokens = source.tokens();
  let literals = tokens.reduce((highest, { text }) => Math.max(highest, Number(/^\$(\d+)$/.exec(text)?.[1] ?? 0)), 0);
  let at = 0;
  let text = '';
  for (const token of tokens) {
    if (!isLiteral(token)) continue;
    literals += 1;
    text += `${source.bytes.slice(at, token.start)}$${literals}`;
    at = token.end;
  }
  return Buffer.from(text + source.bytes.slice(at), 'latin1')
    .toString('utf8')
    .trim();
}

function isLiteral({ kind }: Token): boolean {
  return kind === 'number' || kind === 'string';
}

function queryId(text: string): string {
  return createHash('sha256').update(text).digest().readBigInt64BE(0).toString();
}
