import { limits } from '../core/limits.ts';
import { parseStatements, type RawStatement } from '../sql/parse.ts';
import { readTraits, type StatementTraits } from './statement-traits.ts';

export interface ParsedStatement extends RawStatement {
  readonly traits: StatementTraits;
  /** The syntax tree's one key: `SelectStmt`. */
  readonly kind: string;
}

/** Parsed texts, least recently used first out. Parsing is pure, so the whole process shares one. */
export class StatementCache {
  #byText = new Map<string, readonly ParsedStatement[]>();

  parse(text: string): readonly ParsedStatement[] {
    const known = this.#byText.get(text);
    if (known !== undefined) {
      this.#byText.delete(text);
      this.#byText.set(text, known);
      return known;
    }
    const parsed = parseStatements(text).map((raw) => ({
      ...raw,
      traits: readTraits(raw.node),
      kind: Object.keys(raw.node)[0] ?? '',
    }));
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
