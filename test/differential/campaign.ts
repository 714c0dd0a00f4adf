import { mkdirSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { resetSchema } from '../oracle/client.ts';
import type { Pair } from '../oracle/pair.ts';
import { createFreeIds } from './changes.ts';
import { Random } from './random.ts';
import {
  closeSessions,
  noAnswer,
  type Observation,
  openSessions,
  requestOf,
  runUnit,
  type Sessions,
  signatureOf,
  type Verdict,
} from './run-unit.ts';
import { shrinkList, shrinkUnit } from './shrink.ts';
import { createStatements, distributeStatements, emptyStatements, fillStatements } from './tables.ts';
import { anyUnit, type Generator, type Unit } from './units.ts';

export type Limits = {
  readonly seed: number;
  readonly statements: number;
  readonly seconds: number;
  /** Ends the run: more faults than this are not worth a look at once. */
  readonly failures: number;
};

export type Failure = { readonly signature: string; readonly report: string };

export type Report = {
  readonly statements: number;
  /** Of the herd: queries run by every rung. */
  readonly runs: number;
  readonly succeeded: number;
  readonly queries: number;
  readonly queriesWithRows: number;
  readonly refused: number;
  readonly tooSlow: number;
  readonly refusals: ReadonlyMap<string, { count: number; example: string }>;
  readonly failures: readonly Failure[];
};

const changesBetweenResets = 60;
const shrinkSeconds = 40;

/** Generates, runs and compares until a limit is reached. */
export async function runCampaign(pair: Pair, limits: Limits): Promise<Report> {
  const state = await createState(pair, limits);
  const generator: Generator = { random: new Random(limits.seed), ids: createFreeIds(), seed: limits.seed };
  const start = Date.now();
  const generatedMs = () => Date.now() - start - state.investigatedMs;
  while (
    generatedMs() < limits.seconds * 1000 &&
    state.tally.statements < limits.statements &&
    state.failures.length < limits.failures &&
    !state.hangs
  ) {
    const unit = anyUnit(generator);
    const verdict = await runUnit(state.sessions, unit, (observation) => count(state, observation));
    if (verdict.kind === 'differs') await investigate(state, unit, verdict);
    else if (verdict.kind === 'refused') noteRefusal(state, verdict);
    else await remember(state, unit, verdict);
    sayProgress(state, start);
  }
  closeSessions(state.sessions);
  return { ...state.tally, refusals: state.refusals, failures: state.failures };
}

const progressSeconds = 60;

/** Long runs say now and then how far they are. */
function sayProgress(state: State, start: number): void {
  const minutes = Math.floor((Date.now() - start) / 1000 / progressSeconds);
  if (minutes <= state.minutesSaid) return;
  state.minutesSaid = minutes;
  const { statements, runs } = state.tally;
  process.stdout.write(
    `differential: ${minutes} min, ${statements} statements, ${runs} runs, ${state.failures.length} differences\n`,
  );
}

/** The one thing that lives through a run. */
type State = {
  readonly pair: Pair;
  readonly limits: Limits;
  sessions: Sessions;
  /** Shrinking doesn't count against the time that was asked for. */
  investigatedMs: number;
  /** A side has not answered: whatever it holds locked would stop every later run. */
  hangs: boolean;
  minutesSaid: number;
  /** Units that changed something since the tables were last filled afresh. */
  history: Unit[];
  readonly seen: Set<string>;
  readonly failures: Failure[];
  readonly refusals: Map<string, { count: number; example: string }>;
  readonly tally: {
    statements: number;
    runs: number;
    succeeded: number;
    queries: number;
    queriesWithRows: number;
    refused: number;
    tooSlow: number;
  };
};

async function createState(pair: Pair, limits: Limits): Promise<State> {
  const sessions = await openSessions(pair);
  for (const client of [sessions.plain, sessions.herd]) await resetSchema(client);
  for (const statement of createStatements())
    for (const client of [sessions.plain, sessions.herd]) await client.query(statement);
  if (pair.distributed) for (const statement of distributeStatements()) await sessions.herd.query(statement);
  const tally = { statements: 0, runs: 0, succeeded: 0, queries: 0, queriesWithRows: 0, refused: 0, tooSlow: 0 };
  const state: State = {
    pair,
    limits,
    sessions,
    investigatedMs: 0,
    hangs: false,
    minutesSaid: 0,
    history: [],
    seen: new Set(),
    failures: [],
    refusals: new Map(),
    tally,
  };
  await refill(state);
  return state;
}

/** The same rows on both sides, as at the start. */
async function refill(state: State): Promise<void> {
  const { plain, herd } = state.sessions;
  const fill = async (client: typeof plain, reversed: boolean) => {
    const statements = [...emptyStatements(), ...fillStatements(state.limits.seed, reversed)];
    for (const statement of statements) await client.query(statement);
    await client.query('ANALYZE');
  };
  await Promise.all([fill(plain, false), fill(herd, !state.pair.distributed)]);
  state.history = [];
}

async function reconnect(state: State): Promise<void> {
  closeSessions(state.sessions);
  state.sessions = await openSessions(state.pair);
}

function count(state: State, { statement, end, rows, runs }: Observation): void {
  const { tally } = state;
  if (statement.kind === 'control') return;
  tally.statements++;
  tally.runs += runs;
  if (end === 'succeeded') tally.succeeded++;
  if (end === 'refused') tally.refused++;
  if (end === 'too slow') tally.tooSlow++;
  if (statement.kind !== 'query') return;
  tally.queries++;
  if (rows > 0) tally.queriesWithRows++;
}

function noteRefusal(state: State, verdict: Extract<Verdict, { kind: 'refused' }>): void {
  const key = verdict.message.replaceAll(/"[^"]*"|\b(?:h|r|l|ref|loc|v)_\w+|\b[a-z]\d*\b/g, '…');
  const known = state.refusals.get(key) ?? { count: 0, example: verdict.text };
  const example = verdict.text.length < known.example.length ? verdict.text : known.example;
  state.refusals.set(key, { count: known.count + 1, example });
}

async function remember(state: State, unit: Unit, verdict: Verdict): Promise<void> {
  if (!hasChange(unit)) return;
  // Which side was interrupted and had written is unknown.
  if (verdict.kind === 'too slow') return refill(state);
  state.history.push(unit);
  if (state.history.length >= changesBetweenResets) await refill(state);
}

function hasChange(unit: Unit): boolean {
  return unit.statements.some((statement) => statement.kind === 'change');
}

/** Shrinks what failed, writes the reproduction, and puts both sides back on the same footing. */
async function investigate(state: State, unit: Unit, verdict: Extract<Verdict, { kind: 'differs' }>): Promise<void> {
  if (verdict.difference.includes(noAnswer)) {
    state.hangs = true;
    return report(state, signatureOf(verdict), { units: [unit], verdict, reproduced: false });
  }
  const start = Date.now();
  const fault = errorFault(verdict.difference);
  if (fault === undefined || !state.seen.has(fault)) await shrinkAndReport(state, unit, verdict);
  if (fault !== undefined) state.seen.add(fault);
  await reconnect(state);
  await refill(state);
  state.investigatedMs += Date.now() - start;
}

/** An error that the herd alone gives is the same fault wherever it shows; one wrong row may be like another and isn't. */
function errorFault(difference: string): string | undefined {
  const message = /success became SQLSTATE (.*)/s.exec(difference)?.[1];
  return message?.replaceAll(/"[^"]*"|\d+/g, '…');
}

async function shrinkAndReport(
  state: State,
  unit: Unit,
  verdict: Extract<Verdict, { kind: 'differs' }>,
): Promise<void> {
  const signature = signatureOf(verdict);
  const history = state.history;
  const deadline = Date.now() + shrinkSeconds * 1000;
  const outOfTime = () => Date.now() > deadline;
  const fails = async (units: readonly Unit[]) => (await replay(state, units)) === signature;
  let needed: readonly Unit[] = [];
  let reproduced = await fails([unit]);
  if (!reproduced && (await fails([...history, unit]))) {
    reproduced = true;
    needed = await shrinkList(history, (some) => fails([...some, unit]), outOfTime);
  }
  const small = reproduced ? await shrinkUnit(unit, (simpler) => fails([...needed, simpler]), outOfTime) : unit;
  const last = reproduced ? await replayVerdict(state, [...needed, small]) : verdict;
  report(state, signature, { units: [...needed, small], verdict: last, reproduced });
}

async function replay(state: State, units: readonly Unit[]): Promise<string> {
  return signatureOf(await replayVerdict(state, units));
}

/** On the rows of the start; the verdict of the first unit that differs, else of the last. */
async function replayVerdict(state: State, units: readonly Unit[]): Promise<Verdict> {
  await reconnect(state);
  if (units.some(hasChange) || state.history.length > 0) await refill(state);
  if (units.some(hasChange)) state.history = [...units];
  let verdict: Verdict = { kind: 'same' };
  for (const unit of units) {
    verdict = await runUnit(state.sessions, unit);
    if (verdict.kind === 'differs') return verdict;
  }
  return verdict;
}

type Finding = { readonly units: readonly Unit[]; readonly verdict: Verdict; readonly reproduced: boolean };

function report(state: State, signature: string, { units, verdict, reproduced }: Finding): void {
  const difference = verdict.kind === 'differs' ? verdict.difference : verdict.kind;
  const script = units.flatMap(scriptOf).join('\n');
  // The same small script is the same fault.
  const key = `${signature}\n${withCanonicalNames(script)}`;
  if (state.seen.has(key)) return;
  state.seen.add(key);
  const file = writeScript(state, state.failures.length + 1, script);
  const lines = [
    `DIFFERENCE (${signature})${reproduced ? '' : ', seen once, not again'}: ${difference}`,
    script,
    `  seed ${state.limits.seed}; with tables and rows: ${file}`,
  ];
  state.failures.push({ signature, report: lines.join('\n') });
  process.stdout.write(`${lines.join('\n')}\n\n`);
}

/** Aliases numbered in the order in which they appear. */
function withCanonicalNames(script: string): string {
  const names = new Map<string, string>();
  return script.replaceAll(/\b([a-z])\d+\b/g, (name, letter: string) => {
    if (!names.has(name)) names.set(name, `${letter}${names.size + 1}`);
    return names.get(name)!;
  });
}

function scriptOf(unit: Unit): string[] {
  const how = unit.prepared ? 'named, extended' : unit.protocol;
  const forced = unit.rung === null ? [] : [`SET pgherd.force_rung = '${unit.rung}';`];
  return [
    `-- ${unit.label}, ${how} protocol`,
    ...forced,
    ...unit.statements.map((statement) => {
      const { text, values, input } = requestOf(unit, statement);
      if (input !== undefined) return `${text};\n${input}\\.`;
      const parameters = values === undefined || values.length === 0 ? '' : ` -- ${JSON.stringify(values)}`;
      return `${text};${parameters}`;
    }),
  ];
}

function writeScript(state: State, number: number, script: string): string {
  const directory = join(tmpdir(), 'pgherd-differential');
  mkdirSync(directory, { recursive: true });
  const file = join(directory, `seed-${state.limits.seed}-${number}.sql`);
  const parts = [...createStatements(), ...distributeStatements(), ...fillStatements(state.limits.seed)];
  writeFileSync(file, `${parts.map((part) => `${part};`).join('\n')}\nSET TimeZone = 'Europe/Berlin';\n\n${script}\n`);
  return file;
}
