import { expect, test } from 'vitest';
import { hasReturning } from './insert-rows.ts';

test('RETURNING in a string, a quoted name or a comment gives no rows', () => {
  expect(
    hasReturning(['UPDATE t SET a = \'x RETURNING y\', "returning" = ', { parameter: 0 }, ' /* RETURNING */']),
  ).toBe(false);
  expect(hasReturning(['DELETE FROM t WHERE a = ', { parameter: 0 }, ' returning *'])).toBe(true);
});
