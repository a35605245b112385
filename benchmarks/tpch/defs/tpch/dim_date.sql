WITH span AS (
    SELECT date_trunc('year', min(o_orderdate)) AS first_day,
           date_trunc('year', max(o_orderdate)) + INTERVAL 1 YEAR - INTERVAL 1 DAY AS last_day
    FROM orders
),
days AS (SELECT unnest(generate_series(first_day, last_day, INTERVAL 1 DAY))::DATE AS day FROM span)
SELECT year(day) * 10000 + month(day) * 100 + day(day) AS date_key, day AS date, year(day) AS year,
       quarter(day) AS quarter, month(day) AS month, isodow(day) AS weekday
FROM days
