import { TextPool } from './text.ts';

/** All that the rows of one data set depend on. */
export interface Scale {
  readonly seed: number;
  readonly suppliers: number;
  readonly customers: number;
  readonly parts: number;
  readonly orders: number;
  readonly clerks: number;
  readonly text: TextPool;
}

export const smallestFactor = 0.001;

/** 4.2.5: the tables' sizes grow with the factor; `lineitem` has four times the rows of `orders`, more or less. */
export function scaleOf(factor: number, seed: number): Scale {
  if (!(factor >= smallestFactor)) throw new Error(`the scale factor must be ${smallestFactor} or more, not ${factor}`);
  const rows = (atOne: number) => Math.round(factor * atOne);
  return {
    seed,
    suppliers: rows(10_000),
    customers: rows(150_000),
    parts: rows(200_000),
    orders: rows(1_500_000),
    clerks: Math.max(1, rows(1000)),
    text: new TextPool(seed),
  };
}
