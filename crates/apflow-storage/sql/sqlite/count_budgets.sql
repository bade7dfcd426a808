-- How many budgets there are.
SELECT count(*) FROM af_budgets
