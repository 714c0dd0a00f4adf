import type { KeyFamily } from './snapshot.ts';

/**
 * Types whose equal values hash equal whichever of them they are of: PostgreSQL's integer_ops and text_ops. The other
 * types stand alone, under their names. `typeName` is `format_type` of the key, domains replaced by what they are over.
 */
export function keyFamily(typeName: string): KeyFamily {
  const base = typeName.replace(/\(\d+(?:,-?\d+)?\)/, '');
  return families.get(base) ?? base;
}

const families: ReadonlyMap<string, KeyFamily> = new Map([
  ['smallint', 'integer'],
  ['integer', 'integer'],
  ['bigint', 'integer'],
  ['text', 'text'],
  ['character varying', 'text'],
]);
