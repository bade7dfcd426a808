-- What those that run have and most tasks have not.
SELECT facets FROM af_work WHERE state = 'running' AND facets IS NOT NULL
