import type { LockingClause, Node } from '@pgsql/types';
import type { Block } from './model.ts';
import type { Surroundings } from './surroundings.ts';

const lockStrengths = ['LCS_FORKEYSHARE', 'LCS_FORSHARE', 'LCS_FORNOKEYUPDATE', 'LCS_FORUPDATE'];

/** The strongest row lock that is asked for a FROM item, here or by a query around. */
export function lockOf(name: string | null, block: Block, around: Surroundings): LockingClause | null {
  const own = block.kind === 'select' ? (block.node.lockingClause ?? []) : [];
  const clauses = own.flatMap((node) => ('LockingClause' in node ? [node.LockingClause] : []));
  const meant = clauses.filter(({ lockedRels }) => !lockedRels || lockedRels.some((rel) => isNamed(rel, name)));
  const strength = (lock: LockingClause) => lockStrengths.indexOf(lock.strength ?? '');
  const [strongest] = [...meant, ...(around.lock ? [around.lock] : [])].sort((a, b) => strength(b) - strength(a));
  return strongest ?? null;
}

function isNamed(node: Node, name: string | null): boolean {
  return 'RangeVar' in node && node.RangeVar.relname === name;
}
