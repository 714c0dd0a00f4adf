import { RowRandom } from './random.ts';
import type { Scale } from './scale.ts';
import { address, money, numbered, phone } from './values.ts';
import { nations, segments } from './words.ts';

export function supplier(scale: Scale, key: number): string {
  const random = new RowRandom(scale.seed, 3, key);
  const nation = random.int(0, nations.length - 1);
  const fields = [
    key,
    numbered('Supplier', key),
    address(random),
    nation,
    phone(random, nation),
    money(random.int(-99_999, 999_999)),
    remarked(scale, key, random, scale.text.piece(random, 25, 100)),
  ];
  return fields.join('|');
}

/**
 * 4.2.3: of 10,000 suppliers, customers complain about 5 and recommend 5. Here: one supplier, any, of each thousand, in turn.
 */
function remarked({ seed }: Scale, key: number, random: RowRandom, comment: string): string {
  const thousand = Math.floor((key - 1) / 1000);
  const chosen = new RowRandom(seed, 4, thousand).int(1, 1000);
  if (key !== thousand * 1000 + chosen) return comment;
  const end = thousand % 2 === 0 ? 'Complaints' : 'Recommends';
  const between = random.int(0, comment.length - 'Customer'.length - end.length);
  const start = random.int(0, comment.length - 'Customer'.length - end.length - between);
  const endStart = start + 'Customer'.length + between;
  return `${comment.slice(0, start)}Customer${comment.slice(start + 8, endStart)}${end}${comment.slice(endStart + 10)}`;
}

export function customer(scale: Scale, key: number): string {
  const random = new RowRandom(scale.seed, 7, key);
  const nation = random.int(0, nations.length - 1);
  const fields = [
    key,
    numbered('Customer', key),
    address(random),
    nation,
    phone(random, nation),
    money(random.int(-99_999, 999_999)),
    random.pick(segments),
    scale.text.piece(random, 29, 116),
  ];
  return fields.join('|');
}
