import type pg from 'pg';
import { CopyIn, CopyOut } from '../drivers/copy.ts';

/** What a client sees of one statement. Values are the text that the server sent. */
export type Outcome =
  | {
      readonly kind: 'result';
      readonly command: string;
      readonly rowCount: number | null;
      readonly fields: readonly { readonly name: string; readonly type: number }[];
      readonly rows: readonly (readonly (string | null)[])[];
    }
  | {
      readonly kind: 'error';
      readonly sqlstate: string;
      readonly message: string;
      readonly constraint: string | undefined;
      readonly hint: string | undefined;
    };

export type Result = Extract<Outcome, { kind: 'result' }>;

/** `values` undefined: simple protocol; otherwise extended, as a named statement when `name` is given. */
export type Request = {
  readonly text: string;
  readonly values?: readonly (string | null)[];
  readonly name?: string;
  /** What a COPY FROM STDIN is fed with. */
  readonly input?: string;
};

/** Runs one statement; for several in one string, the outcome of the last. */
export async function runStatement(client: pg.Client, request: Request): Promise<Outcome> {
  const extended = request.values === undefined ? {} : { values: [...request.values], queryMode: 'extended' };
  const named = request.name === undefined ? {} : { name: request.name };
  try {
    if (request.input !== undefined) return await copyIn(client, request.text, request.input);
    if (/^COPY .* TO STDOUT/is.test(request.text)) return await copyOut(client, request.text);
    const answer = await client.query<(string | null)[]>({
      text: request.text,
      rowMode: 'array',
      ...extended,
      ...named,
    });
    const last = Array.isArray(answer) ? (answer as (typeof answer)[]).at(-1)! : answer;
    return {
      kind: 'result',
      command: last.command,
      rowCount: last.rowCount,
      fields: (last.fields ?? []).map((field) => ({ name: field.name, type: comparableType(field.dataTypeID) })),
      rows: last.rows,
    };
  } catch (error) {
    const fields = error as { code?: string; message: string; constraint?: string; hint?: string };
    return {
      kind: 'error',
      sqlstate: fields.code ?? 'connection lost',
      message: fields.message,
      constraint: fields.constraint,
      hint: fields.hint,
    };
  }
}

async function copyIn(client: pg.Client, text: string, input: string): Promise<Outcome> {
  const rowCount = await client.query(new CopyIn(text, [Buffer.from(input)])).done;
  return { kind: 'result', command: 'COPY', rowCount, fields: [], rows: [] };
}

/** Each line as a row of one column. */
async function copyOut(client: pg.Client, text: string): Promise<Outcome> {
  const lines = (await client.query(new CopyOut(text)).done).toString().split('\n').slice(0, -1);
  return { kind: 'result', command: 'COPY', rowCount: lines.length, fields: [], rows: lines.map((line) => [line]) };
}

/** OIDs from 16384 on are given at creation and differ between databases. */
function comparableType(oid: number): number {
  return Math.min(oid, 16384);
}

/** True for an honest "not supported" of pgherd: SQLSTATE 0A000 with one of its codes. */
export function isRefusal(outcome: Outcome): boolean {
  if (outcome.kind !== 'error' || outcome.sqlstate !== '0A000') return false;
  return /\bPH\d{3}\b/.test(`${outcome.message} ${outcome.hint ?? ''}`);
}
