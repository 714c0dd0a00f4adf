import { retailCents, suppliersOfPart } from './parts.ts';
import { RowRandom } from './random.ts';
import type { Scale } from './scale.ts';
import { currentDay, type Day, date, firstDay, lastDay, money, numbered } from './values.ts';
import { instructions, priorities, shipModes } from './words.ts';

/** Both tables are made from the same draws, each in a pass of its own: an order's price and state are those of its lines. */
export function order(scale: Scale, index: number): string {
  const { random, day, lines } = drawOrder(scale, index);
  const open = lines.filter((line) => line.shipDay > currentDay).length;
  const fields = [
    orderKey(index),
    customerOf(scale, random),
    open === 0 ? 'F' : open === lines.length ? 'O' : 'P',
    money(lines.reduce((sum, line) => sum + chargedCents(line), 0)),
    date(day),
    random.pick(priorities),
    numbered('Clerk', random.int(1, scale.clerks)),
    0,
    scale.text.piece(random, 19, 78),
  ];
  return fields.join('|');
}

export function* lineItems(scale: Scale, index: number): Generator<string> {
  const { lines } = drawOrder(scale, index);
  const key = orderKey(index);
  for (const [place, line] of lines.entries()) yield lineItem(scale, key, place + 1, line);
}

function lineItem({ text }: Scale, key: number, number: number, line: Line): string {
  const { random, shipDay, receiptDay } = line;
  const returned = receiptDay <= currentDay ? random.pick(['R', 'A']) : 'N';
  const keys = `${key}|${line.part}|${line.supplier}|${number}`;
  const amounts = `${line.quantity}|${money(line.priceCents)}|${money(line.discount)}|${money(line.tax)}`;
  const dates = `${date(shipDay)}|${date(line.commitDay)}|${date(receiptDay)}`;
  const shipping = `${random.pick(instructions)}|${random.pick(shipModes)}|${text.piece(random, 10, 43)}`;
  return `${keys}|${amounts}|${returned}|${shipDay > currentDay ? 'O' : 'F'}|${dates}|${shipping}`;
}

interface Line {
  readonly random: RowRandom;
  readonly part: number;
  readonly supplier: number;
  readonly quantity: number;
  readonly priceCents: number;
  /** In hundredths. */
  readonly discount: number;
  readonly tax: number;
  readonly shipDay: Day;
  readonly commitDay: Day;
  readonly receiptDay: Day;
}

interface DrawnOrder {
  readonly random: RowRandom;
  readonly day: Day;
  readonly lines: readonly Line[];
}

function drawOrder(scale: Scale, index: number): DrawnOrder {
  const random = new RowRandom(scale.seed, 8, index);
  const day = random.int(firstDay, lastDay - 151);
  const lines = Array.from({ length: random.int(1, 7) }, (_, place) => drawLine(scale, day, index * 8 + place));
  return { random, day, lines };
}

function drawLine(scale: Scale, orderDay: Day, index: number): Line {
  const random = new RowRandom(scale.seed, 9, index);
  const part = random.int(1, scale.parts);
  const quantity = random.int(1, 50);
  const shipDay = orderDay + random.int(1, 121);
  return {
    random,
    part,
    supplier: suppliersOfPart(scale, part)[random.int(0, 3)]!,
    quantity,
    priceCents: quantity * retailCents(part),
    discount: random.int(0, 10),
    tax: random.int(0, 8),
    shipDay,
    commitDay: orderDay + random.int(30, 90),
    receiptDay: shipDay + random.int(1, 30),
  };
}

/** 4.2.3: only the first 8 keys of each 32 are used. `index` from 1. */
export function orderKey(index: number): number {
  return Math.floor(index / 8) * 32 + (index % 8);
}

/** A third of the customers has no orders. */
function customerOf({ customers }: Scale, random: RowRandom): number {
  for (;;) {
    const key = random.int(1, customers);
    if (key % 3 !== 0) return key;
  }
}

/** In whole cents at each step, as the reference generator reckons. */
function chargedCents({ priceCents, discount, tax }: Line): number {
  return Math.floor((Math.floor((priceCents * (100 - discount)) / 100) * (100 + tax)) / 100);
}
