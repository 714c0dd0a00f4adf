/**
 * Everything pgherd refuses, each with a stable code: the one table that `docs/limits.md` is printed from.
 * A code is never reused; a construct that starts to work leaves its number behind.
 */
export const unsupportedCodes = {
  PH001: {
    title: 'a distributed table read or written outside the router',
    hint: 'A function, trigger or DO block uses it in a way that has no way back to the router; send the statement to the router itself.',
  },
  PH002: {
    title: 'a statement form over a distributed table that the planner has not proven',
    hint: 'Rewrite the statement, or copy the rows into a temporary table first.',
  },
  PH003: {
    title: 'a type without a machine-independent hash as HASH distribution key',
    hint: "Distribute by LIST or RANGE instead: distribution_type := 'list'.",
  },
  PH004: {
    title: 'a BEFORE trigger that may change the distribution column',
    hint: 'Drop the trigger or distribute by another column.',
  },
  PH005: {
    title: 'CREATE DATABASE and other databases',
    hint: 'One herd serves one database for now.',
  },
  PH006: {
    title: 'changing the value of a distribution column',
    hint: 'Delete the row and insert it again with the new value.',
  },
  PH007: {
    title: 'physical row addresses (ctid, WHERE CURRENT OF) across nodes',
    hint: 'Name the row by its key.',
  },
  PH008: {
    title: 'DDL on a distributed table that is not propagated',
    hint: 'undistribute_table(), change it, distribute it again.',
  },
  PH009: {
    title: 'a client encoding other than UTF8 and SQL_ASCII',
    hint: "Use client_encoding = 'UTF8'.",
  },
  PH010: {
    title: 'a foreign key between tables that are not co-located',
    hint: 'Make the referenced table a reference table, or co-locate both on the key.',
  },
  PH011: {
    title: 'replication physical or logical through the router',
    hint: 'Connect to the server itself.',
  },
  PH012: {
    title: 'transaction isolation SERIALIZABLE over several nodes',
    hint: 'Use REPEATABLE READ, or keep the transaction on one node.',
  },
  PH014: {
    title: 'a materialized view over distributed tables where the coordinator has no postgres_fdw',
    hint: 'CREATE TABLE … AS takes any query; fill it anew when it is to be refreshed.',
  },
  PH030: {
    title: 'a function or trigger that writes a reference table',
    hint: 'Write the reference table by a statement of its own, sent to the router.',
  },
  PH031: {
    title: 'distributing a table that is partitioned, inherits or is inherited from, or is no ordinary table',
    hint: "Distribute plain tables; distribution_type := 'range' takes the place of partitions by range.",
  },
  PH032: {
    title: 'a unique key, without the distribution column, over types that have no portable hash',
    hint: 'Add the distribution column to the key, or distribute by a column of the key.',
  },
  PH033: {
    title:
      "a trigger with transition tables on a distributed table, or a statement-level one that could not fire as in PostgreSQL (for a foreign key's actions, ENABLE ALWAYS, BEFORE what reads its own changes)",
    hint: 'Use a FOR EACH ROW trigger without REFERENCING, or let a BEFORE trigger act AFTER.',
  },
  PH034: {
    title: 'a rule, an inherited or NO INHERIT constraint, or an exclusion constraint without the distribution column',
    hint: 'Leave it out, or make the table a reference table.',
  },
  PH035: {
    title: 'dropping the distribution column, or generating it in another way',
    hint: 'SELECT undistribute_table(…), change the column, and distribute the table again.',
  },
  PH036: {
    title: 'a schema whose name leaves no room for the names of its shards',
    hint: 'Use a schema name of at most 40 bytes.',
  },
  PH037: {
    title: 'distribution bounds that do not fit',
    hint: "shard_bounds := 'FROM (MINVALUE) TO (100); FROM (100) TO (MAXVALUE)' or 'IN (1, 2); IN (3); DEFAULT'.",
  },
  PH060: {
    title: 'a change through a view whose form is not proven',
    hint: 'Change the table itself.',
  },
  PH038: {
    title: "a view over distributed tables that is read by another role than its owner's",
    hint: 'Grant SELECT on the tables too (without row security on them), or WITH (security_invoker = true).',
  },
  PH050: {
    title: 'a row-security policy with a subquery that one node alone cannot answer',
    hint: 'Let it read reference tables, or co-located tables by equality of the distribution columns: EXISTS (SELECT FROM m WHERE m.key = t.key AND …).',
  },
  PH040: {
    title: 'a clause or statement of Greenplum or Postgres-XL that has no counterpart here',
    hint: 'docs/sql.md says which are taken, and how.',
  },
  PH045: {
    title: 'a join that moves rows between servers, while citus.enable_repartition_joins is off',
    hint: 'SET citus.enable_repartition_joins = on, or join on the distribution columns.',
  },
  PH043: {
    title: 'EXECUTE DIRECT of what is not a query',
    hint: 'Send changes and DDL to the router, which keeps all nodes in step.',
  },
  PH042: {
    title: 'gp_segment_id where a row and what is known of it part ways',
    hint: 'Name the columns instead of * and whole rows, or ask in a subquery: SELECT … FROM (SELECT gp_segment_id, … FROM t) AS t.',
  },
  PH051: {
    title: 'a function, trigger or procedure whose use of distributed tables is not safe where it is called',
    hint: 'Call it inside BEGIN … COMMIT, apart from changes of the schema; or send its statements to the router themselves.',
  },
  PH052: {
    title: 'a function that changes or locks rows of a distributed table without a primary key',
    hint: 'Give the table a primary key, or send the statement to the router itself.',
  },
  PH013: {
    title: 'a configuration key whose feature does not exist yet',
    hint: 'Take the key out of the configuration.',
  },
  PH055: {
    title:
      'a foreign key from a table on the coordinator to a distributed table, where the router is no superuser there',
    hint: "PostgreSQL's own check of it can't be switched off. Distribute the referencing table too.",
  },
  PH056: {
    title: 'validating a foreign key of a table on the coordinator that references a distributed table',
    hint: 'Drop the constraint and add it again without NOT VALID.',
  },
  PH057: {
    title: 'a change by a role that row security keeps rows from, of a table with a foreign key that the router keeps',
    hint: 'Co-locate the tables on the key, or make the referenced table a reference table.',
  },
  PH058: {
    title: 'a call that force_delegation sends to a node, of a function that is not proven to need that node alone',
    hint: 'Each statement of it is to reach co-located tables by equality of the distribution column with the argument itself, and reference tables to read them. Or create_distributed_function() without force_delegation: then it runs on the coordinator.',
  },
} as const satisfies Record<string, { title: string; hint: string }>;

export type UnsupportedCode = keyof typeof unsupportedCodes;
