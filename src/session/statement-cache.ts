import { limits } from '../core/limits.ts';
import { parseStatements, type RawStatement } from '../sql/parse.ts';
import { castRelationLiterals } from '../sql/relation-literals.ts';
import { readTraits, type StatementTraits } from './statement-traits.ts';

function withRelationLiterals(raw: RawStatement): RawStatement {
  if (!/citus_|pg_dist_/i.test(raw.text)) return raw;
  const text = castRelationLiterals(raw);
  return (text === null ? null : parseStatements(text)[0]) ?? raw;
}

export interface ParsedStatement extends RawStatement {
  readonly traits: StatementTraits;
  /** The syntax tree's one key: `SelectStmt`. */
  readonly kind: string;
}

/** Parsed texts, least recently used first out. Parsing is pure, so the whole process shares one. */
export class StatementCache {
  #byText = new Map<string, readonly ParsedStatement[]>();
  readonly #onParsed: (ms: number) => void;

  /** `onParsed` is told how long each text took that was not known. */
  constructor(onParsed: (ms: number) => void = () => {}) {
    this.#onParsed = onParsed;
  }

  parse(text: string): readonly ParsedStatement[] {
    const known = this.#byText.get(text);
    if (known !== undefined) {
      this.#byText.delete(text);
      this.#byText.set(text, known);
      return known;
    }
    const startMs = performance.now();
    const parsed = parseStatements(text)
      .map(withRelationLiterals)
      .map((raw) => ({
        ...raw,
        traits: readTraits(raw.node),
        kind: Object.keys(raw.node)[0] ?? '',
      }));
    this.#onParsed(performance.now() - startMs);
    if (text.length <= limits.maxCachedStatementBytes) {
      this.#byText.set(text, parsed);
      if (this.#byText.size > limits.maxCachedStatements) {
        const oldest = this.#byText.keys().next().value;
        if (oldest !== undefined) this.#byText.delete(oldest);
      }
    }
    return parsed;
  }
}
