import { createHash } from 'node:crypto';
import type pg from 'pg';
import { connectRaw } from '../oracle/client.ts';
import { compareOutcomes } from '../oracle/compare.ts';
import { isRefusal, type Outcome, type Request, runStatement } from '../oracle/outcome.ts';
import type { Pair } from '../oracle/pair.ts';
import { type ForcedRung, forcedRungs, forceRung, isRepeatable } from './rungs.ts';
import { orderOf, render } from './tree.ts';
import type { Statement, Unit } from './units.ts';

export type Sessions = { readonly plain: pg.Client; readonly herd: pg.Client };

export type Verdict =
  | { readonly kind: 'same' }
  | { readonly kind: 'refused'; readonly message: string; readonly text: string }
  | { readonly kind: 'too slow'; readonly side: 'plain' | 'herd' }
  | { readonly kind: 'differs'; readonly difference: string; readonly text: string; readonly rung: ForcedRung };

/** What happened to one statement, for the shares that a run prints. */
export type Observation = {
  readonly statement: Statement;
  readonly end: 'succeeded' | 'failed' | 'refused' | 'too slow';
  readonly rows: number;
  /** Of the herd, by all rungs together. */
  readonly runs: number;
};

const statementTimeout = '10s';
const answerTimeoutMs = 40_000;
/** The router knows a text when it comes the second time, and goes by what it knows the third time. */
const repetitions = 2;
export const noAnswer = 'no answer';

export async function openSessions(pair: Pair): Promise<Sessions> {
  const [plain, herd] = await Promise.all([connectRaw(pair.plain), connectRaw(pair.herd)]);
  for (const client of [plain, herd]) {
    await client.query(`SET statement_timeout = '${statementTimeout}'`);
    await client.query("SET TimeZone = 'Europe/Berlin'");
  }
  return { plain, herd };
}

/** Ends both, without waiting for a side that may hang. */
export function closeSessions({ plain, herd }: Sessions): void {
  for (const client of [plain, herd]) void client.end().catch(() => {});
}

/**
 * Runs a unit on both sides, statement by statement, and stops at the first difference. Each query runs on the herd by every rung that can
 * be forced. Leaves no transaction open.
 */
export async function runUnit(
  sessions: Sessions,
  unit: Unit,
  observe: (observation: Observation) => void = () => {},
): Promise<Verdict> {
  let verdict: Verdict = { kind: 'same' };
  if (unit.rung !== null) await forceRung(sessions.herd, unit.rung);
  for (const statement of unit.statements) {
    verdict = await runOne(sessions, unit, statement, observe);
    if (verdict.kind !== 'same') break;
  }
  if (unit.statements.length > 1) await endTransaction(sessions);
  if (unit.rung !== null) await forceRung(sessions.herd, null);
  return verdict;
}

async function runOne(
  sessions: Sessions,
  unit: Unit,
  statement: Statement,
  observe: (observation: Observation) => void,
): Promise<Verdict> {
  const request = requestOf(unit, statement);
  let runs = 1;
  const see = (end: Observation['end'], rows = 0) => observe({ statement, end, rows, runs });
  // The herd first: what it refuses to write must not be written on the other side either.
  const early = statement.kind === 'query' ? undefined : await answer(sessions.herd, request);
  if (early !== undefined && isRefusal(early)) return refused(early, request, see);
  const [expected, got] = await Promise.all([answer(sessions.plain, request), early ?? answer(sessions.herd, request)]);
  if (isRefusal(got)) return refused(got, request, see);
  for (const [side, outcome] of [['plain', expected] as const, ['herd', got] as const])
    if (isTimeout(outcome)) {
      see('too slow');
      return { kind: 'too slow', side };
    }
  const difference = compareOutcomes(expected, got, orderOf(statement.tree));
  if (difference !== undefined) return { kind: 'differs', difference, text: request.text, rung: unit.rung };
  if (isRepeatable(statement, request.text)) {
    const other = await runForced(sessions.herd, { unit, statement, request, expected });
    runs += repetitions + forcedRungs.length;
    if (other.kind === 'too slow') see('too slow');
    if (other.kind !== 'same') return other;
  }
  const succeeded = expected.kind === 'result';
  see(succeeded ? 'succeeded' : 'failed', succeeded ? expected.rows.length : 0);
  return succeeded ? compareTables(sessions, statement.writes, request.text) : { kind: 'same' };
}

type Forced = {
  readonly unit: Unit;
  readonly statement: Statement;
  readonly request: Request;
  readonly expected: Outcome;
};

/** Again and again as it is, then by each rung in turn. What a rung refuses, it refuses. */
async function runForced(herd: pg.Client, forced: Forced): Promise<Verdict> {
  const { unit, expected } = forced;
  // The transaction has failed: nothing can be set any more.
  if (expected.kind === 'error' && unit.statements.length > 1) return { kind: 'same' };
  let verdict = await runAgain(herd, forced);
  for (const rung of forcedRungs.filter((each) => each !== unit.rung)) {
    // An error has ended the transaction, on this side only.
    if (verdict.kind !== 'same') break;
    await forceRung(herd, rung);
    verdict = verdictOn(await answer(herd, forced.request), forced, rung);
  }
  await forceRung(herd, unit.rung);
  return verdict;
}

/** What is known by then goes a shorter way, which has no time limits. */
async function runAgain(herd: pg.Client, forced: Forced): Promise<Verdict> {
  const { unit, request } = forced;
  let verdict: Verdict = { kind: 'same' };
  await herd.query('SET statement_timeout = 0');
  for (let i = 0; i < repetitions && verdict.kind === 'same'; i++) {
    verdict = verdictOn(await answer(herd, request), forced, unit.rung);
  }
  await herd.query(`SET statement_timeout = '${statementTimeout}'`).catch(() => undefined);
  return verdict;
}

function verdictOn(got: Outcome, { statement, request, expected }: Forced, rung: ForcedRung): Verdict {
  if (isTimeout(got)) return { kind: 'too slow', side: 'herd' };
  if (isRefusal(got)) return { kind: 'refused', message: `${rung}: ${messageOf(got)}`, text: request.text };
  const difference = compareOutcomes(expected, got, orderOf(statement.tree));
  return difference === undefined ? { kind: 'same' } : { kind: 'differs', difference, text: request.text, rung };
}

function isTimeout(outcome: Outcome): boolean {
  return outcome.kind === 'error' && outcome.sqlstate === '57014';
}

function messageOf(outcome: Outcome): string {
  return outcome.kind === 'error' ? outcome.message : '';
}

function refused(outcome: Outcome, request: Request, see: (end: Observation['end']) => void): Verdict {
  see('refused');
  return { kind: 'refused', message: messageOf(outcome), text: request.text };
}

export function requestOf(unit: Unit, statement: Statement): Request {
  const { text, values } = render(statement.tree, unit.protocol);
  if (statement.input !== undefined) return { text, input: statement.input };
  if (unit.protocol === 'simple' || statement.kind === 'control') return { text };
  if (!unit.prepared) return { text, values };
  return { text, values, name: `p${createHash('sha256').update(text).digest('hex').slice(0, 12)}` };
}

/** After a change, the tables it wrote must hold the same rows. */
export async function compareTables(sessions: Sessions, tables: readonly string[], text: string): Promise<Verdict> {
  for (const table of tables) {
    const request = { text: `SELECT * FROM ${table}` };
    const [expected, got] = await Promise.all([answer(sessions.plain, request), answer(sessions.herd, request)]);
    const difference = compareOutcomes(expected, got, 'none');
    if (difference !== undefined) {
      return { kind: 'differs', difference: `${table} afterwards: ${difference}`, text, rung: null };
    }
  }
  return { kind: 'same' };
}

async function endTransaction(sessions: Sessions): Promise<void> {
  await Promise.all([answer(sessions.plain, { text: 'ROLLBACK' }), answer(sessions.herd, { text: 'ROLLBACK' })]);
}

/** A side that doesn't answer is an outcome too. */
function answer(client: pg.Client, request: Request): Promise<Outcome> {
  return new Promise((resolve) => {
    const silence = { sqlstate: noAnswer, message: `none within ${answerTimeoutMs / 1000} s` };
    const timer = setTimeout(
      () => resolve({ kind: 'error', ...silence, constraint: undefined, hint: undefined }),
      answerTimeoutMs,
    );
    void runStatement(client, request).then((outcome) => {
      clearTimeout(timer);
      resolve(outcome);
    });
  });
}

/** What kind of difference it is, so that shrinking does not slip from one fault to another. */
export function signatureOf(verdict: Verdict): string {
  if (verdict.kind !== 'differs') return verdict.kind;
  const { difference, rung } = verdict;
  const forced = rung === null ? '' : `${rung}: `;
  const afterwards = / afterwards: /.test(difference) ? 'afterwards ' : '';
  const bare = difference.replace(/^\w+ afterwards: /, '');
  if (/^(SQLSTATE|success)/.test(bare)) return forced + afterwards + bare.replaceAll(/ \(.*?\)(?= became|$)/gs, '');
  return forced + afterwards + (/^(command tag|columns|order|row)/.exec(bare)?.[0] ?? 'row');
}
