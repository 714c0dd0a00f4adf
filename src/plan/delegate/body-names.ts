import type { Node } from '@pgsql/types';
import { figureColumnName } from '../../sql/column-name.ts';
import { parseStatements, type RawStatement } from '../../sql/parse.ts';
import { createSource, positionOf, splice } from '../../sql/source.ts';
import { nameParts, walk } from '../../sql/walk.ts';
import { tokenAt } from '../edits.ts';
import type { FunctionBody, Obstacle } from './body.ts';

/** One statement of a function: the distribution argument is `$1`, each other variable a parameter of its own from `$2`. */
export interface BodyStatement {
  readonly statement: RawStatement;
  readonly parameterCount: number;
  /** Variables that stand in it by their names. */
  readonly named: ReadonlySet<string>;
  /** What else a name may mean in it, besides columns of relations. */
  readonly otherNames: ReadonlySet<string>;
  readonly hasFunctionInFrom: boolean;
}

/** The text with variables as parameters. A name that may be a variable's or something else's is for the caller to judge. */
export function withParameters(text: string, body: FunctionBody, functionName: string): BodyStatement | Obstacle {
  const [statement, ...more] = parseStatements(text);
  if (statement === undefined || more.length > 0) return { obstacle: 'a part of its body is no single statement' };
  const scope = namesIn(statement.node);
  const numbers = new Map<string, number>([['$', 1]]);
  const numberOf = (key: string, isArgument: boolean) => {
    const known = numbers.get(isArgument ? '$' : key);
    if (known !== undefined) return known;
    numbers.set(key, numbers.size + 1);
    return numbers.size;
  };
  const source = createSource(statement);
  const edits: { start: number; end: number; parts: string[] }[] = [];
  const named = new Set<string>();
  let obstacle: string | null = null;
  walk(statement.node, (kind, fields: { fields?: Node[]; number?: number; location?: number }) => {
    if (kind === 'ParamRef') {
      const number = fields.number ?? 0;
      const start = positionOf(source, fields.location);
      const parts = [`$${numberOf(`$${number}`, number === body.argumentNumber)}`];
      edits.push({ start, end: start + `$${number}`.length, parts });
    }
    if (kind !== 'ColumnRef') return true;
    const [first, second, ...rest] = nameParts(fields.fields);
    if (typeof first !== 'string') return true;
    if (second !== undefined && first === functionName && !scope.aliases.has(first)) {
      obstacle ??= `it names a parameter by the function's own name (${functionName}.…)`;
    }
    if (!body.names.has(first) || rest.length > 0) return true;
    if (second === null) obstacle ??= `it takes all fields of ${first} (${first}.*)`;
    if (second !== undefined && scope.aliases.has(first)) return true;
    named.add(first);
    const tokens = source.tokens();
    const at = tokenAt(tokens, positionOf(source, fields.location));
    const last = tokens[at + (second === undefined ? 0 : 2)]!;
    const key = second === undefined ? first : `${first}.${second}`;
    const number = numberOf(key, second === undefined && first === body.argumentName);
    edits.push({ start: tokens[at]!.start, end: last.end, parts: [`$${number}`] });
    return true;
  });
  if (obstacle !== null) return { obstacle };
  const [rewritten] = parseStatements(splice<never>(source, edits).join(''));
  return {
    statement: rewritten!,
    parameterCount: numbers.size,
    named,
    otherNames: new Set([...scope.outputs, ...scope.aliases]),
    hasFunctionInFrom: scope.hasFunction,
  };
}

interface Aliased {
  readonly aliasname?: string;
  readonly colnames?: Node[];
}

/** What nodes of several kinds have names in. `relation`: of a change; it stands in the tree without its kind around it. */
interface Named {
  readonly alias?: Aliased;
  readonly join_using_alias?: Aliased;
  readonly relation?: { readonly relname?: string; readonly alias?: Aliased };
  readonly targetList?: Node[];
  readonly relname?: string;
  readonly ctename?: string;
  readonly aliascolnames?: Node[];
}

/** All names that a statement makes for itself, wherever: more than are visible where a variable stands. */
function namesIn(root: Node): { outputs: Set<string>; aliases: Set<string>; hasFunction: boolean } {
  const outputs = new Set<string>();
  // Of ON CONFLICT and RETURNING.
  const aliases = new Set(['excluded', 'old', 'new']);
  let hasFunction = false;
  const add = (alias: Aliased | undefined) => {
    if (alias?.aliasname) aliases.add(alias.aliasname);
    for (const name of nameParts(alias?.colnames)) outputs.add(name ?? '');
  };
  const [rootFields] = Object.values(root);
  walk(root, (kind, fields: Named) => {
    const { alias, join_using_alias, relation, targetList, relname, ctename, aliascolnames } = fields;
    for (const each of [alias, join_using_alias, relation?.alias]) add(each);
    if (relation?.relname) aliases.add(relation.relname);
    if (kind === 'RangeVar') aliases.add(String(relname));
    if (kind === 'CommonTableExpr') {
      aliases.add(String(ctename));
      for (const name of nameParts(aliascolnames)) outputs.add(name ?? '');
    }
    if (kind === 'RangeFunction' || kind === 'RangeTableFunc' || kind === 'JsonTable') hasFunction = true;
    if (kind === 'SelectStmt') addOutputs(targetList ?? [], fields === rootFields, outputs);
    return true;
  });
  return { outputs, aliases, hasFunction };
}

/** What a query's own columns are called counts where others see it, and in its own ORDER BY if it says AS. */
function addOutputs(targets: readonly Node[], isRoot: boolean, outputs: Set<string>): void {
  for (const target of targets) {
    if (!('ResTarget' in target)) continue;
    const { name, val } = target.ResTarget;
    if (name !== undefined) outputs.add(name);
    else if (!isRoot && val) outputs.add(figureColumnName(val));
  }
}
