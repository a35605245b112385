SELECT supplier_key, s_suppkey AS supplier_id, s_name AS supplier, s_acctbal AS account_balance,
       coalesce(nation_key, -1) AS country_key
FROM supplier LEFT JOIN nation ON n_nationkey = s_nationkey
