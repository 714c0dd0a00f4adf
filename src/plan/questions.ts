import type { Site } from '../catalog/site.ts';
import type { SqlTemplate } from './plan.ts';

/*
 * Planning is a pure function, but some of what it needs only servers know: the types of a subquery's columns, how many rows a
 * fragment yields. It asks by throwing `Unanswered`; whoever called it asks the server and plans again.
 */

export type PlanQuestion =
  /** The columns that a query yields, as preparing it on the coordinator tells. */
  | { readonly kind: 'types'; readonly sql: SqlTemplate }
  /** PostgreSQL's own estimate of a query's rows on one server. */
  | { readonly kind: 'size'; readonly site: Site; readonly sql: SqlTemplate };

export interface OutputType {
  readonly name: string;
  readonly typeOid: number;
  /** Safe to write in a cast; without a modifier. */
  readonly typeName: string;
}

/** Estimated rows, and bytes of one. */
export interface RowsSize {
  readonly rows: number;
  readonly rowBytes: number;
}

/** undefined: not asked yet; null: the server can't tell. */
export interface PlanAnswers {
  types(key: string): readonly OutputType[] | null | undefined;
  size(key: string): RowsSize | null | undefined;
}

/** For planning without servers: nothing can be had. */
export const noAnswers: PlanAnswers = { types: () => null, size: () => null };

export class Unanswered extends Error {
  readonly question: PlanQuestion;
  constructor(question: PlanQuestion) {
    super(`the planner asks for the ${question.kind} of a query`);
    this.question = question;
  }
}

export function questionKey(question: PlanQuestion): string {
  return JSON.stringify(question);
}

export function askTypes(sql: SqlTemplate, answers: PlanAnswers): readonly OutputType[] | null {
  const question: PlanQuestion = { kind: 'types', sql };
  const answer = answers.types(questionKey(question));
  if (answer === undefined) throw new Unanswered(question);
  return answer?.some(({ typeOid }) => shapeless.has(typeOid)) ? null : answer;
}

/** record and record[]: what is in them isn't known by the type, so that no server takes them from another. */
const shapeless: ReadonlySet<number> = new Set([2249, 2287]);

export function askSize(site: Site, sql: SqlTemplate, answers: PlanAnswers): RowsSize | null {
  const question: PlanQuestion = { kind: 'size', site, sql };
  const answer = answers.size(questionKey(question));
  if (answer === undefined) throw new Unanswered(question);
  return answer;
}
