import { type PgError, pgError } from '../../core/errors.ts';
import type { KeySides } from './foreign-key-sql.ts';
import type { KeyValues } from './key-report.ts';

/* In the words of ri_triggers.c. */

export function notPresent({ key, child, parent }: KeySides, values: KeyValues): PgError {
  return pgError(
    'foreignKeyViolation',
    `insert or update on table "${child.name}" violates foreign key constraint "${key.name}"`,
    {
      detail: `Key (${key.childColumns.join(', ')})=(${values.join(', ')}) is not present in table "${parent.name}".`,
      ...{ schema: child.schema, table: child.name, constraint: key.name },
    },
  );
}

export function mixedNulls({ key, child }: KeySides): PgError {
  return pgError(
    'foreignKeyViolation',
    `insert or update on table "${child.name}" violates foreign key constraint "${key.name}"`,
    {
      detail: 'MATCH FULL does not allow mixing of null and nonnull key values.',
      ...{ schema: child.schema, table: child.name, constraint: key.name },
    },
  );
}

export function stillReferenced({ key, child, parent }: KeySides, values: KeyValues): PgError {
  return pgError(
    'foreignKeyViolation',
    `update or delete on table "${parent.name}" violates foreign key constraint "${key.name}" on table "${child.name}"`,
    {
      detail: `Key (${key.parentColumns.join(', ')})=(${values.join(', ')}) is still referenced from table "${child.name}".`,
      ...{ schema: child.schema, table: child.name, constraint: key.name },
    },
  );
}

/** PostgreSQL 18 tells RESTRICT from NO ACTION. */
export function restricted(sides: KeySides, values: KeyValues, serverVersion: number): PgError {
  if (serverVersion < 180_000) return stillReferenced(sides, values);
  const { key, child, parent } = sides;
  return pgError(
    'restrictViolation',
    `update or delete on table "${parent.name}" violates RESTRICT setting of foreign key constraint "${key.name}" on table "${child.name}"`,
    {
      detail: `Key (${key.parentColumns.join(', ')})=(${values.join(', ')}) is referenced from table "${child.name}".`,
      ...{ schema: child.schema, table: child.name, constraint: key.name },
    },
  );
}

/** A REPEATABLE READ transaction can't see what stands against it. */
export function concurrentlyReferenced(): PgError {
  return pgError('serializationFailure', 'could not serialize access due to concurrent update', {
    hint: 'Run the transaction again.',
  });
}
