import { collectResult } from '../backend/collect-result.ts';
import type { BoundValue } from '../execute/statement-bytes.ts';
import { encodeRendered } from '../execute/statement-bytes.ts';
import { quoteLiteral } from '../sql/quote.ts';
import type { SessionState } from './session-state.ts';
import { typeNameOf } from './type-names.ts';

/** `$1 = '5'::integer`: what came in binary the coordinator reads. */
export async function shownParameters(session: SessionState, parameters: readonly BoundValue[]): Promise<string[]> {
  const types: string[] = [];
  for (const { typeOid } of parameters) types.push(await typeNameOf(session, typeOid));
  if (types.length === 0) return [];
  const sql = `SELECT ${types.map((type, i) => `$${i + 1}::${type}::text`).join(', ')}`;
  const values = parameters.map((parameter) => ({ ...parameter, typeOid: 0 }));
  const { rows } = await collectResult(await session.coordinator(), encodeRendered({ sql, values }, [], false));
  return types.map((type, i) => {
    const text = rows[0]?.[i] ?? null;
    return `$${i + 1} = ${text === null ? 'NULL' : quoteLiteral(text)}::${type}`;
  });
}
