-- How many tokens there are.
SELECT count(*) FROM af_tokens
