SELECT
    p.products_key AS product_key,
    p.product_id,
    p.product_name,
    p.unit_price AS list_price,
    p.discontinued,
    coalesce(c.category_key, -1) AS category_key
FROM products AS p
LEFT JOIN dim_category AS c USING (category_code)
