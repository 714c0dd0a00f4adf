import { expect, test } from 'vitest';
import { pgError } from './errors.ts';
import { settled } from './settled.ts';

test('the error that failed a transaction is told, not that it had failed', async () => {
  const followUp = Promise.reject(pgError('inFailedSqlTransaction', 'current transaction is aborted'));
  const cause = new Promise((_, reject) => setTimeout(() => reject(pgError('uniqueViolation', 'duplicate key')), 5));
  await expect(settled([followUp, Promise.resolve(1), cause])).rejects.toMatchObject({ code: '23505' });
  await expect(settled([Promise.reject(pgError('inFailedSqlTransaction', 'aborted'))])).rejects.toMatchObject({
    code: '25P02',
  });
});

test('values come in the order of the work', async () => {
  expect(await settled([Promise.resolve(1), Promise.resolve(2)])).toEqual([1, 2]);
});
