SELECT
    i.order_items_key AS sales_key,
    i.order_id,
    i.line_number,
    coalesce(d.date_key, -1) AS date_key,
    coalesce(c.customer_key, -1) AS customer_key,
    coalesce(p.product_key, -1) AS product_key,
    coalesce(o.status, 'Unknown') AS order_status,
    i.quantity,
    i.unit_price,
    coalesce(i.discount_percent, 0) AS discount_percent,
    -- decimals all the way: a division would make it a float
    i.quantity::DECIMAL(9, 0) * i.unit_price * (100 - coalesce(i.discount_percent, 0)) * 0.01 AS revenue
FROM order_items AS i
LEFT JOIN orders AS o USING (order_id)
LEFT JOIN dim_date AS d ON d.day = o.order_date
LEFT JOIN dim_customer AS c USING (customer_id)
LEFT JOIN dim_product AS p USING (product_id)
