/** What a function's body may leave behind in the session that calls it, as far as its text tells. */
export interface SessionEffects {
  /** Temporary relations. */
  readonly temporary: boolean;
  /** What only its own connection has: session-level advisory locks, LISTEN, cursors WITH HOLD … */
  readonly ties: boolean;
  /** Settings that it may set. Null: some whose names it computes. */
  readonly settings: readonly EffectSetting[] | null;
}

export interface EffectSetting {
  readonly name: string;
  /** Until the end of the transaction only. */
  readonly local: boolean;
}

export const noEffects: SessionEffects = Object.freeze({ temporary: false, ties: false, settings: [] });

const anyEffects: SessionEffects = Object.freeze({ temporary: true, ties: true, settings: null });

/** A body by its name; several of one name count as one. */
export interface NamedSource {
  readonly name: string;
  readonly source: string;
  readonly parameters: readonly string[];
}

/**
 * The effects of each function that has some, by name: its own, and those of the functions that its text names. Texts are searched for
 * words, comments and literals included (dynamic SQL is in literals, and what a parameter brings may do anything): more may be found than
 * there is, a word that is put together at run time is missed.
 */
export function sessionEffects(sources: readonly NamedSource[]): ReadonlyMap<string, SessionEffects> {
  const found = new Map<string, SessionEffects>();
  const note = (name: string, effects: SessionEffects) => {
    const joined = joinEffects([found.get(name) ?? noEffects, effects]);
    if (joined !== noEffects) found.set(name, joined);
  };
  for (const { name, source, parameters } of sources) note(name, effectsOfSource(source, parameters));
  const words = found.size === 0 ? [] : sources.map(({ name, source }) => ({ name, words: wordsOf(source) }));
  for (let before = -1, after = weight(found); before < after; before = after, after = weight(found)) {
    for (const { name, words: named } of words) {
      for (const [other, effects] of [...found]) if (other !== name && named.has(other)) note(name, effects);
    }
  }
  return found;
}

/** Grows with every effect that is added. */
function weight(found: ReadonlyMap<string, SessionEffects>): number {
  const each = ({ temporary, ties, settings }: SessionEffects) =>
    1 + Number(temporary) + Number(ties) + (settings?.length ?? 1000);
  return [...found.values()].reduce((sum, effects) => sum + each(effects), 0);
}

export function joinEffects(all: readonly SessionEffects[]): SessionEffects {
  const settings = new Map<string, EffectSetting>();
  for (const each of all.flatMap((effects) => effects.settings ?? [])) settings.set(`${each.name} ${each.local}`, each);
  const joined = {
    temporary: all.some(({ temporary }) => temporary),
    ties: all.some(({ ties }) => ties),
    settings: all.some((effects) => effects.settings === null) ? null : [...settings.values()],
  };
  return joined.temporary || joined.ties || joined.settings?.length !== 0 ? joined : noEffects;
}

/** What ends with the transaction is nobody's afterwards. */
export function staysBehind({ temporary, ties, settings }: SessionEffects): boolean {
  return temporary || ties || settings === null || settings.some(({ local }) => !local);
}

/** The effects that stand in the text itself. */
export function effectsOfSource(source: string, parameters: readonly string[] = []): SessionEffects {
  if (executesParameter(source, parameters)) return anyEffects;
  if (!mayHaveEffects.test(source)) return noEffects;
  return joinEffects([
    { temporary: temporaryWord.test(source), ties: tyingWord.test(source), settings: settingsOf(source) },
  ]);
}

function executesParameter(source: string, parameters: readonly string[]): boolean {
  const names = parameters.map((name) => name.toLowerCase());
  return [...source.matchAll(/\bexecute\s+"?([$\p{L}_][$\p{L}\p{N}_]*)/giu)].some(
    ([, word = '']) => word.startsWith('$') || names.includes(word.toLowerCase()),
  );
}

export function wordsOf(source: string): ReadonlySet<string> {
  return new Set(source.toLowerCase().match(/[\p{L}_][\p{L}\p{N}_$]*/gu) ?? []);
}

const temporaryWord = /\b(?:create|into)\s+(?:or\s+replace\s+)?(?:(?:local|global)\s+)?temp(?:orary)?\b|\bpg_temp\b/i;
const tyingWord =
  /\b(?:pg_(?:try_)?advisory_lock(?:_shared)?|setseed|lo_open|dblink_connect\w*|with\s+hold)\b|(?:^|[;'"]|\b(?:begin|then|else|loop))\s*(?:listen|prepare)\s/i;
const mayHaveEffects = new RegExp(
  `${temporaryWord.source}|${tyingWord.source}|\\b(set|reset|set_config|discard)\\b`,
  'i',
);

/** `UPDATE … SET` sets columns. */
const updates = /\bupdate\b[^;]*?\bset\b/gi;
const setCalls = /\bset_config\b/gi;
const constantCall = /^\s*\(\s*'([\w.]+)'\s*,[^;]*?,\s*(true|false)\s*\)/i;
const setCommands = /\b(?:re)?set\s+(session\s+(?!authorization)|local\s+)?("?[\w.]+"?|\S)/gi;
/** What follows SET and is no name of a setting: SET TRANSACTION ends with the transaction, the others belong to ALTER and to foreign keys. */
const otherSets =
  /^(transaction|constraints|characteristics|null|default|not|schema|data|statistics|storage|logged|unlogged|tablespace|without)$/i;

function settingsOf(source: string): readonly EffectSetting[] | null {
  const found: EffectSetting[] = [];
  for (const call of source.matchAll(setCalls)) {
    const constant = constantCall.exec(source.slice(call.index + call[0].length));
    if (constant === null) return null;
    found.push({ name: constant[1]!.toLowerCase(), local: constant[2]!.toLowerCase() === 'true' });
  }
  for (const [, scope = '', word = ''] of source.replace(updates, ' ').matchAll(setCommands)) {
    const name = word.replaceAll('"', '').toLowerCase();
    if (otherSets.test(name)) continue;
    if (!/^[a-z_]/.test(name) || name === 'all' || name === 'session') return null;
    found.push({ name: name === 'time' ? 'timezone' : name, local: /local/i.test(scope) });
  }
  return /\bdiscard\b/i.test(source) ? null : found;
}
