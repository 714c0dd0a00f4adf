import type { Node } from '@pgsql/types';
import { parseStatements, type RawStatement } from './parse.ts';
import { createSource, type Edit, positionOf, type SqlSource, splice } from './source.ts';

/** How Greenplum stores rows; PostgreSQL has nothing of the kind. */
const greenplumOptions: ReadonlySet<string> = new Set([
  ...['appendonly', 'appendoptimized', 'orientation', 'compresstype', 'compresslevel', 'blocksize', 'checksum'],
  ...['bucketnum', 'reorganize'],
]);

export interface WithoutOptions {
  readonly statement: RawStatement;
  /** Names of what was left out. */
  readonly ignored: readonly string[];
}

/** CREATE TABLE and CREATE TABLE AS without `WITH (appendonly = …)` and the like; null: there is none of it. */
export function withoutGreenplumOptions(statement: RawStatement): WithoutOptions | null {
  const options = optionsOf(statement.node);
  const ignored = options.filter(({ name }) => greenplumOptions.has(name.toLowerCase()));
  if (ignored.length === 0) return null;
  const source = createSource(statement);
  const kept = options.filter((option) => !ignored.includes(option));
  const text = splice<never>(source, [optionsEdit(source, options, kept)]).join('');
  const [parsed] = parseStatements(text);
  if (!parsed) return null;
  const { dialect } = statement;
  return {
    statement: { ...parsed, ...(dialect ? { dialect } : {}) },
    ignored: ignored.map(({ name }) => name.toLowerCase()),
  };
}

interface Option {
  readonly name: string;
  readonly location: number | undefined;
}

function optionsOf(node: Node): Option[] {
  const list =
    'CreateStmt' in node
      ? node.CreateStmt.options
      : 'CreateTableAsStmt' in node
        ? node.CreateTableAsStmt.into?.options
        : undefined;
  return (list ?? []).flatMap((option) =>
    'DefElem' in option ? [{ name: option.DefElem.defname ?? '', location: option.DefElem.location }] : [],
  );
}

/** The whole of `WITH (…)`, with the options that are kept, in spaces so that what follows stays where it was. */
function optionsEdit(source: SqlSource, options: readonly Option[], kept: readonly Option[]): Edit<never> {
  const tokens = source.tokens();
  const at = (option: Option) => tokens.findIndex((token) => token.start === positionOf(source, option.location));
  const first = at(options[0]!) - 2;
  let end = first + 1;
  for (let depth = 0; end < tokens.length; end++) {
    if (tokens[end]!.text === '(') depth++;
    if (tokens[end]!.text === ')' && --depth === 0) break;
  }
  const starts = options.map(at);
  const texts = kept.map((option) => {
    const from = at(option);
    const next = starts.find((start) => start > from);
    const last = next === undefined ? end - 1 : next - 2;
    return source.bytes.slice(tokens[from]!.start, tokens[last]!.end);
  });
  const written = texts.length === 0 ? '' : `WITH (${texts.join(', ')})`;
  const [from, to] = [tokens[first]!.start, tokens[end]!.end];
  return { start: from, end: to, parts: [written.padEnd(to - from)] };
}
