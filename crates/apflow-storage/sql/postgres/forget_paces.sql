-- Paces of which nothing is used up any more are as good as none.
DELETE FROM af_rates WHERE even_at < $1
