import { parsePlPgSQLSync } from 'libpg-query';
import { tokenize } from './tokens.ts';

/** A PL/pgSQL function as far as its statements tell what it does. */
export interface PlpgsqlBody {
  /** Names of parameters first, in their order, then of all that is declared anywhere; one may come twice. */
  readonly variables: readonly string[];
  /** Places among `variables` of what is given a value. */
  readonly assigned: ReadonlySet<number>;
  /** Everything that PostgreSQL evaluates, as statements. */
  readonly statements: readonly string[];
  /** Names of types and of relations whose columns or rows variables are like, as written. */
  readonly types: readonly string[];
}

/** `text`: CREATE FUNCTION. What is not known to be harmless comes as the reason. */
export function readPlpgsql(text: string): PlpgsqlBody | { readonly obstacle: string } {
  const { plpgsql_funcs: found } = parsePlPgSQLSync(text) as unknown as { plpgsql_funcs?: Tree[] };
  const parsed = found?.[0]?.['PLpgSQL_function'] as Tree | undefined;
  if (found?.length !== 1 || parsed === undefined) return { obstacle: 'its body could not be read' };
  if (parsed['aliases'] !== undefined) return { obstacle: 'it gives a variable another name (ALIAS FOR)' };
  const datums = (parsed['datums'] ?? []) as Tree[];
  const reader = new BodyReader();
  reader.read(datums, 'declared');
  reader.read(parsed['action'], 'done');
  if (reader.obstacle !== null) return { obstacle: reader.obstacle };
  const { statements, types } = reader;
  const assigned = new Set([...reader.assigned].flatMap((place) => [place, ...fieldsOf(datums[place])]));
  return { variables: datums.map(nameOf), assigned, statements, types };
}

type Tree = Readonly<Record<string, unknown>>;

/** FOREACH a, b IN ARRAY … names a list of variables by its own place. */
function fieldsOf(datum: Tree | undefined): number[] {
  const row = datum?.['PLpgSQL_row'] as Tree | undefined;
  return ((row?.['fields'] ?? []) as Tree[]).map(({ varno }) => Number(varno ?? 0));
}

function nameOf(datum: Tree): string {
  const fields = (datum['PLpgSQL_var'] ?? datum['PLpgSQL_rec']) as Tree | undefined;
  return String(fields?.['refname'] ?? '');
}

/** Statements that touch nothing but variables and what their expressions say, and the parts of the tree that are none. */
const harmless: ReadonlySet<string> = new Set(
  `stmt_block stmt_assign stmt_if if_elsif stmt_case case_when stmt_loop stmt_while stmt_fori stmt_fors stmt_foreach_a stmt_exit
   stmt_return stmt_return_next stmt_return_query stmt_raise raise_option stmt_assert stmt_execsql stmt_perform stmt_getdiag diag_item
   exception_block exception condition var rec row recfield type expr`
    .split(/\s+/)
    .map((name) => `PLpgSQL_${name}`),
);

const refusals: Readonly<Record<string, string>> = {
  PLpgSQL_stmt_dynexecute: 'it has dynamic SQL (EXECUTE)',
  PLpgSQL_stmt_dynfors: 'it has dynamic SQL (EXECUTE)',
  PLpgSQL_stmt_call: 'it calls another procedure or block',
  PLpgSQL_stmt_commit: 'it ends transactions (COMMIT)',
  PLpgSQL_stmt_rollback: 'it ends transactions (ROLLBACK)',
};

/** GET DIAGNOSTICS of these is the same on any server. */
const portableDiagnostics: ReadonlySet<string> = new Set([
  ...['ROW_COUNT', 'RETURNED_SQLSTATE', 'MESSAGE_TEXT', 'PG_EXCEPTION_DETAIL', 'PG_EXCEPTION_HINT'],
  ...['COLUMN_NAME', 'CONSTRAINT_NAME', 'TABLE_NAME', 'PG_DATATYPE_NAME'],
]);

/** RawParseMode of parser.h. */
const parseModes = { statement: 0, expression: 2, assignment: 3 } as const;

class BodyReader {
  readonly assigned = new Set<number>();
  readonly statements: string[] = [];
  readonly types: string[] = [];
  obstacle: string | null = null;

  /** The tree leaves a number out that is 0. */
  read(value: unknown, part: 'declared' | 'done'): void {
    if (Array.isArray(value)) for (const item of value) this.read(item, part);
    if (typeof value !== 'object' || value === null || Array.isArray(value)) return;
    for (const [key, child] of Object.entries(value)) {
      if (key.startsWith('PLpgSQL_')) this.#enter(key, child as Tree, part);
      if (key === 'cursor_explicit_expr') this.#refuse('it has a cursor');
      if (key === 'dynquery') this.#refuse('it has dynamic SQL (EXECUTE)');
      this.read(child, part);
    }
  }

  #enter(kind: string, fields: Tree, part: 'declared' | 'done'): void {
    if (!harmless.has(kind)) this.#refuse(refusals[kind] ?? `it has a statement of the kind ${kind.slice(13)}`);
    if (kind === 'PLpgSQL_expr') this.#expression(String(fields['query']), Number(fields['parseMode'] ?? 0));
    if (kind === 'PLpgSQL_type') this.types.push(String(fields['typname']));
    if (part === 'declared') return;
    const number = (value: unknown) => Number(value ?? 0);
    if (kind === 'PLpgSQL_stmt_assign' || kind === 'PLpgSQL_stmt_foreach_a') this.assigned.add(number(fields['varno']));
    if (kind === 'PLpgSQL_rec') this.assigned.add(number(fields['dno']));
    if (kind === 'PLpgSQL_row') {
      for (const field of (fields['fields'] ?? []) as Tree[]) this.assigned.add(number(field['varno']));
    }
    if (kind === 'PLpgSQL_diag_item') {
      this.assigned.add(number(fields['target']));
      const what = String(fields['kind']);
      if (!portableDiagnostics.has(what)) this.#refuse(`it asks for ${what}`);
    }
  }

  #expression(query: string, mode: number): void {
    if (mode === parseModes.statement) this.statements.push(query);
    else if (mode === parseModes.expression) this.statements.push(`SELECT ${query}`);
    else if (mode >= parseModes.assignment) this.#assignment(query);
    else this.#refuse('its body could not be read');
  }

  /** `target := expression`; what stands between brackets in the target is evaluated too. */
  #assignment(query: string): void {
    const bytes = Buffer.from(query).toString('latin1');
    const tokens = tokenize(bytes);
    const sign = tokens.findIndex(({ text }) => text === ':=' || text === '=');
    const isPlain = tokens.slice(0, sign).every(({ kind, text }) => kind !== 'symbol' || text === '.');
    if (sign < 0 || !isPlain) {
      this.#refuse('it assigns to a part of an array');
      return;
    }
    this.statements.push(`SELECT ${Buffer.from(bytes.slice(tokens[sign]!.end), 'latin1').toString()}`);
  }

  #refuse(reason: string): void {
    this.obstacle ??= reason;
  }
}
