import { quoteLiteral } from '../sql/quote.ts';
import { type AdminName, type AdminSignature, adminSignature, adminSignatures } from './admin-signatures.ts';

/**
 * Functions on the coordinator that only raise: they let Describe, \df and tab completion know names and types. In
 * pg_catalog (superuser) they are found whatever the search_path, and pg_dump leaves them out.
 */
export function adminStubsSql(schema: 'pg_catalog' | 'pgherd'): string[] {
  const names = Object.keys(adminSignatures) as AdminName[];
  const stubs = names.map((name) => stubSql(schema, name, adminSignature(name)));
  // A string literal has no type that anyelement could take.
  const { parameters, returns } = adminSignature('get_shard_id_for_distribution_column');
  const ofText = { parameters: [parameters[0]!, { name: 'distribution_value', type: 'text' }], returns };
  return [...stubs, stubSql(schema, 'get_shard_id_for_distribution_column', ofText)];
}

function stubSql(schema: string, name: string, signature: AdminSignature): string {
  const parameters = signature.parameters.map(
    (parameter) => `${parameter.name} ${parameter.type}${parameter.default ? ` DEFAULT ${parameter.default}` : ''}`,
  );
  const { returns } = signature;
  const result =
    typeof returns === 'string' ? returns : `TABLE (${returns.map((c) => `${c.name} ${c.type}`).join(', ')})`;
  const message = quoteLiteral(`${name}() was called inside another statement`);
  const hint = quoteLiteral(`Send SELECT ${name}(…) as a statement of its own through the router.`);
  return `CREATE OR REPLACE FUNCTION ${schema}.${name}(${parameters.join(', ')}) RETURNS ${result} LANGUAGE plpgsql AS $pgherd$
BEGIN
  RAISE EXCEPTION USING errcode = '0A000', message = ${message}, hint = ${hint};
END $pgherd$`;
}
