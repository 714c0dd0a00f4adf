import { createHash, randomUUID } from 'node:crypto';
import type { QueryResult, SqlRunner } from '../core/runner.ts';
import { quoteLiteral } from '../sql/quote.ts';
import { secretSchema } from './guard-sql.ts';

/*
 * A client that is no superuser changes the schema as itself: whatever its tables evaluate (defaults, checks, triggers,
 * casts) must not run with more rights than its own. A few statements are the router's and no text of the client's is in
 * them: rows of the catalog, schemas for shards, guards, hidden tables. These run as the owner of schema `pgherd`.
 */

/** The runner of the same connection and transaction that may do what the owner of schema `pgherd` may. */
export function ownerOf(runner: SqlRunner): SqlRunner {
  return runner.owner ?? runner;
}

/** Marks a statement for runAll(). Not to be guessed, since clients write statements too. */
const mark = `/* ${randomUUID()} */`;

export function byOwner(sql: string): string {
  return sql.startsWith(mark) ? sql : `${mark}${sql}`;
}

/** Runs statements in order, those marked by byOwner() as the owner of schema `pgherd`; as few texts as possible. */
export async function runAll(runner: SqlRunner, statements: readonly string[]): Promise<void> {
  let batch: string[] = [];
  let batchRunner = runner;
  const flush = async () => {
    if (batch.length > 0) await batchRunner.query(batch.join(';\n'));
    batch = [];
  };
  for (const statement of statements) {
    const marked = statement.startsWith(mark);
    const wanted = marked ? ownerOf(runner) : runner;
    if (wanted !== batchRunner) await flush();
    batchRunner = wanted;
    batch.push(marked ? statement.slice(mark.length) : statement);
  }
  await flush();
}

/**
 * On every server: runs a statement with its owner's rights for whoever proves to be the router. The proof is good for one
 * backend, one transaction and one text, so it may be seen in a log. Rows come as JSON arrays of text.
 */
export const ownerFunctionSql = `CREATE OR REPLACE FUNCTION pgherd.run_as_owner(proof text, statement text) RETURNS SETOF json
  LANGUAGE plpgsql STRICT SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $pgherd$
DECLARE secret text; known text; found record;
BEGIN
  SELECT g.secret INTO secret FROM ${secretSchema}.guard g;
  known := encode(sha256(convert_to(concat_ws(':', secret, pg_backend_pid(), pg_current_xact_id_if_assigned(), statement, secret), 'UTF8')), 'hex');
  IF secret IS NULL OR pg_current_xact_id_if_assigned() IS NULL OR proof <> known THEN
    RAISE EXCEPTION USING errcode = '42501', message = 'only the router runs statements as the owner of schema pgherd';
  END IF;
  IF statement ~* '^\\s*SELECT\\y|\\yRETURNING [a-z0-9_, ]+$' THEN
    FOR found IN EXECUTE statement LOOP
      RETURN QUERY SELECT coalesce(json_agg(f.value), '[]') FROM json_each_text(row_to_json(found)) f;
    END LOOP;
  ELSE
    EXECUTE statement;
  END IF;
END $pgherd$`;

export const ownerSecretSql = `SELECT secret FROM ${secretSchema}.guard`;

/** The runner, with an owner's beside it that goes through pgherd.run_as_owner(). Its values come as JSON writes them: truth is `true`. */
export function withOwner(runner: SqlRunner, secret: () => Promise<string>): SqlRunner {
  const owner: SqlRunner = {
    async query(sql, parameters = []) {
      const statement = withLiterals(sql, parameters);
      const { rows } = await runner.query('SELECT pg_backend_pid(), pg_current_xact_id()');
      const [pid, transaction] = rows[0]!;
      const key = await secret();
      const proof = createHash('sha256').update([key, pid, transaction, statement, key].join(':')).digest('hex');
      return fromJson(await runner.query('SELECT * FROM pgherd.run_as_owner($1, $2)', [proof, statement]));
    },
  };
  return { query: (sql, parameters) => runner.query(sql, parameters), owner };
}

/** A literal without a type is typed by what is around it, as a parameter is. */
function withLiterals(sql: string, parameters: readonly (string | null)[]): string {
  if (parameters.length === 0) return sql;
  return sql.replaceAll(/\$(\d+)/g, (_, number: string) => {
    const value = parameters[Number(number) - 1];
    return value == null ? 'NULL' : quoteLiteral(value);
  });
}

function fromJson({ rows }: QueryResult): QueryResult {
  const values = rows.map(([row]) => JSON.parse(row!) as (string | null)[]);
  return { columns: [], typeOids: [], rows: values, tag: '' };
}
