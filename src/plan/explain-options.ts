import type { DefElem, ExplainStmt } from '@pgsql/types';
import { quoteIdentifier, quoteLiteral } from '../sql/quote.ts';

/** What was asked of EXPLAIN, once the coordinator has found the options valid. */
export interface ExplainOptions {
  readonly analyze: boolean;
  readonly costs: boolean;
  readonly timing: boolean;
  readonly summary: boolean;
  readonly genericPlan: boolean;
  readonly format: 'text' | 'json' | 'yaml' | 'xml';
  readonly given: readonly DefElem[];
}

/** As PostgreSQL's ExplainQuery reads them: the last one of a name counts. */
export function explainOptions({ options = [] }: ExplainStmt): ExplainOptions {
  const given = options.flatMap((node) => ('DefElem' in node ? [node.DefElem] : []));
  const find = (name: string) => given.findLast(({ defname }) => defname === name);
  const flag = (name: string, absent: boolean) => {
    const option = find(name);
    return option === undefined ? absent : isTrue(option);
  };
  const analyze = flag('analyze', false);
  const format = textOf(find('format')) ?? 'text';
  return {
    ...{ analyze, costs: flag('costs', true), timing: flag('timing', analyze), summary: flag('summary', analyze) },
    genericPlan: flag('generic_plan', false),
    format: format as ExplainOptions['format'],
    given,
  };
}

const onlyWithAnalyze = new Set(['analyze', 'timing', 'wal', 'serialize']);

/** The same options for one server's statement: `(verbose, buffers, analyze, FORMAT json)`. */
export function serverOptions({ given }: ExplainOptions, analyze: boolean, format: 'text' | 'json'): string {
  const passed = given
    .filter(({ defname = '' }) => defname !== 'format' && (analyze || !onlyWithAnalyze.has(defname)))
    .map((option) => {
      const value = textOf(option);
      const name = quoteIdentifier(option.defname ?? '');
      return value === null ? name : `${name} ${/^\d+$/.test(value) ? value : quoteLiteral(value)}`;
    });
  return `(${[...passed, `FORMAT ${format}`].join(', ')})`;
}

/** defGetBoolean. */
function isTrue(option: DefElem): boolean {
  const value = textOf(option);
  return value === null || ['true', 'on', '1'].includes(value.toLowerCase());
}

function textOf(option: DefElem | undefined): string | null {
  const arg = option?.arg;
  if (arg === undefined) return null;
  if ('Integer' in arg) return String(arg.Integer.ival ?? 0);
  if ('Float' in arg) return arg.Float.fval ?? null;
  if ('Boolean' in arg) return String(arg.Boolean.boolval ?? false);
  return 'String' in arg ? (arg.String.sval ?? '') : null;
}
