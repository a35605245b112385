WITH span AS (
    SELECT
        date_trunc('year', min(order_date)) AS first_day,
        date_trunc('year', max(order_date)) + INTERVAL 1 YEAR - INTERVAL 1 DAY AS last_day
    FROM orders
),

days AS (
    SELECT unnest(generate_series(first_day, last_day, INTERVAL 1 DAY))::DATE AS day
    FROM span
)

SELECT
    strftime(day, '%Y%m%d')::INTEGER AS date_key,
    day,
    year(day) AS year,
    quarter(day) AS quarter,
    month(day) AS month,
    monthname(day) AS month_name,
    dayname(day) AS weekday,
    isodow(day) >= 6 AS is_weekend
FROM days
