import { staysBehind } from '../../catalog/session-effects.ts';
import type { ColocationGroup, KeyColumn, RelationEntry } from '../../catalog/snapshot.ts';
import { nameParts } from '../../sql/walk.ts';
import { analyze } from '../analyze.ts';
import { globalIndexes } from '../change-checks.ts';
import type { PlanContext, PlannedParameter } from '../context.ts';
import { nodeObstacle, systemColumnsOf } from '../functions.ts';
import { isClock, keySources } from '../key-sources.ts';
import { isChange, type Model } from '../model.ts';
import type { Plan } from '../plan.ts';
import { createConstantPool, rewriteStatement } from '../rewrite.ts';
import type { Obstacle } from './body.ts';
import type { BodyStatement } from './body-names.ts';
import { sampleKey } from './sample-key.ts';

/** What a statement of a function needs where it is carried out on the node of the function's argument. */
export interface StatementProof {
  /** Of the distributed tables in it; null: it has none. */
  readonly home: Home | null;
  readonly writes: boolean;
  /** It asks for the time of the transaction. */
  readonly usesClock: boolean;
}

/** Tables whose rows of one key are together, by one of them. */
export interface Home {
  readonly table: RelationEntry;
  readonly group: ColocationGroup;
  readonly key: KeyColumn;
}

export type PlanStatement = (statement: BodyStatement['statement'], context: PlanContext) => Plan;

export interface ProofQuestion {
  readonly body: BodyStatement;
  readonly language: string;
  /** Of the distribution argument. */
  readonly argument: { readonly typeOid: number; readonly typeName: string };
}

/**
 * Whether a statement gives on the node of `$1` what it gives everywhere: the planner sends it to one shard whatever `$1` is, every distributed
 * table in it by `$1` itself, and there is nothing in its text that the planner would have changed.
 */
export function proveStatement(
  question: ProofQuestion,
  context: PlanContext,
  planStatement: PlanStatement,
): StatementProof | Obstacle {
  const { statement } = question.body;
  const [kind] = Object.keys(statement.node);
  if (!/^(Select|Insert|Update|Delete)Stmt$/.test(kind ?? ''))
    return { obstacle: `it has ${kind ?? 'an empty statement'}` };
  const unbound = withArgument(question, null, context);
  const model = analyze(statement.node, statement, unbound);
  const obstacle = textObstacle(model) ?? nameObstacle(question, model) ?? modelObstacle(model, unbound);
  if (obstacle !== null) return { obstacle };
  const [first, ...others] = model.relations.filter(({ role }) => role === 'distributed');
  if (first === undefined) return proveWithoutShards(model, unbound);
  const home = homeOf(first.relation);
  if (home === null) return { obstacle: `${first.name} is not distributed by one column` };
  const apart = others.find(({ relation }) => homeOf(relation)?.group.id !== home.group.id);
  if (apart) return { obstacle: `${apart.name} is not co-located with ${first.name}` };
  const sample = sampleKey(home.key.typeOid, home.group);
  if (sample === null) return { obstacle: `the router does not read values of type ${home.key.typeName} itself` };
  const bound = withArgument(question, sample, context);
  const plan = planStatement(statement, bound);
  const sources = keySources(statement, plan, bound);
  const isByArgument = sources?.every(({ sources: [source], columns }) => {
    return columns.length === 1 && source?.kind === 'parameter' && source.number === 1;
  });
  if (!isByArgument) {
    const names = [...new Set([first, ...others].map(({ name }) => name))].join(', ');
    if (plan.touchesKeys) return { obstacle: `the router keeps keys of ${names}, which the change may touch` };
    const why = plan.rung === 'single shard' ? '' : ` (${plan.reason})`;
    return { obstacle: `a statement over ${names} is not restricted to the argument by the distribution column${why}` };
  }
  return { home, writes: plan.writes, usesClock: plan.constants.length > 0 };
}

/** The key of a table; null: it has none, or several columns. */
export function homeOf(relation: RelationEntry | null): Home | null {
  const distribution = relation?.distributed?.distribution;
  if (!relation || distribution?.kind !== 'distributed') return null;
  const [key, ...more] = distribution.keys;
  return key && more.length === 0 ? { table: relation, group: distribution.group, key } : null;
}

function withArgument({ body, argument }: ProofQuestion, bytes: Buffer | null, context: PlanContext): PlanContext {
  const unknown: PlannedParameter = { typeOid: 705, typeName: 'text', value: undefined };
  const first: PlannedParameter = { ...argument, value: bytes === null ? undefined : { format: 0, bytes } };
  return { ...context, parameters: [first, ...new Array<PlannedParameter>(body.parameterCount - 1).fill(unknown)] };
}

/** Clauses that the router writes anew, or that mean something else on a partitioned table. */
function textObstacle(model: Model): string | null {
  for (const item of model.relations) {
    if (item.node.inh !== true) return `it reads ONLY ${item.name}`;
    if (item.sample) return `it takes a sample of ${item.name}`;
    if (item.columns === null) return `it reads ${item.name}, which is on the coordinator only`;
  }
  if (model.views.length > 0) return `it reads the view ${model.views[0]!.name ?? ''}`;
  if (model.blocks.some(({ currentOf }) => currentOf)) return 'it goes by a cursor';
  const [address] = model.blocks.flatMap(systemColumnsOf);
  return address === undefined ? null : `it reads ${address}`;
}

/** In SQL functions a column goes before a variable; in PL/pgSQL it depends. */
function nameObstacle({ body, language }: ProofQuestion, { relations }: Model): string | null {
  const ambiguous = [...body.named].find(
    (name) => body.otherNames.has(name) || relations.some(({ columns }) => columns?.includes(name)),
  );
  if (ambiguous !== undefined) return `${ambiguous} may be a variable or a name in a statement: rename the variable`;
  const mayHide = language === 'sql' && body.named.size > 0 && body.hasFunctionInFrom;
  return mayHide ? 'it names parameters beside a function in FROM: write $1' : null;
}

function modelObstacle(model: Model, context: PlanContext): string | null {
  const stranger = model.relations.find(({ role }) => role === 'local' || role === 'virtual');
  if (stranger) return `it reads or changes ${stranger.name}, which is on the coordinator only`;
  const copy = model.relations.find((item) => item.role === 'reference' && (item.isTarget || item.lock !== null));
  if (copy) return `it changes or locks the reference table ${copy.name}`;
  const table = model.relations.find((item) => item.isTarget && (item.table?.statementTriggers.length ?? 0) > 0);
  if (table) return `${table.name} has triggers FOR EACH STATEMENT`;
  const unique = model.relations.find((item) => item.isTarget && item.table && globalIndexes(item.table).length > 0);
  if (unique) return `the router keeps keys of ${unique.name}, which the change may touch`;
  const effects = effectObstacle(model, context);
  if (effects !== null) return effects;
  return nodeObstacle(model.blocks, context);
}

/** What triggers and functions may leave behind in the node's session (settings, locks), which nobody would look for there. */
function effectObstacle({ relations, blocks }: Model, { snapshot }: PlanContext): string | null {
  const { triggers, byName } = snapshot.functionEffects;
  const table = relations.find((item) => item.isTarget && item.table?.hasRowTriggers === true);
  if (table && staysBehind(triggers)) return `triggers of ${table.name} may leave something behind in the session`;
  const names = blocks.flatMap(({ functions }) => functions.map(({ funcname }) => nameParts(funcname).at(-1) ?? ''));
  const found = names.find((name) => byName.has(name));
  return found === undefined ? null : `${found}() may leave something behind in the session`;
}

/** Constants, variables, reference tables. */
function proveWithoutShards(model: Model, context: PlanContext): StatementProof | Obstacle {
  if (model.blocks.some(isChange)) return { obstacle: 'it changes what is on the coordinator only' };
  const constants = createConstantPool();
  rewriteStatement({ model, context, replace: () => null, constants });
  const other = constants.list.find((constant) => !isClock(constant));
  if (other) return { obstacle: `${String(other.sql[0])} is the coordinator's to say` };
  return { home: null, writes: false, usesClock: constants.list.length > 0 };
}
