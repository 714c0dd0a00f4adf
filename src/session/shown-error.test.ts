import { expect, test } from 'vitest';
import { withUserSchema } from './shown-error.ts';

test('an error of a leaf names the schema of the table', () => {
  const error = { severity: 'ERROR', code: '23505', message: 'duplicate' };
  expect(withUserSchema({ ...error, schema: 'pgherd_s07_public' }).schema).toBe('public');
  expect(withUserSchema({ ...error, schema: 'pgherd_s102_my_app' }).schema).toBe('my_app');
  expect(withUserSchema({ ...error, schema: 'pgherd_secret' }).schema).toBe('pgherd_secret');
  expect(withUserSchema(error)).toBe(error);
});
