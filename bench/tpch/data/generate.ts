import { lineItems, order } from './orders.ts';
import { part, partSuppliers } from './parts.ts';
import { customer, supplier } from './people.ts';
import { RowRandom } from './random.ts';
import type { Scale } from './scale.ts';
import { nations, regions } from './words.ts';

/** In an order in which foreign keys could be checked. */
export const tpchTables = [
  'region',
  'nation',
  'supplier',
  'customer',
  'part',
  'partsupp',
  'orders',
  'lineitem',
] as const;
export type TpchTable = (typeof tpchTables)[number];

/**
 * A table's rows as lines of fields between bars (COPY … WITH (DELIMITER '|')), in chunks of some size: memory stays bounded whatever
 * the scale. The rows follow the TPC-H specification (revision 3, clause 4.2.3); they are not those of its reference generator.
 */
export function* generateTable(scale: Scale, table: TpchTable): Generator<Buffer> {
  let lines: string[] = [];
  let chars = 0;
  for (const row of rowsOf(scale, table)) {
    lines.push(row);
    chars += row.length + 1;
    if (chars < chunkChars) continue;
    yield chunk(lines);
    lines = [];
    chars = 0;
  }
  if (lines.length > 0) yield chunk(lines);
}

const chunkChars = 65_536;

function chunk(lines: readonly string[]): Buffer {
  return Buffer.from(`${lines.join('\n')}\n`, 'latin1');
}

function rowsOf(scale: Scale, table: TpchTable): Generator<string> {
  switch (table) {
    case 'region':
      return each(regions.length, (key) => `${key - 1}|${regions[key - 1]}|${remark(scale, 1, key)}`);
    case 'nation':
      return each(nations.length, (key) => `${key - 1}|${nations[key - 1]!.join('|')}|${remark(scale, 2, key)}`);
    case 'supplier':
      return each(scale.suppliers, (key) => supplier(scale, key));
    case 'customer':
      return each(scale.customers, (key) => customer(scale, key));
    case 'part':
      return each(scale.parts, (key) => part(scale, key));
    case 'partsupp':
      return severalEach(scale.parts, (key) => partSuppliers(scale, key));
    case 'orders':
      return each(scale.orders, (index) => order(scale, index));
    case 'lineitem':
      return severalEach(scale.orders, (index) => lineItems(scale, index));
  }
}

function remark({ seed, text }: Scale, stream: number, key: number): string {
  return text.piece(new RowRandom(seed, stream, key), 31, 114);
}

function* each(count: number, row: (key: number) => string): Generator<string> {
  for (let key = 1; key <= count; key++) yield row(key);
}

function* severalEach(count: number, rows: (key: number) => Generator<string>): Generator<string> {
  for (let key = 1; key <= count; key++) yield* rows(key);
}
