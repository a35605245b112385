SELECT
    coalesce(strftime(d.day, '%Y-%m'), 'Unknown') AS month,
    r.region_name,
    g.category_name,
    count(*) AS order_lines,
    sum(s.quantity) AS units,
    sum(s.revenue) AS revenue
FROM fact_sales AS s
JOIN dim_date AS d USING (date_key)
JOIN dim_customer AS c USING (customer_key)
JOIN dim_country AS k USING (country_key)
JOIN dim_region AS r USING (region_key)
JOIN dim_product AS p USING (product_key)
JOIN dim_category AS g USING (category_key)
GROUP BY ALL
