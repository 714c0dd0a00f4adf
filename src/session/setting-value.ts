import type { VariableSetStmt } from '@pgsql/types';
import { constantText } from '../sql/constant.ts';
import type { SessionState } from './session-state.ts';

/** A value in SET, as text, and as a truth value where it reads as one. */
export function settingValue(node: NonNullable<VariableSetStmt['args']>[number] | undefined): {
  readonly text: string;
  readonly asBoolean: 'on' | 'off' | null;
} {
  const text = textOf(node);
  return { text, asBoolean: booleans.get(text.toLowerCase()) ?? null };
}

/** A setting as it holds now, SET LOCAL included, of those that no server knows; truth values as `on` and `off`, undefined: not set. */
export async function settingValueOf(session: SessionState, name: string): Promise<string | undefined> {
  const { transaction } = session;
  let value = transaction.settings.values.get(name);
  if (transaction.hasLocalSettings) {
    const connection = await session.coordinator();
    value = (await connection.query(`SELECT current_setting('${name}', true)`)).rows[0]?.[0] ?? undefined;
  }
  return value ? (booleans.get(value.toLowerCase()) ?? value) : undefined;
}

function textOf(node: NonNullable<VariableSetStmt['args']>[number] | undefined): string {
  const text = constantText(node);
  if (text !== null || !node || !('A_Const' in node)) return text ?? '';
  const { ival, fval, boolval } = node.A_Const;
  if (boolval) return boolval.boolval ? 'on' : 'off';
  return fval?.fval ?? String(ival?.ival ?? 0);
}

const booleans: ReadonlyMap<string, 'on' | 'off'> = new Map([
  ...['on', 'true', 't', 'yes', 'y', '1'].map((word) => [word, 'on'] as const),
  ...['off', 'false', 'f', 'no', 'n', '0'].map((word) => [word, 'off'] as const),
]);
