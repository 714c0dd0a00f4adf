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

const noTimes: Times = { calls: 0, totalMs: 0, maxMs: 0 };

/** Where the times of a statement with one plan are counted, looked up anew when that has been forgotten. */
export interface TimeCounter {
  readonly statement: ParsedStatement;
  readonly plan: Plan;
  readonly role: string;
  generation: number;
  times: Times[];
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
  #generation = 0;

  constructor(measures: boolean) {
    this.#measures = measures;
  }

  note(statement: ParsedStatement, plan: Plan, { role, ms }: { readonly role: string; readonly ms: number }): void {
    if (this.#measures) this.#count(this.counter(statement, plan, role), ms);
  }

  /** For statements that come again and again: what their time is added to. */
  counter(statement: ParsedStatement, plan: Plan, role: string): TimeCounter {
    return { statement, plan, role, generation: -1, times: [] };
  }

  add(counter: TimeCounter, ms: number): void {
    if (this.#measures) this.#count(counter, ms);
  }

  #count(counter: TimeCounter, ms: number): void {
    if (counter.generation !== this.#generation) {
      counter.times = this.#timesOf(counter);
      counter.generation = this.#generation;
    }
    for (const times of counter.times) add(times, ms);
  }

  #timesOf({ statement, plan, role }: TimeCounter): Times[] {
    const query = this.#textOf(statement);
    const key = `${role}\0${plan.rung}\0${query}`;
    let entry = this.#statements.get(key);
    if (entry === undefined) {
      if (this.#statements.size >= limits.maxMeasuredStatements) this.#forgetRarest();
      entry = { role, query, rung: plan.rung, ...noTimes };
      this.#statements.set(key, entry);
    }
    const touched = (plan.touches ?? []).flatMap(({ relation, shards }) =>
      shards.map((shard) => this.#shardTimes(relation, shard)),
    );
    return [entry, ...touched];
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
    this.#generation += 1;
    this.#shards.clear();
    this.#statements.clear();
  }

  #shardTimes(relation: number, shard: number): Times {
    const key = `${relation}/${shard}`;
    const times = this.#shards.get(key) ?? { ...noTimes };
    this.#shards.set(key, times);
    return times;
  }

  #textOf(statement: ParsedStatement): string {
    const known = this.#texts.get(statement);
    if (known !== undefined) return known;
    const text = withoutLiterals(statement);
    this.#texts.set(statement, text);
    return text;
  }

  #forgetRarest(): void {
    this.#generation += 1;
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
