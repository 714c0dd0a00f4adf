import { parseSync } from 'libpg-query';
import type { Dialect, NodeOption, QualifiedName } from './dialect.ts';
import { readGreenplumClause, readNames, readXlClause } from './dialect-clauses.ts';
import type { TokenReader } from './token-reader.ts';
import type { Token } from './tokens.ts';

/** A statement that only the dialects have; null: none. What follows it, if anything, is the caller's to refuse. */
export function readDialectStatement(reader: TokenReader): Dialect | null {
  if (reader.words('alter', 'table')) return readAlterDistribution(reader);
  if (reader.words('execute', 'direct', 'on')) return readExecuteDirect(reader);
  if (reader.words('create', 'node')) return readNode('create node', reader);
  if (reader.words('alter', 'node')) return readNode('alter node', reader);
  if (!reader.words('drop', 'node')) return null;
  const name = reader.name();
  return name === null ? null : { kind: 'drop node', name };
}

/** `ALTER TABLE t SET [WITH (REORGANIZE = true)] DISTRIBUTED …`, or Postgres-XL's `ALTER TABLE t DISTRIBUTE BY …`. */
function readAlterDistribution(reader: TokenReader): Dialect | null {
  const ifExists = reader.words('if', 'exists');
  reader.words('only');
  const table = readQualifiedName(reader);
  if (table === null) return null;
  const alter = { kind: 'alter distribution', table, ifExists } as const;
  if (!reader.words('set')) {
    const clause = readXlClause(reader);
    return clause && { ...alter, clause, reorganize: false };
  }
  if (!reader.words('with')) {
    const clause = readGreenplumClause(reader);
    return clause && { ...alter, clause, reorganize: false };
  }
  const reorganize = readReorganize(reader);
  return reorganize === null ? null : { ...alter, clause: readGreenplumClause(reader), reorganize };
}

/** `(REORGANIZE = true)`, with other storage options beside it or not; null: that isn't it. */
function readReorganize(reader: TokenReader): boolean | null {
  let reorganize: boolean | null = null;
  const options = reader.list(() => {
    const name = reader.name();
    const value = name !== null && reader.symbol('=') ? readOption(reader) : 'true';
    if (name === 'reorganize') reorganize = ['true', 'on', '1'].includes(value?.toLowerCase() ?? '');
    return name !== null && value !== null ? name : null;
  });
  return options === null ? null : reorganize;
}

function readExecuteDirect(reader: TokenReader): Dialect | null {
  const nodes = readNames(reader);
  const literal = nodes && reader.token('string');
  const sql = literal && literalText(literal);
  return nodes && sql !== null ? { kind: 'execute direct', nodes, sql } : null;
}

const nodeOptions: ReadonlySet<string> = new Set<NodeOption>(['TYPE', 'HOST', 'PORT', 'PRIMARY', 'PREFERRED']);

function readNode(kind: 'create node' | 'alter node', reader: TokenReader): Dialect | null {
  const name = reader.name();
  if (name === null || !reader.words('with')) return null;
  const options = new Map<NodeOption, string>();
  const read = reader.list(() => {
    const option = reader.name()?.toUpperCase() ?? '';
    if (!nodeOptions.has(option)) return null;
    const value = reader.symbol('=') ? readOption(reader) : 'true';
    if (value === null) return null;
    options.set(option as NodeOption, value);
    return option;
  });
  return read && { kind, name, options };
}

function readOption(reader: TokenReader): string | null {
  const text = reader.token('string');
  if (text) return literalText(text);
  return reader.token('number')?.text ?? reader.name();
}

function readQualifiedName(reader: TokenReader): QualifiedName | null {
  const first = reader.name();
  if (first === null) return null;
  if (!reader.symbol('.')) return { schema: null, name: first };
  const second = reader.name();
  return second === null ? null : { schema: first, name: second };
}

/** What a string literal says, whichever way it is quoted: the parser knows. */
function literalText(token: Token): string | null {
  const text = Buffer.from(token.text, 'latin1').toString('utf8');
  const statement = parseSync(`SELECT ${text}`).stmts?.[0]?.stmt;
  const target = statement && 'SelectStmt' in statement ? statement.SelectStmt.targetList?.[0] : undefined;
  const value = target && 'ResTarget' in target ? target.ResTarget.val : undefined;
  return value && 'A_Const' in value ? (value.A_Const.sval?.sval ?? '') : null;
}
