import type { Node } from '@pgsql/types';
import type { PlanContext } from '../context.ts';
import type { FactsByRelation } from '../facts.ts';
import type { Model } from '../model.ts';
import type { PlanQuery } from './query.ts';
import type { Staging } from './staging.ts';

/** A query as it stands after some steps, to be brought nearer to where its data are. */
export interface StageQuestion {
  readonly tree: Node;
  readonly model: Model;
  readonly facts: FactsByRelation;
  readonly context: PlanContext;
  readonly staging: Staging;
  /** Plans a part of it by itself. */
  readonly planQuery: PlanQuery;
}

/** The query after one more step; null: nothing of the kind is left to do. */
export type Stepped = { readonly tree: Node } | { readonly reason: string } | null;
