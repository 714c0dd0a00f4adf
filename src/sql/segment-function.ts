/**
 * `pgherd.gp_segment_id(tableoid)` stands for Greenplum's column `gp_segment_id` in what servers are sent, and in definitions of
 * views: on a node its own number, from 0; on the coordinator -1; NULL for a row that an outer join has made up.
 */
export const segmentFunction = 'gp_segment_id';

/** On a node. Simple enough for PostgreSQL to put in the place of its calls. */
export function segmentFunctionSql(segment: number): string {
  return `CREATE OR REPLACE FUNCTION pgherd.${segmentFunction}(relation oid) RETURNS integer
  LANGUAGE sql IMMUTABLE PARALLEL SAFE AS 'SELECT CASE WHEN $1 IS NOT NULL THEN ${segment} END'`;
}

/**
 * On the coordinator, which has no rows of distributed tables. A materialized view or a function that reads them there, by way of the
 * router, is not told where they are.
 */
export const coordinatorSegmentSql = `CREATE OR REPLACE FUNCTION pgherd.${segmentFunction}(relation oid) RETURNS integer
  LANGUAGE plpgsql IMMUTABLE PARALLEL SAFE AS $pgherd$
BEGIN
  IF $1 IS NULL THEN RETURN NULL; END IF;
  IF EXISTS (SELECT FROM pgherd.dist_table t WHERE t.method OPERATOR(pg_catalog.<>) 'reference' AND (t.relation OPERATOR(pg_catalog.=) $1
      OR EXISTS (SELECT FROM pg_catalog.pg_inherits i WHERE i.inhrelid OPERATOR(pg_catalog.=) $1 AND i.inhparent OPERATOR(pg_catalog.=) t.relation))) THEN
    RAISE EXCEPTION USING errcode = '0A000', message = 'gp_segment_id of a distributed table was asked for outside the router (PH042)',
      hint = 'Send the statement itself to the router: neither functions nor materialized views know where rows are.';
  END IF;
  RETURN -1;
END $pgherd$`;
