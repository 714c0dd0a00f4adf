import { encodeBind, encodeDescribe, encodeExecute, encodeParse, syncMessage } from '../wire/frontend.ts';

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
export function encodeRendered(
  rendered: RenderedSql,
  resultFormats: readonly number[],
  describe: boolean,
): Buffer {
  const { sql, values } = rendered;
  const parts = [
    encodeParse(
      '',
      sql,
      values.some((value) => value.typeOid !== 0) ? values.map((value) => value.typeOid) : [],
    ),
    encodeBind({
      portal: '',
      statement: '',
      parameterFormats: values.map((value) => value.format),
      parameters: values.map((value) => value.bytes),
      resultFormats: [...resultFormats],
    }),
  ];
  if (describe) parts.push(encodeDescribe('P', ''));
  parts.push(encodeExecute('', 0), syncMessage);
  return Buffer.concat(parts);
}
