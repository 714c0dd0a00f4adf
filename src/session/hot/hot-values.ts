import type { KeyValue } from '../../plan/key-value.ts';
import type { LiteralScan } from '../../sql/literal-scan.ts';
import type { BindView } from '../../wire/bind-view.ts';
import type { RunValues } from './route-shard.ts';

/** The parameters of a Bind. */
export class BoundValues implements RunValues {
  readonly #bind: BindView;

  constructor(bind: BindView) {
    this.#bind = bind;
  }

  parameter(number: number): NonNullable<KeyValue> | null {
    const place = number - 1;
    if (place >= this.#bind.parameterCount || this.#bind.isNull(place)) return null;
    return { format: this.#bind.formatOf(place), bytes: this.#bind.bytesOf(place) };
  }

  literal(): null {
    return null;
  }

  isString(): boolean {
    return false;
  }
}

/** The literals of a text. */
export class LiteralValues implements RunValues {
  readonly #scan: LiteralScan;
  text = '';

  constructor(scan: LiteralScan) {
    this.#scan = scan;
  }

  parameter(): null {
    return null;
  }

  literal(place: number): string | null {
    const [start, end] = [this.#scan.starts[place]!, this.#scan.ends[place]!];
    if (!this.isString(place)) return this.text.slice(start, end);
    const inside = this.text.slice(start + 1, end - 1);
    return inside.includes("'") ? null : inside;
  }

  isString(place: number): boolean {
    return this.text.charCodeAt(this.#scan.starts[place]!) === 0x27;
  }

  /** As it stands in the text, quotes included. */
  written(place: number): string {
    return this.text.slice(this.#scan.starts[place], this.#scan.ends[place]);
  }
}
