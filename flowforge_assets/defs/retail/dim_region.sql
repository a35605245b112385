SELECT regions_key AS region_key, region_code, region_name
FROM regions
