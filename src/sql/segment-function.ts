/**
 * `pgherd.gp_segment_id(tableoid)` stands for Greenplum's column `gp_segment_id` in what servers are sent, and in definitions of
 * views: on a node its own number, from 0; on the coordinator -1; NULL for a row that an outer join has made up.
 */
export const segmentFunction = 'gp_segment_id';

/** Simple enough for PostgreSQL to put in the place of its calls. */
export function segmentFunctionSql(segment: number): string {
  return `CREATE OR REPLACE FUNCTION pgherd.${segmentFunction}(relation oid) RETURNS integer
  LANGUAGE sql IMMUTABLE PARALLEL SAFE AS 'SELECT CASE WHEN $1 IS NOT NULL THEN ${segment} END'`;
}
