import type { KeptForeignKey } from '../../catalog/foreign-key.ts';

/** Which foreign keys are checked at the end of the transaction: by their definition, or by SET CONSTRAINTS in this transaction. */
export class ConstraintModes {
  #all: boolean | null = null;
  readonly #byName = new Map<string, boolean>();

  isDeferred({ name, deferrable, initiallyDeferred }: KeptForeignKey): boolean {
    return deferrable && (this.#byName.get(name) ?? this.#all ?? initiallyDeferred);
  }

  /** `names` null: ALL, which overrides what was said of single ones. */
  set(names: readonly string[] | null, deferred: boolean): void {
    if (names === null) {
      this.#all = deferred;
      this.#byName.clear();
    } else for (const name of names) this.#byName.set(name, deferred);
  }

  reset(): void {
    this.#all = null;
    this.#byName.clear();
  }
}
