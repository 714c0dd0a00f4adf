import type { Node } from '@pgsql/types';

/** Where statements say what they make, change or drop; their options may name the temporary schema without meaning it (SET search_path). */
const namingFields = [
  ...['relation', 'view', 'sequence', 'typevar', 'funcname', 'typeName', 'domainname', 'defnames', 'opfamilyname'],
  ...['func', 'object', 'objects', 'into', 'intoClause'],
] as const;

/** Whether a statement names its objects as ones of the session's temporary schema: `CREATE FUNCTION pg_temp.f …`. */
export function namesTemporarySchema(node: Node): boolean {
  const fields = Object.values(node)[0] as Readonly<Record<string, unknown>>;
  const named = namingFields.flatMap((field) => fields[field] ?? []);
  return named.length > 0 && /"(schemaname|sval)":"pg_temp(_\d+)?"/.test(JSON.stringify(named));
}
