import { staysBehind } from '../../catalog/session-effects.ts';
import type { CatalogSnapshot, NodeId } from '../../catalog/snapshot.ts';
import { asText } from '../../execute/plan-values.ts';
import type { PlanContext, PlannedParameter } from '../../plan/context.ts';
import { keySources } from '../../plan/key-sources.ts';
import type { PlanConstant, SqlTemplate } from '../../plan/plan.ts';
import { planStatement } from '../../plan/planner.ts';
import { isPureRead } from '../../plan/pure-read.ts';
import { noAnswers } from '../../plan/questions.ts';
import { LiteralScan } from '../../sql/literal-scan.ts';
import type { ParsedStatement } from '../statement-cache.ts';
import type { StatementTimes, TimeCounter } from '../statement-times.ts';
import { Pace } from './pace.ts';
import { compileShardOf, type PlacedSource, type ShardOf } from './route-shard.ts';

/**
 * A statement that goes to one shard of one node whatever its values are: how its shard is found, and what is sent for each shard. Only what
 * the planner has planned so is here: the first run over a shard is planned as usual, and later ones differ from it by values alone.
 */
export interface Route {
  readonly statement: ParsedStatement;
  readonly shardOf: ShardOf;
  readonly writes: boolean;
  /** Null: it does not only read, so it never runs in line with others'. */
  readonly pace: Pace | null;
  readonly parameterCount: number;
  /** By shard: outside of transaction blocks, and inside. */
  readonly leaves: readonly [(Leaf | undefined)[], (Leaf | undefined)[]];
}

/** What runs for one shard. */
export interface Leaf {
  readonly site: NodeId;
  /** With the client's own parameter numbers. */
  readonly sql: string;
  /** What the statement is called by among those that a connection has prepared. */
  readonly preparedAs: string;
  /** `sql` cut at its holes, one character for each byte. Null: it is for the extended protocol. */
  readonly pieces: Pieces | null;
  /** Placeholders behind the client's parameters. */
  readonly constants: readonly ClockConstant[];
  readonly counter: TimeCounter;
}

/** What the transaction's clock says: evaluated once on the coordinator. */
export interface ClockConstant {
  /** As text. */
  readonly sql: string;
  readonly typeName: string;
}

/** One piece of text more than holes; a hole is a literal's place, or -1 less a constant's. */
export interface Pieces {
  readonly texts: readonly string[];
  readonly holes: readonly number[];
}

/** All that a route depends on besides the statement. */
export interface RouteCircumstances {
  readonly snapshot: CatalogSnapshot;
  readonly searchPath: readonly string[];
  readonly role: string;
  readonly times: StatementTimes;
}

/** `scan`: of the statement's text in the simple protocol, whose literals may be others next time. */
export interface RouteQuestion {
  readonly statement: ParsedStatement;
  readonly parameters: readonly PlannedParameter[];
  readonly scan: LiteralScan | null;
  readonly inBlock: boolean;
}

/** Null: the statement is none that has a route. */
export function buildRoute(question: RouteQuestion, around: RouteCircumstances): Route | null {
  const { statement, parameters, scan } = question;
  if (!isOrdinary(statement) || mayLeaveState(statement, around.snapshot)) return null;
  const context = planContextOf(question, around);
  const plan = planStatement(statement, context);
  const relations = keySources(statement, plan, context);
  if (relations === null) return null;
  const placed = relations.map((keys) => ({
    keys,
    sources: keys.sources.map((source) => place(source, scan, statement)),
  }));
  const complete = placed.flatMap(({ keys, sources }) =>
    sources.every((source) => source !== null) ? [{ keys, sources }] : [],
  );
  if (complete.length < placed.length) return null;
  return {
    statement,
    shardOf: compileShardOf(complete),
    writes: plan.writes,
    pace: !plan.writes && isPureRead(statement, context) ? new Pace() : null,
    parameterCount: parameters.length,
    leaves: [[], []],
  };
}

/** Null: the plan for these values is not the one of the shard, or not one that can be sent with other values. */
export function buildLeaf(question: RouteQuestion, shard: number, around: RouteCircumstances): Leaf | null {
  const { statement, parameters, scan } = question;
  const context = planContextOf(question, around);
  const plan = planStatement(statement, context);
  const { final } = plan;
  if (keySources(statement, plan, context) === null || final.kind !== 'pass' || final.site === 'coordinator')
    return null;
  const isElsewhere = plan.touches?.some(({ shards }) => shards.length !== 1 || shards[0] !== shard) ?? true;
  if (isElsewhere) return null;
  const sql = withOwnNumbers(final.sql, plan.constants, parameters.length);
  const pieces = scan === null ? null : piecesOf(final.sql, statement.text, scan.count);
  if (sql === null || (scan !== null && pieces === null)) return null;
  return {
    site: final.site,
    sql,
    preparedAs: `${around.snapshot.version} ${sql}`,
    pieces,
    constants: plan.constants.map((constant) => ({ sql: asText(constant).join(''), typeName: constant.typeName })),
    counter: around.times.counter(statement, plan, around.role),
  };
}

/** Nothing of it is remembered by the session, or looked at by anybody but the planner. */
export function isOrdinary({ kind, traits, text, dialect }: ParsedStatement): boolean {
  const isPlanned = kind === 'SelectStmt' || kind === 'InsertStmt' || kind === 'UpdateStmt' || kind === 'DeleteStmt';
  if (!isPlanned || dialect !== undefined || /gp_segment_id|pg_(?:cancel|terminate)_backend/i.test(text)) return false;
  const { pinsConnection, movedSequences, readsSequences, setConfigCalls, createsTemporary } = traits;
  return !pinsConnection && !readsSequences && !createsTemporary && movedSequences.length + setConfigCalls.length === 0;
}

/** Functions may, and triggers on the nodes. */
export function mayLeaveState({ kind, traits }: ParsedStatement, { functionEffects }: CatalogSnapshot): boolean {
  if (staysBehind(functionEffects.triggers) && kind !== 'SelectStmt') return true;
  return traits.calls.some((name) => functionEffects.byName.has(name));
}

export function planContextOf(
  { parameters, inBlock }: RouteQuestion,
  { snapshot, searchPath }: RouteCircumstances,
): PlanContext {
  return {
    ...{ snapshot, searchPath, temporaryNames: new Set<string>(), parameters, inTransaction: inBlock, force: null },
    ...{ staging: inBlock ? 'none' : 'tables', answers: noAnswers, staged: new Map(), late: [], steps: null },
  };
}

/** Which literal of the text a key's constant is. Without a scan the text is always the same. */
function place(
  source: PlacedSource['source'],
  scan: LiteralScan | null,
  statement: ParsedStatement,
): PlacedSource | null {
  if (source.kind === 'parameter' || scan === null) return { source, literal: null };
  // Both count in bytes of the whole text.
  for (let i = 0; i < scan.count; i++) {
    if (scan.starts[i] === source.location) return { source, literal: { place: i, isNegative: false } };
    const before = Buffer.from(statement.text)
      .toString('latin1')
      .slice(source.location - statement.offsetBytes);
    if (scan.starts[i]! > source.location) {
      const minus = /^-\s*/.exec(before)?.[0];
      const isNegative = minus !== undefined && scan.starts[i] === source.location + minus.length;
      return isNegative ? { source, literal: { place: i, isNegative: true } } : null;
    }
  }
  return null;
}

/** Null: some parameter is not in it, so a server would not take a value for it. */
export function withOwnNumbers(
  template: SqlTemplate,
  constants: readonly PlanConstant[],
  count: number,
): string | null {
  const used = new Set<number>();
  let sql = '';
  for (const part of template) {
    if (typeof part === 'string') sql += part;
    else if ('parameter' in part) {
      used.add(part.parameter);
      sql += `$${part.parameter + 1}`;
    } else if ('constant' in part) sql += `$${count + part.constant + 1}::${constants[part.constant]!.typeName}`;
    else return null;
  }
  return used.size === count ? sql : null;
}

/** Stands for a constant where a text is scanned. */
const holeMark = 'pgherd__hole';

/** The text that a node gets has the literals of the client's in the same order; null: it does not. */
function piecesOf(template: SqlTemplate, clientText: string, literals: number): Pieces | null {
  const client = Buffer.from(clientText).toString('latin1');
  const text = Buffer.from(template.map((part) => (typeof part === 'string' ? part : holeMark)).join('')).toString(
    'latin1',
  );
  const [ours, theirs] = [new LiteralScan(), new LiteralScan()];
  if (client.includes(holeMark) || !ours.read(text) || !theirs.read(client)) return null;
  if (ours.count !== literals || theirs.count !== literals) return null;
  const cuts: Cut[] = [];
  for (let i = 0; i < literals; i++) {
    const [start, end] = [ours.starts[i]!, ours.ends[i]!];
    if (text.slice(start, end) !== client.slice(theirs.starts[i], theirs.ends[i])) return null;
    cuts.push({ start, end, hole: i });
  }
  let from = 0;
  for (const part of template) {
    if (typeof part === 'string') continue;
    if (!('constant' in part)) return null;
    const start = text.indexOf(holeMark, from);
    from = start + holeMark.length;
    cuts.push({ start, end: from, hole: -1 - part.constant });
  }
  return cutAt(text, cuts);
}

interface Cut {
  readonly start: number;
  readonly end: number;
  readonly hole: number;
}

function cutAt(text: string, cuts: readonly Cut[]): Pieces {
  const sorted = [...cuts].sort((a, b) => a.start - b.start);
  const texts: string[] = [];
  let from = 0;
  for (const { start, end } of sorted) {
    texts.push(text.slice(from, start));
    from = end;
  }
  return { texts: [...texts, text.slice(from)], holes: sorted.map(({ hole }) => hole) };
}
