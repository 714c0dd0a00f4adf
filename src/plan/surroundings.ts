import type { LockingClause, Node } from '@pgsql/types';
import type { SqlSource } from '../sql/source.ts';
import type { PlanContext } from './context.ts';
import type { Block, QueryItem, RelationItem } from './model.ts';

/** What is filed while a statement is analysed. */
export interface Collector {
  readonly context: PlanContext;
  readonly blocks: Block[];
  readonly relations: RelationItem[];
  readonly views: QueryItem[];
}

/** The names of CTEs that a block sees, innermost first. */
export interface CteNames {
  readonly names: Set<string>;
  readonly outer: CteNames | null;
}

export interface Surroundings {
  /** Analyses a query inside; handed down, because queries, FROM and expressions hold each other. */
  readonly analyzeQuery: (node: Node, around: Surroundings) => Block;
  readonly collector: Collector;
  readonly source: SqlSource;
  readonly ctes: CteNames | null;
  readonly scopeParent: Block | null;
  /** FOR UPDATE of a query around reaches into subqueries in FROM. */
  readonly lock: LockingClause | null;
}

/** Whether a name is a CTE's here. */
export function isCte(name: string, ctes: CteNames | null): boolean {
  for (let scope = ctes; scope; scope = scope.outer) if (scope.names.has(name)) return true;
  return false;
}
