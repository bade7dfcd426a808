-- How many shared limits there are.
SELECT count(*) FROM af_limits
