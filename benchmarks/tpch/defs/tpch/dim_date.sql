SELECT year(day) * 10000 + month(day) * 100 + day(day) AS date_key, day::DATE AS date, year(day) AS year,
       quarter(day) AS quarter, month(day) AS month, isodow(day) AS weekday
FROM generate_series(DATE '1992-01-01', DATE '1998-12-31', INTERVAL 1 DAY) AS days(day)
