SELECT categories_key AS category_key, category_code, category_name, department
FROM categories
