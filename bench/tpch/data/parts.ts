import { RowRandom } from './random.ts';
import type { Scale } from './scale.ts';
import { money } from './values.ts';
import { colours, containers, partTypes } from './words.ts';

export function part({ seed, text }: Scale, key: number): string {
  const random = new RowRandom(seed, 5, key);
  const maker = random.int(1, 5);
  const fields = [
    key,
    partName(random),
    `Manufacturer#${maker}`,
    `Brand#${maker}${random.int(1, 5)}`,
    random.pick(partTypes),
    random.int(1, 50),
    random.pick(containers),
    money(retailCents(key)),
    text.piece(random, 5, 22),
  ];
  return fields.join('|');
}

/** Five different colours. */
function partName(random: RowRandom): string {
  const chosen: string[] = [];
  while (chosen.length < 5) {
    const colour = random.pick(colours);
    if (!chosen.includes(colour)) chosen.push(colour);
  }
  return chosen.join(' ');
}

/** 4.2.3: P_RETAILPRICE follows from the key alone. */
export function retailCents(key: number): number {
  return 90_000 + (Math.floor(key / 10) % 20_001) + 100 * (key % 1000);
}

/** The four suppliers' rows of one part. */
export function* partSuppliers(scale: Scale, key: number): Generator<string> {
  const random = new RowRandom(scale.seed, 6, key);
  for (const supplier of suppliersOfPart(scale, key)) {
    const cost = money(random.int(100, 100_000));
    yield `${key}|${supplier}|${random.int(1, 9999)}|${cost}|${scale.text.piece(random, 49, 198)}`;
  }
}

/**
 * 4.2.3: PS_SUPPKEY. Where few suppliers make the formula meet itself (the specification knows whole scale factors only), the next
 * supplier steps in.
 */
export function suppliersOfPart({ suppliers }: Scale, key: number): number[] {
  const step = Math.floor(suppliers / 4) + Math.floor((key - 1) / suppliers);
  const found: number[] = [];
  for (let place = 0; place < 4; place++) {
    let supplier = ((key + place * step) % suppliers) + 1;
    while (found.includes(supplier)) supplier = (supplier % suppliers) + 1;
    found.push(supplier);
  }
  return found;
}
