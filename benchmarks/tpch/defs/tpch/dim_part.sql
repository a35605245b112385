SELECT part_key, p_partkey AS part_id, p_name AS part, p_mfgr AS category, p_brand AS brand, p_type AS part_type,
       p_size AS size, p_container AS container, p_retailprice AS retail_price
FROM part
