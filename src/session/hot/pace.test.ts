import { expect, test } from 'vitest';
import { Pace } from './pace.ts';

function run(pace: Pace, times: number, ms: number, bytes = 100): void {
  for (let i = 0; i < times; i++) pace.note(ms, bytes);
}

test('a statement is short once it has been short some times', () => {
  const pace = new Pace();
  run(pace, 15, 0.1);
  expect(pace.isShort).toBe(false);
  run(pace, 1, 0.1);
  expect(pace.isShort).toBe(true);
});

test('what is delayed now and then is short, what always takes long is not', () => {
  const pace = new Pace();
  run(pace, 15, 30);
  run(pace, 1, 0.1);
  expect(pace.isShort).toBe(true);
  run(pace, 16, 3);
  expect(pace.isShort).toBe(false);
});

test('one large answer counts', () => {
  const pace = new Pace();
  run(pace, 15, 0.1);
  run(pace, 1, 0.1, 100_000);
  expect(pace.isShort).toBe(false);
});

test('what has kept others waiting has to prove itself again', () => {
  const pace = new Pace();
  run(pace, 16, 0.1);
  run(pace, 10, 0.1);
  pace.strike();
  run(pace, 15, 0.1);
  expect(pace.isShort).toBe(false);
  run(pace, 1, 0.1);
  expect(pace.isShort).toBe(true);
});
