/*
 * pg_cancel_backend() and pg_terminate_backend() over all servers. In statements they become functions of schema `pgherd`, which take the
 * global process ids of citus_stat_activity (a plain process id is the coordinator's), and report to the router what they were asked for.
 */

export const signalFunctions = ['pg_cancel_backend', 'pg_terminate_backend'] as const;

/** A process of the coordinator is signalled at once, so that PostgreSQL itself says whether that was done; the others by the router. */
export const signalSql: readonly string[] = [
  signalFunctionSql('pg_cancel_backend', 'global_pid bigint', ''),
  signalFunctionSql('pg_terminate_backend', 'global_pid bigint, timeout bigint DEFAULT 0', ', timeout'),
];

function signalFunctionSql(name: (typeof signalFunctions)[number], parameters: string, further: string): string {
  return `CREATE OR REPLACE FUNCTION pgherd.${name}(${parameters}) RETURNS boolean LANGUAGE plpgsql VOLATILE STRICT
SET client_min_messages = notice SET search_path = pg_catalog AS $pgherd$
DECLARE node bigint := global_pid / 10000000000;
BEGIN
  IF node <> 0 AND NOT EXISTS (SELECT FROM pgherd.node n WHERE n.node_id = node) THEN
    RAISE WARNING 'there is no node % of process %', node, global_pid;
    RETURN false;
  END IF;
  RAISE NOTICE USING errcode = 'PHSIG', message = '${name} ' || global_pid;
  RETURN node <> 0 OR ${name}((global_pid % 10000000000)::integer${further});
END $pgherd$`;
}
