import { isKnownKeyType } from '../../catalog/route.ts';
import type { ColocationGroup } from '../../catalog/snapshot.ts';
import type { Bound } from '../resolve.ts';
import type { Unit } from './unit.ts';

/** Rows of the group's key types can be routed without asking a server. */
export function isRoutable({ method }: ColocationGroup, keys: readonly { readonly typeOid: number }[]): boolean {
  const integers = new Set([20, 21, 23, 1082]);
  if (keys.length === 0) return false;
  return keys.every(({ typeOid }) => isKnownKeyType(typeOid) && (method === 'hash' || integers.has(typeOid)));
}

export function placesOf(partners: readonly Bound[], unit: Unit): number[] | null {
  const places = partners.map(({ item, column }) => {
    const output = unit.outputs.find(({ bound }) => bound.item === item && bound.column === column);
    return output ? unit.names.indexOf(output.name) : -1;
  });
  return places.includes(-1) ? null : places;
}
