/** SET LOCAL of the time limits that the router counts. They end with the transaction, and ROLLBACK TO a savepoint takes them back. */
export class LocalTimeouts {
  #values: ReadonlyMap<string, string> = new Map();
  #savepoints: { readonly name: string; readonly values: ReadonlyMap<string, string> }[] = [];

  get(name: string): string | undefined {
    return this.#values.get(name);
  }

  get isEmpty(): boolean {
    return this.#values.size === 0;
  }

  set(name: string, value: string): void {
    this.#values = new Map([...this.#values, [name, value]]);
  }

  /** SET without LOCAL has come after it. */
  forget(name: string): void {
    this.#values = new Map([...this.#values].filter(([known]) => known !== name));
  }

  savepoint(name: string): void {
    this.#savepoints.push({ name, values: this.#values });
  }

  release(name: string): void {
    const at = this.#find(name);
    if (at >= 0) this.#savepoints.length = at;
  }

  rollbackTo(name: string): void {
    const at = this.#find(name);
    if (at < 0) return;
    this.#values = this.#savepoints[at]!.values;
    this.#savepoints.length = at + 1;
  }

  /** The transaction has ended. */
  clear(): void {
    this.#values = new Map();
    this.#savepoints = [];
  }

  #find(name: string): number {
    return this.#savepoints.findLastIndex((savepoint) => savepoint.name === name);
  }
}
