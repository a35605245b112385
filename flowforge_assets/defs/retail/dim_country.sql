SELECT
    c.countries_key AS country_key,
    c.country_code,
    c.country_name,
    coalesce(r.region_key, -1) AS region_key
FROM countries AS c
LEFT JOIN dim_region AS r USING (region_code)
