SELECT
    c.customers_key AS customer_key,
    c.customer_id,
    c.full_name,
    c.city,
    c.status,
    c.signup_date,
    coalesce(k.country_key, -1) AS country_key
FROM customers AS c
LEFT JOIN dim_country AS k USING (country_code)
