import type { ServerConnection } from '../backend/server-connection.ts';
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
  const { preparedStatements } = connection;
  const text = `${catalogVersion} ${rendered.values.map((value) => value.typeOid).join(' ')} ${rendered.sql}`;
  const failed = () => preparedStatements.forget(text);
  const known = preparedStatements.find(text);
  if (known !== null) return { bytes: Buffer.concat(encodeRun(known, rendered, resultFormats, false)), failed };
  const { name, unused } = preparedStatements.add(text);
  const close = unused.map((old) => encodeClose('S', old));
  const parse = encodeParseOf(name, rendered);
  return { bytes: Buffer.concat([...close, parse, ...encodeRun(name, rendered, resultFormats, false)]), failed };
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
