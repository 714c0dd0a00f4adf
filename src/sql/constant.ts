import type { Node } from '@pgsql/types';

/** A string literal, cast to regclass or not. */
export function constantText(node: Node | undefined): string | null {
  if (node === undefined) return null;
  if ('TypeCast' in node) return constantText(node.TypeCast.arg);
  return 'A_Const' in node ? (node.A_Const.sval?.sval ?? null) : null;
}
