import type { FuncCall, Node, TypeCast } from '@pgsql/types';
import type { CatalogSnapshot } from '../catalog/snapshot.ts';
import { unsupported } from '../core/errors.ts';
import { deparseExpression } from '../sql/deparse.ts';
import { nameParts, walk } from '../sql/walk.ts';

/** COPY's WHERE for the servers: only what gives the same on every one of them. */
export function copyWhereSql(condition: Node | undefined, snapshot: CatalogSnapshot): string {
  if (condition === undefined) return '';
  walk(condition, (kind, fields) => {
    if (kind === 'SQLValueFunction') refuse('the session or the clock');
    if (kind === 'SubLink') refuse('a subquery');
    if (kind === 'FuncCall' && !isImmutable(fields as FuncCall, snapshot)) refuse('a function that is not immutable');
    if (kind === 'TypeCast' && namesObjects(fields as TypeCast)) refuse('names of objects');
  });
  return ` WHERE (${deparseExpression(condition)})`;
}

function refuse(what: string): never {
  throw unsupported('PH002', `COPY … WHERE over a distributed table with ${what}`);
}

function isImmutable(call: FuncCall, snapshot: CatalogSnapshot): boolean {
  const overloads = snapshot.functions.get(nameParts(call.funcname).at(-1) ?? '') ?? [];
  return overloads.length > 0 && overloads.every((traits) => traits.volatility === 'immutable');
}

/** A cast to reg… gives an OID of the server that runs it. */
function namesObjects({ typeName }: TypeCast): boolean {
  return (nameParts(typeName?.names).at(-1) ?? '').startsWith('reg');
}
