import { pgError } from '../core/errors.ts';

/** What a row is placed by. Numbers are whole and exact (`Number.isSafeInteger`); larger ones are bigints or text. */
export type ShardKey = string | number | bigint;

/** The key as PostgreSQL writes it; what Python's `str(key)` gives. */
export function keyText(key: ShardKey): string {
  if (typeof key === 'number' && !Number.isSafeInteger(key)) {
    throw pgError('invalidParameterValue', `${key} is no exact whole number: it can't be a shard key`, {
      hint: 'Give it as text or bigint.',
    });
  }
  return String(key);
}
