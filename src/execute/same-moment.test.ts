import { expect, test } from 'vitest';
import { showSame } from './same-moment.ts';

test('snapshots show the same unless a transaction has ended between them', () => {
  expect(showSame('10:12:10', '10:12:10')).toBe(true);
  expect(showSame('10:12:10', '10:15:10,12,13,14')).toBe(true);
  expect(showSame('10:12:10', '12:12:')).toBe(false);
  expect(showSame('10:12:10', '10:13:10')).toBe(false);
  expect(showSame('12:12:', '12:14:12')).toBe(false);
});
