-- The first token by id; none if there is none, working or not.
SELECT min(id) FROM af_tokens
