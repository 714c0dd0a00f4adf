/**
 * The statements that one server connection has prepared for the router: name by text, bounded, least recently used first out.
 * A text stands for the statement with its parameter types under one version of the catalog.
 */
export class StatementNames {
  readonly #maxStatements: number;
  #names = new Map<string, string>();
  /** Names to close when there is occasion. */
  #unused: string[] = [];
  #lastNumber = 0;

  constructor(maxStatements: number) {
    this.#maxStatements = maxStatements;
  }

  /** The name of a statement that is prepared already. */
  find(text: string): string | null {
    const name = this.#names.get(text);
    if (name === undefined) return null;
    this.#names.delete(text);
    this.#names.set(text, name);
    return name;
  }

  has(text: string): boolean {
    return this.#names.has(text);
  }

  /** A name for a statement about to be prepared, and the names to close before: PostgreSQL minds no unknown ones. */
  add(text: string): { readonly name: string; readonly unused: readonly string[] } {
    this.#lastNumber += 1;
    const name = `pgherd_${this.#lastNumber}`;
    this.#names.set(text, name);
    const oldest = this.#names.keys().next().value;
    if (this.#names.size > this.#maxStatements && oldest !== undefined) this.forget(oldest);
    const unused = this.#unused;
    this.#unused = [];
    return { name, unused };
  }

  /** A run failed, perhaps because preparing did: the next one prepares anew. */
  forget(text: string): void {
    const name = this.#names.get(text);
    if (name === undefined) return;
    this.#names.delete(text);
    this.#unused.push(name);
  }

  /** The server has none left (DISCARD ALL). */
  clear(): void {
    this.#names.clear();
    this.#unused = [];
  }
}
