import type { Delegation } from '../../catalog/delegation.ts';
import { type CatalogSnapshot, resolveRelation } from '../../catalog/snapshot.ts';
import { PgError } from '../../core/errors.ts';
import type { PlanContext } from '../context.ts';
import { sameFamily } from '../key-value.ts';
import { noAnswers, Unanswered } from '../questions.ts';
import { type FunctionBody, type Obstacle, readBody } from './body.ts';
import { withParameters } from './body-names.ts';
import { type Home, homeOf, type PlanStatement, proveStatement, type StatementProof } from './prove-statement.ts';

/** What is known of a function whose statements all stay on the node of its distribution argument. */
export interface DelegationProof {
  readonly home: Home;
  readonly writes: boolean;
  readonly usesClock: boolean;
}

const proofs = new WeakMap<CatalogSnapshot, Map<string, DelegationProof | Obstacle>>();

/** The proof, or what it lacks, as the catalog is now. */
export function proveDelegation(
  delegation: Delegation,
  around: Pick<PlanContext, 'snapshot' | 'searchPath'>,
  planStatement: PlanStatement,
): DelegationProof | Obstacle {
  const known = proofs.get(around.snapshot) ?? new Map<string, DelegationProof | Obstacle>();
  proofs.set(around.snapshot, known);
  const key = JSON.stringify([delegation.oid, around.searchPath]);
  const found = known.get(key) ?? prove(delegation, around, planStatement);
  known.set(key, found);
  return found;
}

function prove(
  delegation: Delegation,
  { snapshot, searchPath }: Pick<PlanContext, 'snapshot' | 'searchPath'>,
  planStatement: PlanStatement,
): DelegationProof | Obstacle {
  const obstacle = headObstacle(delegation);
  if (obstacle !== null) return { obstacle };
  const context: PlanContext = {
    ...{ snapshot, searchPath: ownSearchPath(delegation) ?? searchPath, temporaryNames: new Set<string>() },
    ...{ parameters: [], inTransaction: true, force: null, staging: 'none', answers: noAnswers },
    ...{ staged: new Map(), late: [], steps: null },
  };
  try {
    const body = readBody(delegation);
    if ('obstacle' in body) return body;
    const type = typeObstacle(body, context);
    if (type !== null) return { obstacle: type };
    return addUp(delegation, proveStatements(delegation, body, { context, planStatement }), snapshot);
  } catch (error) {
    if (error instanceof PgError) return { obstacle: error.message };
    if (error instanceof Unanswered) return { obstacle: 'a server would have to be asked about it' };
    // The parser's own complaints, and whatever the planner has not met before.
    return { obstacle: error instanceof Error ? error.message : String(error) };
  }
}

/** A variable like a row of a table that nodes don't have. */
function typeObstacle({ types }: FunctionBody, { snapshot, searchPath }: PlanContext): string | null {
  for (const parts of types) {
    const found = resolveRelation(snapshot, parts.at(-2), parts.at(-1) ?? '', searchPath);
    if (found.kind !== 'relation') continue;
    const { distributed, kind, name } = found.relation;
    if (distributed === null && kind !== 'composite type')
      return `it has a variable like ${name}, which is on the coordinator only`;
  }
  return null;
}

function headObstacle(delegation: Delegation): string | null {
  const { volatility, variadic, parameters, distributionParameter, settings } = delegation;
  const argument = parameters[distributionParameter];
  if (volatility === 'immutable') return 'it is declared IMMUTABLE, so it must not read tables';
  if (variadic) return 'it is VARIADIC';
  if (!argument?.goesIn) return 'its distribution argument only comes out';
  if (parameters.some(({ typeName }) => /^any|^refcursor$/.test(typeName)))
    return 'it has polymorphic arguments or cursors';
  const setting = settings.find((each) => foreignSettings.test(each));
  if (setting !== undefined) return `it sets ${setting.split('=')[0]}`;
  return ownSearchPath(delegation)?.includes('$user') ? 'its search_path depends on the user' : null;
}

/** They change what names mean or how the guards of nodes read. */
const foreignSettings =
  /^(pgherd\.|plpgsql\.|lc_messages=|role=|session_authorization=|session_replication_role=|quote_all_identifiers=|standard_conforming_strings=|backslash_quote=|row_security=)/i;

/** Of its SET clause, as `current_schemas(true)` would give it; null: it has none. */
function ownSearchPath({ settings }: Delegation): readonly string[] | null {
  const setting = settings.find((each) => each.startsWith('search_path='));
  if (setting === undefined) return null;
  const names = setting.slice('search_path='.length).match(/"(?:[^"]|"")*"|[^\s,]+/g) ?? [];
  const schemas = names.map((name) => (name.startsWith('"') ? name.slice(1, -1).replaceAll('""', '"') : name));
  return schemas.includes('pg_catalog') ? schemas : ['pg_catalog', ...schemas];
}

function proveStatements(
  { name, language, parameters, distributionParameter }: Delegation,
  body: FunctionBody,
  { context, planStatement }: { context: PlanContext; planStatement: PlanStatement },
): (StatementProof | Obstacle)[] {
  const argument = parameters[distributionParameter]!;
  return body.statements.map((text) => {
    const rewritten = withParameters(text, body, name);
    if ('obstacle' in rewritten) return rewritten;
    return proveStatement({ body: rewritten, language, argument }, context, planStatement);
  });
}

function addUp(
  { colocatedWith, parameters, distributionParameter }: Delegation,
  found: readonly (StatementProof | Obstacle)[],
  snapshot: CatalogSnapshot,
): DelegationProof | Obstacle {
  const obstacle = found.find((each) => 'obstacle' in each);
  if (obstacle) return obstacle;
  const proven = found.filter((each): each is StatementProof => !('obstacle' in each));
  const given = colocatedWith === null ? null : homeOf(snapshot.relationsByOid.get(colocatedWith) ?? null);
  if (colocatedWith !== null && given === null)
    return { obstacle: 'the table that it is co-located with is not distributed by one column' };
  const homes = proven.flatMap(({ home }) => home ?? []);
  const home = given ?? homes[0];
  if (home === undefined) return { obstacle: 'it uses no distributed table: name one, colocate_with := …' };
  const apart = homes.find(({ group }) => group.id !== home.group.id);
  if (apart) return { obstacle: `${apart.table.name} is not co-located with ${home.table.name}` };
  const { typeOid } = parameters[distributionParameter]!;
  if (!sameFamily(typeOid, home.key.typeOid))
    return { obstacle: `its argument is of another type than ${home.table.name}.${home.key.name}` };
  return {
    home,
    writes: proven.some(({ writes }) => writes),
    usesClock: proven.some(({ usesClock }) => usesClock),
  };
}
