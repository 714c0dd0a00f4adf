/** One statement of a `*.sql` file of this folder, with what its comments ask for. */
export type ScriptStatement = {
  readonly text: string;
  readonly line: number;
  /** Runs on the herd alone, instead of `text`: what a distribution directive stands for. */
  readonly herdOnly: boolean;
  /** `-- may be refused`: an honest 0A000 with a code is right too. */
  readonly mayBeRefused: boolean;
  /** `-- input: …`: what a COPY FROM STDIN is fed with, with the escapes of a JSON string. */
  readonly input?: string;
};

/**
 * Splits a file at its top-level semicolons. Directives, each in a comment line of its own:
 * `-- distribute TABLE by COLUMN [with TABLE]`, `-- distribute TABLE by COLUMN as range|list: BOUNDS`, `-- reference TABLE`,
 * `-- distribute TABLE at random`; and of the statement that follows: `-- may be refused`, `-- input: DATA` for COPY FROM STDIN.
 */
export function parseScript(source: string): ScriptStatement[] {
  const statements: ScriptStatement[] = [];
  for (const { text, line } of splitStatements(source)) {
    const lines = text.split('\n');
    for (const [offset, comment] of lines.entries()) {
      const directive = directiveOf(comment);
      if (directive === undefined) continue;
      statements.push({ text: directive, line: line + offset, herdOnly: true, mayBeRefused: false });
    }
    const bare = lines.filter((comment) => !/^\s*--/.test(comment)).join('\n');
    if (bare.trim() === '') continue;
    const mayBeRefused = /^\s*-- may be refused/m.test(text);
    const [, given] = /^\s*-- input: (.*)$/m.exec(text) ?? [];
    const input = given === undefined ? {} : { input: JSON.parse(`"${given}"`) as string };
    statements.push({
      text: bare.trim(),
      line: line + leadingComments(lines),
      herdOnly: false,
      mayBeRefused,
      ...input,
    });
  }
  return statements;
}

function leadingComments(lines: readonly string[]): number {
  return Math.max(
    lines.findIndex((line) => line.trim() !== '' && !/^\s*--/.test(line)),
    0,
  );
}

function directiveOf(comment: string): string | undefined {
  if (!/^\s*-- (distribute|reference)\b/.test(comment)) return undefined;
  const name = '((?:"[^"]+"|[^\\s."]+)(?:\\.(?:"[^"]+"|[^\\s."]+))?)';
  const random = new RegExp(`^\\s*-- distribute ${name} at random\\s*$`, 'u').exec(comment);
  if (random !== null) return `SELECT create_distributed_table('${random[1]}', NULL, 'random')`;
  const reference = new RegExp(`^\\s*-- reference ${name}\\s*$`, 'u').exec(comment);
  if (reference !== null) return `SELECT create_reference_table('${reference[1]}')`;
  const pattern = `^\\s*-- distribute ${name} by (\\S+)(?: with ${name}| as (range|list): (.*))?\\s*$`;
  const found = new RegExp(pattern, 'u').exec(comment);
  if (found === null) throw new Error(`no such directive: ${comment}`);
  const [, table, column, colocated, method, bounds] = found;
  if (method !== undefined)
    return `SELECT create_distributed_table('${table}', '${column}', '${method}', shard_bounds => $$${bounds}$$)`;
  const suffix = colocated === undefined ? '' : `, colocate_with => '${colocated}'`;
  return `SELECT create_distributed_table('${table}', '${column}'${suffix})`;
}

/** Quotes, dollar quotes and comments may hold semicolons. */
function* splitStatements(source: string): Generator<{ text: string; line: number }> {
  const token = /--[^\n]*|\/\*[\s\S]*?\*\/|'(?:[^']|'')*'|"(?:[^"]|"")*"|(\$\w*\$)[\s\S]*?\1|;/g;
  let start = 0;
  let line = 1;
  for (const match of source.matchAll(token)) {
    if (match[0] !== ';') continue;
    const text = source.slice(start, match.index);
    yield { text, line };
    line += text.split('\n').length - 1;
    start = match.index + 1;
  }
  yield { text: source.slice(start), line };
}

/** True when ORDER BY stands outside all parentheses: rows must then come in sequence. FETCH follows its cursor. */
export function isOrdered(text: string): boolean {
  if (/^fetch\b/i.test(text)) return true;
  let depth = 0;
  for (const match of text.matchAll(/'(?:[^']|'')*'|"(?:[^"]|"")*"|[()]|\border\s+by\b/gi)) {
    if (match[0] === '(') depth++;
    else if (match[0] === ')') depth--;
    else if (depth === 0 && /^order/i.test(match[0])) return true;
  }
  return false;
}
