import type { ServerConnection } from '../backend/server-connection.ts';
import type { SettingsSnapshot } from '../transaction/settings.ts';
import { encodeBind, encodeClose, encodeDescribe, encodeExecute, encodeParse, syncMessage } from '../wire/frontend.ts';

/** A parameter as it goes into Bind. */
export interface BoundValue {
  readonly format: 0 | 1;
  readonly bytes: Buffer | null;
  /** 0: the server infers it from the cast around the placeholder. */
  readonly typeOid: number;
}

/** SQL ready for one server. */
export interface RenderedSql {
  readonly sql: string;
  readonly values: readonly BoundValue[];
}

/** The unnamed statement from Parse to Sync as one packet. */
export function encodeRendered(rendered: RenderedSql, resultFormats: readonly number[], describe: boolean): Buffer {
  return Buffer.concat([encodeParseOf('', rendered), ...encodeRun('', rendered, resultFormats, describe)]);
}

/** Bytes for one exchange, and what to do when it fails. */
export interface PreparedBytes {
  readonly bytes: Buffer;
  failed(): void;
}

/** The same by a statement that stays prepared on the connection: Parse goes only the first time. */
export function encodePrepared(
  connection: ServerConnection,
  catalogVersion: number,
  rendered: RenderedSql,
  resultFormats: readonly number[],
): PreparedBytes {
  const { name, before, failed } = preparedAs(connection, catalogVersion, rendered);
  return { bytes: Buffer.concat([...before, ...encodeRun(name, rendered, resultFormats, false)]), failed };
}

/** Whether servers may keep the plan of a statement over many leaves: unless the session has an opinion of its own. */
export function keepsPlans({ settings }: { readonly settings: SettingsSnapshot }): boolean {
  return !settings.values.has('plan_cache_mode');
}

export interface PreparedName {
  readonly name: string;
  /** What has to go before the first use of the name: nothing, when it has been prepared already. */
  readonly before: readonly Buffer[];
  /** A run failed, perhaps because preparing did. */
  failed(): void;
}

/** What the statement is called by among those that stay prepared on the connection. */
export function preparedAs(connection: ServerConnection, catalogVersion: number, rendered: RenderedSql): PreparedName {
  const { preparedStatements } = connection;
  const text = preparedText(catalogVersion, rendered);
  const failed = () => preparedStatements.forget(text);
  const known = preparedStatements.find(text);
  if (known !== null) return { name: known, before: [], failed };
  const { name, unused } = preparedStatements.add(text);
  return { name, before: [...unused.map((old) => encodeClose('S', old)), encodeParseOf(name, rendered)], failed };
}

/** What stands for a statement among those that connections have prepared. */
export function preparedText(catalogVersion: number, { sql, values }: RenderedSql): string {
  return `${catalogVersion} ${values.map((value) => value.typeOid).join(' ')} ${sql}`;
}

function encodeParseOf(name: string, { sql, values }: RenderedSql): Buffer {
  const typed = values.some((value) => value.typeOid !== 0);
  return encodeParse(name, sql, typed ? values.map((value) => value.typeOid) : []);
}

function encodeRun(
  statement: string,
  { values }: RenderedSql,
  resultFormats: readonly number[],
  describe: boolean,
): Buffer[] {
  const bind = encodeBind({
    portal: '',
    statement,
    parameterFormats: values.map((value) => value.format),
    parameters: values.map((value) => value.bytes),
    resultFormats: [...resultFormats],
  });
  return [bind, ...(describe ? [encodeDescribe('P', '')] : []), encodeExecute('', 0), syncMessage];
}
