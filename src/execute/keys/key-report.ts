/** What a key trigger said of one row: its columns, as text, as they were and as they are. */
export interface KeyReport {
  /** Of the watch: see schema/key-watch.ts. */
  readonly id: string;
  readonly was: KeyValues | null;
  readonly becomes: KeyValues | null;
}

export type KeyValues = readonly (string | null)[];

export function readKeyReport(text: string): KeyReport {
  const [id, was, becomes] = JSON.parse(text) as [string, KeyValues | null, KeyValues | null];
  return { id, was, becomes };
}

/** How often each list of values was added, less how often it was taken away. */
export class KeyBalance {
  readonly #counts = new Map<string, number>();

  add(values: KeyValues, count: number): void {
    const key = JSON.stringify(values);
    const sum = (this.#counts.get(key) ?? 0) + count;
    if (sum === 0) this.#counts.delete(key);
    else this.#counts.set(key, sum);
  }

  /** Those that are left over on one side, as often as they are. */
  rest(sign: 1 | -1): KeyValues[] {
    return [...this.#counts].flatMap(([key, count]) => {
      const values = JSON.parse(key) as KeyValues;
      return new Array<KeyValues>(Math.max(0, count * sign)).fill(values);
    });
  }
}
