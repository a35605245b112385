SELECT nation_key AS country_key, n_nationkey AS country_id, n_name AS country, coalesce(region_key, -1) AS region_key
FROM nation LEFT JOIN region ON r_regionkey = n_regionkey
