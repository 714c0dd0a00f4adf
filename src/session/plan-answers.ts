import { collectResult } from '../backend/collect-result.ts';
import type { ServerConnection } from '../backend/server-connection.ts';
import type { Site } from '../catalog/site.ts';
import { PgError } from '../core/errors.ts';
import { renderTemplate } from '../execute/render-template.ts';
import { type BoundValue, encodeRendered } from '../execute/statement-bytes.ts';
import { type OutputType, type PlanAnswers, type PlanQuestion, questionKey, type RowsSize } from '../plan/questions.ts';
import { castName } from '../plan/type-name.ts';
import { describeOn } from './describe.ts';
import type { SessionState } from './session-state.ts';
import { typeNameOf } from './type-names.ts';

/** Sizes change as tables grow: an answer is asked for again after this. */
const maxAgeMs = 30_000;
const maxAnswers = 2_000;

interface Answer {
  readonly value: readonly OutputType[] | RowsSize | null;
  readonly atMs: number;
}

/** What servers have answered to the planner's questions; shared by the sessions of a process, bounded, oldest out. */
export class AnswerCache {
  readonly #now: () => number;
  readonly #answers = new Map<string, Answer>();

  /** `now`: milliseconds. */
  constructor(now: () => number) {
    this.#now = now;
  }

  get(key: string): Answer['value'] | undefined {
    const known = this.#answers.get(key);
    return known !== undefined && this.#now() - known.atMs < maxAgeMs ? known.value : undefined;
  }

  set(key: string, value: Answer['value']): void {
    this.#answers.delete(key);
    this.#answers.set(key, { value, atMs: this.#now() });
    if (this.#answers.size <= maxAnswers) return;
    const oldest = this.#answers.keys().next().value;
    if (oldest !== undefined) this.#answers.delete(oldest);
  }
}

/** The answers as one session sees them: names mean what its search path and catalog say. */
export function answersFor(session: SessionState, searchPath: readonly string[]): PlanAnswers {
  const prefix = circumstances(session, searchPath);
  const cache = session.services.answers;
  return {
    types: (key) => cache.get(prefix + key) as readonly OutputType[] | null | undefined,
    size: (key) => cache.get(prefix + key) as RowsSize | null | undefined,
  };
}

/** Asks a server. Whatever it refuses counts as an answer: it can't be had. */
export async function answer(
  session: SessionState,
  question: PlanQuestion,
  parameters: readonly BoundValue[],
  searchPath: readonly string[],
): Promise<void> {
  const key = circumstances(session, searchPath) + questionKey(question);
  session.services.answers.set(key, await asked(session, question, parameters));
}

function circumstances(session: SessionState, searchPath: readonly string[]): string {
  const role = session.transaction.settings.values.get('role') ?? '';
  return `${session.catalog.version} ${session.identity.user} ${role} ${searchPath.join(',')} `;
}

async function asked(
  session: SessionState,
  question: PlanQuestion,
  parameters: readonly BoundValue[],
): Promise<Answer['value']> {
  const values = { parameters, constants: [], constantTypes: [], motion: noMotion };
  const site: Site = question.kind === 'size' ? question.site : 'coordinator';
  return onConnection(session, site, async (connection) => {
    try {
      const rendered = renderTemplate(question.sql, values);
      if (question.kind === 'types') {
        const { fields } = await describeOn(connection, rendered.sql, []);
        return fields && (await outputTypes(session, fields));
      }
      const explain = { ...rendered, sql: `EXPLAIN (FORMAT JSON) ${rendered.sql}` };
      const { rows } = await collectResult(connection, encodeRendered(explain, [], false));
      return readSize(rows[0]?.[0] ?? null);
    } catch (error) {
      if (error instanceof PgError && !error.code.startsWith('08') && !error.code.startsWith('57')) return null;
      throw error;
    }
  });
}

function noMotion(): never {
  throw new TypeError('a question holds no motions');
}

/** Inside a block on its own connections, whose locks may stand in the way of others; a savepoint keeps it usable. */
async function onConnection<T>(
  session: SessionState,
  site: Site,
  work: (connection: ServerConnection) => Promise<T>,
): Promise<T> {
  if (session.transaction.inBlock) {
    const connection = await session.transaction.join(site, session.signal, 'catalog');
    await connection.query('SAVEPOINT pgherd_question');
    try {
      return await work(connection);
    } finally {
      await connection.query('ROLLBACK TO SAVEPOINT pgherd_question; RELEASE SAVEPOINT pgherd_question');
    }
  }
  return session.beside(work, site);
}

async function outputTypes(
  session: SessionState,
  fields: readonly { readonly name: string; readonly typeOid: number }[],
): Promise<OutputType[]> {
  const types: OutputType[] = [];
  for (const { name, typeOid } of fields) {
    types.push({ name, typeOid, typeName: castName(typeOid, await typeNameOf(session, typeOid)) });
  }
  return types;
}

function readSize(json: string | null): RowsSize | null {
  if (json === null) return null;
  const [{ Plan: plan } = {}] = JSON.parse(json) as { Plan?: { 'Plan Rows'?: number; 'Plan Width'?: number } }[];
  return plan ? { rows: plan['Plan Rows'] ?? 1, rowBytes: plan['Plan Width'] ?? 8 } : null;
}
