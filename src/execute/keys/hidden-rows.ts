import { unsupported } from '../../core/errors.ts';
import type { ExecutionContext } from '../context.ts';
import type { KeySides } from './foreign-key-sql.ts';

/** The router looks at rows with the session's rights. Where policies hide some from it, it could not tell what references what. */
export async function refuseHiddenRows({ key, child, parent }: KeySides, context: ExecutionContext): Promise<void> {
  const tables = [child, parent].filter(({ distributed }) => distributed?.hasRowSecurity ?? true);
  if (tables.length === 0) return;
  const coordinator = await context.transaction.join('coordinator', context.signal, 'catalog');
  const list = tables.map(({ oid }) => `pg_catalog.row_security_active(${oid}::oid)`).join(', ');
  const { rows } = await coordinator.query(`SELECT ${list}`);
  const place = rows[0]?.indexOf('t') ?? -1;
  if (place >= 0) {
    throw unsupported('PH057', `foreign key "${key.name}" and row security on table "${tables[place]!.name}"`);
  }
}
