import type { ClientOutput } from '../execute/client-output.ts';
import { encodeDataRow, encodeRowDescription } from '../wire/backend.ts';

/** Rows of the router's own making, as text. */
export function sayRows(
  output: ClientOutput,
  columns: readonly { readonly name: string; readonly typeOid: number }[],
  rows: readonly (readonly (string | null)[])[],
): void {
  if (output.wantsDescription) {
    output.describe(
      encodeRowDescription(
        columns.map(({ name, typeOid }) => ({
          name,
          tableOid: 0,
          columnNumber: 0,
          typeOid,
          typeSize: -1,
          typeModifier: -1,
          format: 0,
        })),
      ),
    );
  }
  for (const row of rows) output.row(encodeDataRow(row.map((value) => (value === null ? null : Buffer.from(value)))));
}
