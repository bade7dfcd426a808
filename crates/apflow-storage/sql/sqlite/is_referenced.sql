-- Whether others link to a submission.
SELECT 1 FROM af_references WHERE original = $1 LIMIT 1
