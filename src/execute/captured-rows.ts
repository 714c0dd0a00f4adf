import type { ServerConnection } from '../backend/server-connection.ts';
import { pgError } from '../core/errors.ts';
import { limits } from '../core/limits.ts';
import type { SqlTemplate } from '../plan/plan.ts';
import { decodeDataRow, decodeRowDescription, type FieldDescription } from '../wire/backend.ts';
import { encodeDescribe, encodeParse, syncMessage } from '../wire/frontend.ts';
import { backend as message } from '../wire/message-types.ts';
import type { ClientOutput } from './client-output.ts';
import { exchangeSource } from './exchange.ts';
import { tooManyToShip } from './motion.ts';
import { renderTemplate, type TemplateValues } from './render-template.ts';
import { castable, type TypedColumn } from './shipped-rows.ts';

/** Keeps an answer's rows, as text, for a later step. Notices go to the client. */
export class CapturedRows implements ClientOutput {
  readonly wantsDescription = false;
  readonly resultFormats: readonly number[] = [0];
  readonly rows: Buffer[] = [];
  readonly #output: ClientOutput;
  #bytes = 0;

  constructor(output: ClientOutput) {
    this.#output = output;
  }

  describe(): void {}

  row(frame: Buffer): void {
    this.#bytes += frame.length;
    if (this.#bytes <= limits.maxShippedBytes) this.rows.push(Buffer.from(frame.subarray(5)));
  }

  /** Raised here and not in the midst of an answer. */
  complete(): void {
    if (this.#bytes > limits.maxShippedBytes) throw tooManyToShip();
  }

  pass(frame: Buffer): void {
    this.#output.pass(frame);
  }

  attach(): void {}

  detach(): void {}

  copyIn(): void {
    throw pgError('internalError', 'a change asked for COPY data');
  }
}

/** An output that keeps all rows as text, for the router's own use. What servers say besides is not for the client. */
export function collectDataRows(): ClientOutput & { readonly values: (string | null)[][] } {
  const values: (string | null)[][] = [];
  return {
    ...{ wantsDescription: false, resultFormats: [0], values },
    row: (frame) => values.push(decodeDataRow(frame).map((value) => value?.toString() ?? null)),
    describe() {},
    complete() {},
    pass() {},
    attach() {},
    detach() {},
    copyIn() {
      throw pgError('internalError', 'a statement of the router asked for COPY data');
    },
  };
}

/** The columns that a statement gives, as the coordinator describes them: nothing is planned, so shell tables stay silent. */
export async function describedColumns(
  coordinator: ServerConnection,
  statement: SqlTemplate,
  values: TemplateValues,
): Promise<TypedColumn[]> {
  const { sql } = renderTemplate(statement, values);
  const bytes = Buffer.concat([encodeParse('', sql, []), encodeDescribe('S', ''), syncMessage]);
  let fields: FieldDescription[] = [];
  await exchangeSource(coordinator, bytes).run((type, frame) => {
    if (type === message.rowDescription) fields = decodeRowDescription(frame);
  });
  if (fields.length === 0) return [];
  const types = fields.map(({ typeOid, typeModifier }) => `pg_catalog.format_type(${typeOid}, ${typeModifier})`);
  const { rows } = await coordinator.query(`SELECT ${types.join(', ')}`);
  return fields.map(({ name }, i) => ({ name, typeName: castable(rows[0]?.[i] ?? 'text'), collation: null }));
}
