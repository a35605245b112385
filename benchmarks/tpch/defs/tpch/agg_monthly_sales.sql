SELECT CASE WHEN date_key = -1 THEN -1 ELSE date_key // 100 END AS month, region, category,
       count(*) AS lines, sum(quantity) AS quantity, sum(revenue) AS revenue
FROM fact_sales
JOIN (SELECT customer_key, region FROM dim_customer JOIN dim_country USING (country_key) JOIN dim_region USING (region_key))
     USING (customer_key)
JOIN (SELECT part_key, category FROM dim_part) USING (part_key)
GROUP BY ALL
