SELECT create_distributed_table('region', 'r_regionkey', 'list', shard_bounds := 'IN (0, 1); IN (2, 3); DEFAULT');
SELECT create_distributed_table('nation', 'n_nationkey', 'range', shard_bounds := 'FROM (MINVALUE) TO (8); FROM (8) TO (16); FROM (16) TO (MAXVALUE)');
SELECT create_distributed_table('supplier', 's_suppkey');
SELECT create_distributed_table('customer', 'c_nationkey', 'range', shard_bounds := 'FROM (MINVALUE) TO (8); FROM (8) TO (16); FROM (16) TO (MAXVALUE)');
SELECT create_distributed_table('part', 'p_partkey', shard_count := 7);
SELECT create_distributed_table('partsupp', 'ps_suppkey', colocate_with := 'supplier');
SELECT create_distributed_table('orders', 'o_custkey');
SELECT create_distributed_table('lineitem', 'l_partkey', colocate_with := 'part');
