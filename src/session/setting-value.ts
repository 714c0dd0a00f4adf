import type { VariableSetStmt } from '@pgsql/types';
import { constantText } from '../sql/constant.ts';

/** A value in SET, as text, and as a truth value where it reads as one. */
export function settingValue(node: NonNullable<VariableSetStmt['args']>[number] | undefined): {
  readonly text: string;
  readonly asBoolean: 'on' | 'off' | null;
} {
  const text = textOf(node);
  return { text, asBoolean: booleans.get(text.toLowerCase()) ?? null };
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
