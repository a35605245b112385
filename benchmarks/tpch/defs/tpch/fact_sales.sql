SELECT lineitem_key AS sales_key, l_orderkey AS order_id, l_linenumber AS line_number,
       coalesce(date_key, -1) AS date_key, coalesce(customer_key, -1) AS customer_key,
       coalesce(part_key, -1) AS part_key, coalesce(supplier_key, -1) AS supplier_key,
       l_quantity AS quantity, l_extendedprice AS extended_price, l_discount AS discount, l_tax AS tax,
       (l_extendedprice * (1 - l_discount))::DECIMAL(18,4) AS revenue, l_returnflag AS return_flag, l_shipmode AS ship_mode
FROM lineitem
LEFT JOIN (
    SELECT o_orderkey, customer_key,
           year(o_orderdate) * 10000 + month(o_orderdate) * 100 + day(o_orderdate) AS date_key
    FROM orders LEFT JOIN customer ON c_custkey = o_custkey
) ON o_orderkey = l_orderkey
LEFT JOIN part ON p_partkey = l_partkey
LEFT JOIN supplier ON s_suppkey = l_suppkey
