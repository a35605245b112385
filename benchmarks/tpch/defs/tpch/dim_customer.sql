SELECT customer_key, c_custkey AS customer_id, c_name AS customer, c_mktsegment AS market_segment,
       c_acctbal AS account_balance, coalesce(nation_key, -1) AS country_key
FROM customer LEFT JOIN nation ON n_nationkey = c_nationkey
