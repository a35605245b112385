SELECT region_key, r_regionkey AS region_id, r_name AS region FROM region
